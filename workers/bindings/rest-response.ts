// The answer of an upstream in, the result of a declared tool out. Pure.
// Not responsible for sizes on the wire, decoding or statuses that recovery handles.
// Invariant: a result is JSON that fits the tool's output schema, or a coded failure; the answer's text never reaches `detail`.
import type { RestBinding } from '../../src/boundary/manifest.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import type { Json } from '../../src/shared/json.ts';
import { compileSelect, type Select } from '../../src/shared/select.ts';
import type { SchemaCheck } from '../schema-check.ts';

export interface UpstreamAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
}
/** `body`: JSON text of a CallToolResult, beginning with `{"`. */
export type MappedResult = { readonly ok: true; readonly body: Uint8Array } | { readonly ok: false; readonly failure: Failure };
/** `objectsOnly`: data that is no object goes out as text alone. */
export type MapResponse = (answer: UpstreamAnswer, objectsOnly?: boolean) => MappedResult;

/** An upstream's own words about a refused request, for the agent: at most this much. */
const EXPLANATION_BYTES = 2048;

/** @throws Error where the `select` expression is not JMESPath. */
export function compileRestResponse(response: RestBinding['response'], checkOutput: SchemaCheck | undefined): MapResponse {
  const select = response?.select === undefined ? undefined : compileSelect(response.select);
  return (answer, objectsOnly = false) => {
    if (answer.status < 200 || answer.status > 299) return { ok: false, failure: statusFailure(answer) };
    if (isHtml(answer)) return invalid('HTML instead of JSON');
    if (select === undefined && checkOutput === undefined) return plainResult(answer);
    const parsed = parse(answer.body);
    if (parsed === undefined) return invalid('not JSON');
    return mappedResult(parsed.value, select, checkOutput, objectsOnly);
  };
}

function mappedResult(
  value: Json,
  select: Select | undefined,
  checkOutput: SchemaCheck | undefined,
  objectsOnly: boolean,
): MappedResult {
  const selected = select === undefined ? ({ ok: true, value } as const) : select(value);
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
}

/** The text goes through as it came, so that nothing is lost in it: numbers beyond 2^53 would be. */
function plainResult(answer: UpstreamAnswer): MappedResult {
  if (answer.body.byteLength === 0) return { ok: true, body: Buffer.from('{"content":[]}') };
  const isText = /^text\//i.test(answer.contentType ?? '');
  if (!isText && parse(answer.body) === undefined) return invalid('not JSON');
  return { ok: true, body: textResult(textOf(answer.body), '') };
}

function textResult(text: string, more: string): Uint8Array {
  return Buffer.from(`{"content":[{"type":"text","text":${JSON.stringify(text)}}]${more}}`);
}

function statusFailure({ status, contentType, body }: UpstreamAnswer): Failure {
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

function isHtml({ contentType, body }: UpstreamAnswer): boolean {
  return (
    /^(?:text\/html|application\/xhtml)/i.test(contentType ?? '') || /^\s*<(?:!doctype|html)/i.test(textOf(body.subarray(0, 64)))
  );
}

function parse(body: Uint8Array): { readonly value: Json } | undefined {
  try {
    return { value: JSON.parse(textOf(body)) as Json };
  } catch {
    return undefined;
  }
}

const decoder = new TextDecoder();
function textOf(body: Uint8Array): string {
  return decoder.decode(body);
}

function invalid(detail: string): MappedResult {
  return { ok: false, failure: failure('upstream_invalid', { detail }) };
}
