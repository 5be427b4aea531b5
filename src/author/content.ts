// Content blocks and the small facts around them (annotations, icons), as an author writes them.
// Not responsible for checking: a tools thread checks what a handler returns, the supervisor what a definition says.
// Invariant: as in MCP 2025-11-25 and later; binary data may be bytes, which travel as base64.
import type { Json } from '../shared/json.ts';

/** For the client: whom content is meant for, how much it matters, when it last changed. */
export interface ContentAnnotations {
  audience?: ('user' | 'assistant')[];
  /** 0 (optional) to 1 (required). */
  priority?: number;
  /** RFC 3339. */
  lastModified?: string;
}

/** A picture of a tool, prompt, resource or link (shown by clients from 2025-11-25 on). */
export interface Icon {
  /** `https:` or `data:image/…`. */
  src: string;
  mimeType?: string;
  /** `48x48`, or `any` for a scalable one. */
  sizes?: string[];
  theme?: 'light' | 'dark';
}

interface Block {
  annotations?: ContentAnnotations;
  _meta?: { [key: string]: Json };
}
/** Bytes, or the same as base64. */
export type Binary = string | Uint8Array;

export type Content = Block &
  (
    | { type: 'text'; text: string }
    | { type: 'image' | 'audio'; data: Binary; mimeType: string }
    | {
        type: 'resource_link';
        uri: string;
        name: string;
        title?: string;
        description?: string;
        mimeType?: string;
        /** Bytes. */
        size?: number;
        icons?: Icon[];
      }
    | { type: 'resource'; resource: { uri: string; mimeType?: string; text?: string; blob?: Binary } }
  );
