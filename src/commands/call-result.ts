// The answer to a tool call, for a person: the result's text, or what went wrong and what to do next.
// Not responsible for making the call.
// Invariant: what the tool or the server sent is shown as text; it cannot send control sequences to the terminal.
import type { Json, JsonObject } from '../shared/json.ts';
import { printable } from './log-line.ts';
import { isObject, type McpAnswer } from './mcp-client.ts';

/** What both kinds of failure (a result with `isError`, a JSON-RPC error) say in the same members. */
export interface CallFailure {
  readonly class: string;
  readonly code: string;
  readonly message: string;
  readonly correlation: string | undefined;
  readonly next: string | undefined;
}

export function failureOf(answer: McpAnswer, tool: string): CallFailure | undefined {
  if ('error' in answer) {
    const data = isObject(answer.error.data) ? answer.error.data : {};
    return describe(data, `${tool}: ${answer.error.message}`, answer.correlation, String(answer.error.code));
  }
  const { result } = answer;
  if (result['resultType'] === 'input_required') {
    const message = `${tool} asks its user something, which this command cannot answer`;
    return { class: 'input', code: 'input_required', message, correlation: answer.correlation, next: undefined };
  }
  if (result['isError'] !== true) return undefined;
  const meta = isObject(result['_meta']) ? result['_meta']['leasehold/error'] : undefined;
  return describe(isObject(meta) ? meta : {}, `${tool}: ${resultText(result)}`, answer.correlation, 'tool_error');
}

function describe(data: JsonObject, text: string, correlation: string | undefined, fallbackCode: string): CallFailure {
  const next = isObject(data['nextAction']) ? data['nextAction'] : {};
  const fix = next['do'] === 'fix_arguments';
  return {
    class: string(data['class']) ?? 'error',
    code: string(data['code']) ?? fallbackCode,
    message: fix
      ? `${text.slice(0, text.indexOf(': '))}: ${string(next['path']) || 'the arguments'} ${string(next['reason']) ?? ''}`
      : text,
    correlation: string(data['correlationId']) ?? correlation,
    next: nextText(next),
  };
}

function nextText(next: JsonObject): string | undefined {
  switch (next['do']) {
    case 'fix_arguments':
    case 'contact_operator':
      return next['do'];
    case 'retry':
      return `retry in ${Number(next['afterMs'])} ms`;
    case 'reauthorize':
      return `open ${string(next['url'])}`;
    default:
      return undefined;
  }
}

/** `✗ input  arguments_invalid   hello: /name is required   next: fix_arguments   call 01JD…` */
export function failureLine(of: CallFailure): string {
  const tail = [
    of.next === undefined ? '' : `   next: ${of.next}`,
    of.correlation === undefined || of.message.includes(of.correlation) ? '' : `   call ${of.correlation}`,
  ];
  return `✗ ${of.class}  ${of.code}   ${printable(of.message)}${tail.join('')}\n`;
}

/** The content of a result, one block after the other. */
export function resultText(result: JsonObject): string {
  const content = Array.isArray(result['content']) ? result['content'] : [];
  return content.map((block) => (isObject(block) ? blockText(block) : '')).join('\n');
}

function blockText(block: JsonObject): string {
  switch (block['type']) {
    case 'text':
      return (string(block['text']) ?? '').split('\n').map(printable).join('\n');
    case 'image':
    case 'audio':
      return `[${block['type']}, ${string(block['mimeType'])}, ${Buffer.byteLength(string(block['data']) ?? '', 'base64')} bytes]`;
    case 'resource_link':
      return `[link] ${printable(`${string(block['name'])} ${string(block['uri'])}`)}`;
    default:
      return printable(JSON.stringify(block));
  }
}

function string(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
