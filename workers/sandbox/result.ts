// What a handler returned becomes the JSON bytes of a CallToolResult, by the table `Returned<O>` of the author's API.
// Not responsible for `isError` and `resultType` (the codec of the client's revision) or for failures that were thrown.
// Invariant: nothing is guessed by shape; what the table does not name is `result_invalid` with a reason, never a crash.
import { partsOf, type ResultParts } from '../../src/author/result.ts';
import type { CallOutcome } from '../../src/boundary/outcome.ts';
import { failure } from '../../src/shared/errors.ts';
import type { SchemaCheck } from '../schema-check.ts';
import { isTooDeep, JSON_DEPTH } from '../json-depth.ts';
import { blocksJson } from './content.ts';
import { codedFailure } from './failures.ts';
import type { AnswerLimits } from './runnable.ts';
import { isJsonObject, plainJson } from './plain-json.ts';

export interface Answer {
  readonly outcome: CallOutcome;
  /** With `ok` only. */
  readonly body?: Uint8Array<ArrayBuffer>;
}

const META_CHARACTERS = 16_384;
const encoder = new TextEncoder();

/** @param check Of the tool's outputSchema; undefined where it has none. Never throws, never rejects. */
export function answerOf(returned: unknown, check: SchemaCheck | undefined, limits: AnswerLimits): Answer {
  const { resultBytes } = limits;
  return answerWith(resultBytes, () => {
    const parts = partsOf(returned);
    if (parts !== undefined) return fromParts(parts, check, limits);
    return check === undefined ? fromContent(returned, resultBytes) : fromValue(returned, check, limits);
  });
}

/** What making the answer throws (cycles, BigInt, a text too long for the engine) becomes its failure. */
export function answerWith(resultBytes: number, make: () => Answer): Answer {
  try {
    return make();
  } catch (error) {
    if (error instanceof RangeError && /string length/i.test(error.message)) return tooLarge(resultBytes);
    return { outcome: { status: 'error', failure: codedFailure('result_invalid', error) } };
  }
}

function fromValue(value: unknown, check: SchemaCheck, { resultBytes, objectsOnly }: AnswerLimits): Answer {
  const text = jsonOf(value);
  if (text === undefined) return invalid(`the handler returned ${kindOf(value)}, and the tool has an outputSchema`);
  if (text.length > resultBytes) return tooLarge(resultBytes);
  // The text is what the client gets, so the text is what is checked: dates, undefined and toJSON have become JSON by now.
  const mismatch = check(JSON.parse(text));
  if (mismatch !== undefined) return invalid(mismatch.reason, mismatch.path);
  const structured = objectsOnly && !text.startsWith('{') ? '' : `,"structuredContent":${text}`;
  return resultBytesOf(`{"content":[{"type":"text","text":${JSON.stringify(text)}}]${structured}}`, resultBytes);
}

function fromContent(value: unknown, resultBytes: number): Answer {
  if (value === undefined) return resultBytesOf('{"content":[]}', resultBytes);
  if (typeof value === 'string') {
    if (value.length > resultBytes) return tooLarge(resultBytes);
    return resultBytesOf(`{"content":[{"type":"text","text":${JSON.stringify(value)}}]}`, resultBytes);
  }
  if (typeof value !== 'object' || value === null || !(Array.isArray(value) || 'type' in value)) {
    return invalid(`the handler returned ${kindOf(value)}; return text, content blocks or nothing, or declare an outputSchema`);
  }
  const text = contentJson(Array.isArray(value) ? value : [value], Array.isArray(value) ? '' : '/0');
  return typeof text === 'string' ? resultBytesOf(`{"content":${text}}`, resultBytes) : text;
}

function fromParts(parts: ResultParts, check: SchemaCheck | undefined, { resultBytes, objectsOnly }: AnswerLimits): Answer {
  const structured = jsonOf(parts.structuredContent);
  if (check !== undefined) {
    if (structured === undefined) return invalid('result() has no structuredContent, and the tool has an outputSchema');
    const mismatch = check(JSON.parse(structured));
    if (mismatch !== undefined) return invalid(mismatch.reason, `/structuredContent${mismatch.path}`);
  }
  const content = contentJson(parts.content ?? textBlocks(structured), '/content');
  if (typeof content !== 'string') return content;
  const answer = resultBytesOf(
    structured === undefined || (objectsOnly && !structured.startsWith('{'))
      ? `{"content":${content}}`
      : `{"content":${content},"structuredContent":${structured}}`,
    resultBytes,
  );
  if (parts._meta === undefined || answer.body === undefined) return answer;
  const meta = plainJson(parts._meta, META_CHARACTERS);
  if (!isJsonObject(meta)) return invalid(`is no JSON object of at most ${META_CHARACTERS} characters`, '/_meta');
  return { outcome: { status: 'ok', meta }, body: answer.body };
}

/** Clients of revisions without structuredContent read the text. */
function textBlocks(structured: string | undefined): unknown[] {
  return structured === undefined ? [] : [{ type: 'text', text: structured }];
}

function contentJson(blocks: readonly unknown[], at: string): string | Answer {
  const text = blocksJson(blocks);
  if (typeof text === 'string') return text;
  return invalid(`is no content block: ${text.reason}`, at === '/0' ? text.path : at + text.path);
}

/** Undefined for what JSON has no form for; throws for cycles, BigInt and what is nested deeper than the stack. */
function jsonOf(value: unknown): string | undefined {
  return JSON.stringify(value) as string | undefined;
}

export function resultBytesOf(text: string, resultBytes: number): Answer {
  // No text has fewer bytes than UTF-16 units; what is surely too large is never encoded.
  if (text.length > resultBytes) return tooLarge(resultBytes);
  const body = encoder.encode(text);
  if (body.byteLength > resultBytes) return tooLarge(resultBytes);
  return isTooDeep(body) ? invalid(`is nested deeper than ${JSON_DEPTH} levels`) : { outcome: { status: 'ok' }, body };
}

function tooLarge(resultBytes: number): Answer {
  return {
    outcome: { status: 'error', failure: failure('result_too_large', { detail: `The limit resultBytes is ${resultBytes}.` }) },
  };
}

export function invalid(reason: string, path = ''): Answer {
  const detail = path === '' ? `The result is not valid: ${reason}.` : `The result is not valid at ${path}: ${reason}.`;
  return { outcome: { status: 'error', failure: failure('result_invalid', { path, reason, detail }) } };
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`.replace('a undefined', 'nothing');
}
