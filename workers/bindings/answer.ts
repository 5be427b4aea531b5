// What all kinds of declared tools do with the answer of an upstream: read it, select from it, check it, tell what is wrong. Pure.
// Not responsible for sizes on the wire, decoding or statuses that recovery handles.
// Invariant: a result is JSON that fits the tool's output schema, or a coded failure; the answer's text never reaches `detail`.
import type { LoadedBinding } from '../../src/boundary/binding.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import type { Json } from '../../src/shared/json.ts';
import { compileSelect } from '../../src/shared/select.ts';
import type { SchemaCheck } from '../schema-check.ts';

export interface UpstreamAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
}
/**
 * `body`: JSON text of a CallToolResult, beginning with `{"`.
 * `recover`: the answer says that nothing was carried out, so that a newer credential or a later time may help.
 */
export type MappedResult =
  | { readonly ok: true; readonly body: Uint8Array }
  | { readonly ok: false; readonly failure: Failure; readonly recover?: 'credential_rejected' | 'transient' };
/** `objectsOnly`: data that is no object goes out as text alone. */
export type MapResponse = (answer: UpstreamAnswer, objectsOnly?: boolean) => MappedResult;
/** A value of the answer to the result of the tool. */
export interface ValueMapping {
  readonly isPlain: boolean;
  select(value: Json): { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly reason: string };
  result(value: Json, objectsOnly: boolean): MappedResult;
}

/** An upstream's own words about a refused request, for the agent: at most this much. */
const EXPLANATION_BYTES = 2048;

/** @throws Error where the `select` expression is not JMESPath. */
export function compileMapping(response: LoadedBinding['response'], checkOutput: SchemaCheck | undefined): ValueMapping {
  const expression = response?.select;
  const select = expression === undefined ? (value: Json) => ({ ok: true, value }) as const : compileSelect(expression);
  return {
    isPlain: expression === undefined && checkOutput === undefined,
    select,
    result(value, objectsOnly) {
      const selected = select(value);
      if (!selected.ok) return invalid(`select: ${selected.reason}`);
      const problem = checkOutput?.(selected.value);
      if (problem !== undefined) return invalid(`output schema: ${problem.path || '/'} ${problem.reason}`);
      let json: string;
      try {
        json = JSON.stringify(selected.value);
      } catch {
        return invalid('nested too deeply');
      }
      const isStructured = checkOutput !== undefined && (!objectsOnly || json.startsWith('{'));
      return { ok: true, body: textResult(json, isStructured ? `,"structuredContent":${json}` : '') };
    },
  };
}

export function textResult(text: string, more: string): Uint8Array {
  return Buffer.from(`{"content":[{"type":"text","text":${JSON.stringify(text)}}]${more}}`);
}

export function statusFailure({ status, contentType, body }: UpstreamAnswer): Failure {
  const kind = status < 400 ? 'a redirect, which is not followed' : 'an error';
  // What a service says of a bad request helps the caller to mend it; what it says of its own trouble does not.
  const explains = status >= 400 && status < 500 && body.byteLength <= EXPLANATION_BYTES && /[/+]json/i.test(contentType ?? '');
  const said = explains ? parse(body)?.value : undefined;
  return failure('upstream_error', {
    message: `The service behind the tool answered with ${kind} (HTTP ${status}).`,
    data: said === undefined ? { status } : { status, body: said },
    detail: `HTTP ${status}`,
  });
}

export function isHtml({ contentType, body }: UpstreamAnswer): boolean {
  return (
    /^(?:text\/html|application\/xhtml)/i.test(contentType ?? '') || /^\s*<(?:!doctype|html)/i.test(textOf(body.subarray(0, 64)))
  );
}

/** A value for the agent, where it is small enough to be read. */
export function explanation(value: Json): Json | undefined {
  return Buffer.byteLength(JSON.stringify(value)) <= EXPLANATION_BYTES ? value : undefined;
}

/** The body of an answer of a protocol over HTTP: a JSON object. */
export function parseObject(answer: UpstreamAnswer): { readonly [key: string]: Json } | string {
  if (isHtml(answer)) return 'HTML instead of JSON';
  const parsed = parse(answer.body);
  if (parsed === undefined) return 'not JSON';
  const { value } = parsed;
  if (Array.isArray(value)) return 'a list (a batch) instead of one answer';
  return typeof value === 'object' && value !== null ? value : 'not a JSON object';
}

export function parse(body: Uint8Array): { readonly value: Json } | undefined {
  try {
    return { value: JSON.parse(textOf(body)) as Json };
  } catch {
    return undefined;
  }
}

const decoder = new TextDecoder();
export function textOf(body: Uint8Array): string {
  return decoder.decode(body);
}

export function invalid(detail: string): MappedResult {
  return { ok: false, failure: failure('upstream_invalid', { detail }) };
}
