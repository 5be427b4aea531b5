// What a thrown value becomes: a failure as plain data, with the author's view of it in `detail`.
// Not responsible for mapping positions back to sources: the supervisor holds the source map.
// Invariant: never throws, whatever was thrown (null, a proxy, an error whose getters throw), and everything is bounded.
import { failureBehind, ToolError } from '../../src/author/errors.ts';
import { type Failure, failure, type FailureCode } from '../../src/shared/errors.ts';
import type { Json } from '../../src/shared/json.ts';
import { INSTEAD_OF_GLOBAL, INSTEAD_OF_IMPORT } from './allow-list.ts';
import { plainJson } from './plain-json.ts';

const MESSAGE_CHARACTERS = 4096;
const DETAIL_CHARACTERS = 16_384;
const CODE_CHARACTERS = 128;
const DATA_CHARACTERS = 16_384;
const LONGEST_RETRY_MS = 86_400_000;
const CAUSES = 3;

export function failureOf(thrown: unknown): Failure {
  try {
    const ours = failureBehind(thrown);
    if (ours !== undefined) return ours;
    if (thrown instanceof ToolError) return toolError(thrown);
    return codedFailure('tool_failed', thrown);
  } catch {
    return failure('tool_failed', { detail: 'The tool threw a value that cannot be read.' });
  }
}

/** The stack of what was thrown, under a code of ours. */
export function codedFailure(code: FailureCode, thrown: unknown): Failure {
  return failure(code, { detail: detailOf(thrown).slice(0, DETAIL_CHARACTERS) });
}

function toolError(error: ToolError): Failure {
  const { code, retryAfterMs, data } = error;
  return failure('tool_error', {
    message: String(error.message).slice(0, MESSAGE_CHARACTERS),
    ...(code === undefined ? {} : { toolCode: String(code).slice(0, CODE_CHARACTERS) }),
    ...(isDuration(retryAfterMs) ? { retryAfterMs: Math.min(Math.ceil(retryAfterMs), LONGEST_RETRY_MS) } : {}),
    ...dataOf(data),
    detail: detailOf(error).slice(0, DETAIL_CHARACTERS),
  });
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** Data that does not fit a frame's header is left out: the error itself is worth more than its appendix. */
function dataOf(data: unknown): { data?: Json } {
  const plain = data === undefined ? undefined : plainJson(data, DATA_CHARACTERS);
  return plain === undefined ? {} : { data: plain };
}

function detailOf(thrown: unknown): string {
  const parts: string[] = [];
  let at = thrown;
  for (let i = 0; i <= CAUSES; i += 1) {
    parts.push(i === 0 ? textOf(at) : `caused by: ${textOf(at)}`);
    if (typeof at !== 'object' || at === null || !('cause' in at) || at.cause === undefined) break;
    at = at.cause;
  }
  return parts.join('\n');
}

function textOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return `thrown: ${typeof thrown === 'string' ? thrown : String(thrown)}`;
  const { stack, message, code } = thrown as { stack?: unknown; message?: unknown; code?: unknown };
  const text =
    typeof stack === 'string' && stack !== ''
      ? stack
      : `thrown: ${typeof message === 'string' ? message : Object.prototype.toString.call(thrown)}`;
  return withoutOurFrames(text.slice(0, DETAIL_CHARACTERS)) + hintFor(code, typeof message === 'string' ? message : '');
}

/** `fetch is not defined` is true and helps nobody. */
function hintFor(code: unknown, message: string): string {
  if (code === 'ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING') return `\nimport() is not available in tools: ${INSTEAD_OF_IMPORT}.`;
  const name = /^(\w+) is not defined$/.exec(message)?.[1] ?? '';
  return Object.hasOwn(INSTEAD_OF_GLOBAL, name) ? `\n${name} is not available in tools: ${INSTEAD_OF_GLOBAL[name]}.` : '';
}

const FRAME = /^ {4}at /;
const BUNDLE_FRAME = /^ {4}at .*@[0-9a-f]{8}\.js:\d+:\d+/;
const NODE_FRAME = /\(?(?:node:|<anonymous>|native)/;

/** What called the handler, and the runtime in between, tells an author nothing and names files of the machine. */
function withoutOurFrames(stack: string): string {
  const lines = stack.split('\n');
  const last = lines.findLastIndex((line) => BUNDLE_FRAME.test(line));
  const isKept = (line: string, index: number) =>
    !FRAME.test(line) || BUNDLE_FRAME.test(line) || (index < last && NODE_FRAME.test(line));
  return lines.filter(isKept).join('\n');
}
