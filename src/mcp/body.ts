// The bytes of a message, and how parts of it are read where somebody knows their place.
// Not responsible for finding the parts (`envelope`), nor for what they mean.
// Invariant: only the part that is asked for is decoded or parsed; the bytes are valid UTF-8.
import { isAscii, isUtf8 } from 'node:buffer';
import { BACKSLASH, OPEN_BRACE, QUOTE } from '../shared/json-scan.ts';

/** A body up to this long is decoded once: a slice of that text costs a tenth of a call that decodes bytes. */
const DECODED_BYTES = 8192;

export interface Body {
  readonly bytes: Buffer;
  /** The whole text where it is short and ASCII only: there, every position is the same in both. */
  readonly ascii: string | undefined;
}

/** Where a value stands in the body: `[start, end)`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Undefined where the bytes are not UTF-8. */
export function bodyOf(bytes: Buffer): Body | undefined {
  if (bytes.length <= DECODED_BYTES && isAscii(bytes)) return { bytes, ascii: bytes.toString('latin1') };
  return isUtf8(bytes) ? { bytes, ascii: undefined } : undefined;
}

/** The string that stands at `range`, or undefined where another kind of value does. */
export function textAt(body: Body, range: Range | undefined): string | undefined {
  if (range === undefined || body.bytes[range.start] !== QUOTE) return undefined;
  return textBetween(body, range.start + 1, range.end - 1);
}

/** A copy, for what is kept beyond the request: V8 makes a longer slice of a text a reference to the whole of it. */
export function copied(text: string): string {
  return Buffer.from(text).toString();
}

/** The JSON text at `range`. */
export function rawAt({ ascii, bytes }: Body, { start, end }: Range): string {
  return ascii === undefined ? bytes.toString('utf8', start, end) : ascii.slice(start, end);
}

/** The parsed object at `range`, or undefined where another kind of value stands. Small parts of the envelope only. */
export function objectAt(body: Body, range: Range | undefined): Record<string, unknown> | undefined {
  if (range === undefined || body.bytes[range.start] !== OPEN_BRACE) return undefined;
  if (range.end - range.start === 2) return {};
  return JSON.parse(rawAt(body, range)) as Record<string, unknown>;
}

/** The string whose quotes are around `[start, end)`. */
export function textBetween({ ascii, bytes }: Body, start: number, end: number): string {
  let plain = true;
  for (let at = start; at < end; at += 1) {
    const c = bytes[at] as number;
    if (c === BACKSLASH) return JSON.parse(bytes.toString('utf8', start - 1, end + 1)) as string;
    if (c > 0x7f) plain = false;
  }
  if (ascii !== undefined) return ascii.slice(start, end);
  return bytes.toString(plain ? 'latin1' : 'utf8', start, end);
}
