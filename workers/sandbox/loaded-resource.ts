// A resource of the bundle, or all under a template: what its handler returns becomes the contents of a ReadResourceResult.
// Not responsible for choosing between templates: the supervisor names the resource.
// Invariant: exactly `ResourceReturned` of the author's API passes; nothing returned is `resource_unknown`.
import { Type } from 'typebox';
import type { Need, ToolContext } from '../../src/author/context.ts';
import { failure } from '../../src/shared/errors.ts';
import { parseUriTemplate, type UriTemplate } from '../../src/shared/uri-template.ts';
import { createSchemaCheck, type SchemaCheck } from '../schema-check.ts';
import { base64 } from './content.ts';
import type { Completions } from './loaded-completion.ts';
import { type Answer, answerWith, invalid, resultBytesOf } from './result.ts';
import type { AnswerLimits, Checked, Runnable } from './runnable.ts';

/** As `defineResource` makes it. */
export interface ResourceLike {
  readonly uri?: string;
  readonly uriTemplate?: string;
  readonly title?: string;
  readonly description: string;
  readonly mimeType?: string;
  readonly size?: number;
  readonly annotations?: object;
  readonly icons?: object[];
  readonly complete?: Completions;
  readonly scopes?: readonly string[];
  readonly timeoutMs?: number;
  readonly connections?: { readonly [slot: string]: Need };
  handler(request: object, ctx: ToolContext): unknown;
}

const Part = { uri: Type.String({ minLength: 1 }), mimeType: Type.String(), _meta: Type.Optional(Type.Object({})) };
const strict = { additionalProperties: false };
const ContentsSchema = Type.Array(
  Type.Union([Type.Object({ ...Part, text: Type.String() }, strict), Type.Object({ ...Part, blob: Type.String() }, strict)]),
);
let contentsCheck: SchemaCheck | undefined;

export class LoadedResource implements Runnable {
  readonly name: string;
  readonly file: string;
  readonly definition: ResourceLike;
  #template: UriTemplate | undefined;

  constructor(name: string, file: string, definition: ResourceLike) {
    this.name = name;
    this.file = file;
    this.definition = definition;
  }

  get connections(): { readonly [slot: string]: Need } {
    return this.definition.connections ?? {};
  }

  check(args: unknown): Checked {
    const { uri } = args as { uri: string };
    const { uriTemplate } = this.definition;
    if (uriTemplate === undefined) return { ok: true, value: { uri } };
    if (this.#template === undefined) {
      const parsed = parseUriTemplate(uriTemplate);
      if (typeof parsed === 'string') return { ok: false, path: '', reason: `the template ${parsed}` };
      this.#template = parsed;
    }
    const params = this.#template.match(uri);
    return params === undefined
      ? { ok: false, path: '/uri', reason: 'does not fit the template' }
      : { ok: true, value: { uri, params } };
  }

  invoke(request: object, ctx: ToolContext): Promise<unknown> {
    return this.#read(request as { uri: string }, ctx);
  }

  /** The answer needs to know what was asked for. */
  async #read(request: { uri: string }, ctx: ToolContext): Promise<Read> {
    return { uri: request.uri, returned: await this.definition.handler(request, ctx) };
  }

  answer(read: unknown, { resultBytes }: AnswerLimits): Answer {
    const { uri, returned } = read as Read;
    if (returned === undefined) return { outcome: { status: 'error', failure: failure('resource_unknown') } };
    return answerWith(resultBytes, () => {
      const parts = Array.isArray(returned) ? returned : [returned];
      const text = JSON.stringify(parts.map((part: unknown) => partOf(part, uri, this.definition.mimeType)));
      contentsCheck ??= createSchemaCheck(ContentsSchema);
      const mismatch = contentsCheck(JSON.parse(text));
      if (mismatch !== undefined) return invalid(`no content of a resource: ${mismatch.reason}`, mismatch.path);
      return resultBytesOf(`{"contents":${text}}`, resultBytes);
    });
  }
}

interface Read {
  readonly uri: string;
  readonly returned: unknown;
}

function partOf(part: unknown, uri: string, mimeType: string | undefined): unknown {
  if (typeof part === 'string') return { uri, mimeType: mimeType ?? 'text/plain', text: part };
  if (part instanceof Uint8Array) return { uri, mimeType: mimeType ?? 'application/octet-stream', blob: base64(part) };
  if (typeof part !== 'object' || part === null) return part;
  const isBlob = 'blob' in part;
  const known = { uri, mimeType: mimeType ?? (isBlob ? 'application/octet-stream' : 'text/plain'), ...part };
  return isBlob && part.blob instanceof Uint8Array ? { ...known, blob: base64(part.blob) } : known;
}
