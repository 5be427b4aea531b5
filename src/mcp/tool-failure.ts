// A failed call as a tool result that an agent can act on: one sentence, what to do next, and the same as data.
// Not responsible for failures that end the request itself (`protocol-error`); `isProtocolFailure` says which do.
// Invariant: nothing but public text and the table's facts; `detail` never passes.
import { connectAdvice } from './connect.ts';
import type { JsonObject } from '../shared/json.ts';
import { FAILURES, type Failure, type FailureCode, nextAction, publicText } from '../shared/errors.ts';

/** Key in a result's `_meta`. */
export const ERROR_META = 'leasehold/error';

/** What a client did wrong as a protocol participant; everything else is a result of the call. */
const PROTOCOL: ReadonlySet<FailureCode> = new Set([
  'tool_unknown',
  'scope_insufficient',
  'capability_missing',
  'params_invalid',
  'state_invalid',
]);
export function isProtocolFailure(of: Failure): boolean {
  return PROTOCOL.has(of.code);
}

/** The members `content`, `isError` of a CallToolResult, as JSON text without braces. */
export function failureMembers(of: Failure, correlation: string): string {
  return `"content":[{"type":"text","text":${JSON.stringify(advice(of, correlation))}}],"isError":true`;
}

/** The value of `_meta["leasehold/error"]`. */
export function failureMeta(of: Failure, correlation: string): Record<string, unknown> {
  const { code, path, reason, toolCode, data } = of;
  const meta: Record<string, unknown> = {
    class: FAILURES[code].class,
    code,
    correlationId: correlation,
    nextAction: nextAction(of),
  };
  if (path !== undefined) meta['path'] = path;
  if (reason !== undefined) meta['reason'] = reason;
  if (toolCode !== undefined) meta['toolCode'] = toolCode;
  if (data !== undefined) meta['data'] = data;
  return meta;
}

/** What a JSON-RPC error says beside the table's facts, where what failed has no result to say it in. `name`: see `Asked`. */
export function failedData(of: Failure, correlation: string, name: string): JsonObject {
  if (of.code === 'resource_unknown') return { uri: name };
  return failureMeta(of, correlation) as JsonObject;
}

function advice(of: Failure, correlation: string): string {
  const text = publicText(of);
  const next = nextAction(of);
  switch (next.do) {
    case 'fix_arguments':
      return `${text} ${next.path === '' ? 'The arguments' : next.path}: ${next.reason}. Fix the arguments and call again.`;
    case 'reauthorize':
      return `${text} ${connectAdvice(of) ?? `Ask the user to open ${next.url}, then call again.`}`;
    case 'retry':
      return `${text} Call again in ${next.afterMs} ms.`;
    case 'contact_operator':
      return `${text} Calling again will not help; tell the operator of this server the reference ${correlation}.`;
    case 'none':
      return of.code === 'tool_error' ? text : `${text} Reference ${correlation}.`;
    default:
      return next satisfies never;
  }
}
