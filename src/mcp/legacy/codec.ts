// Encodes answers for the 2025 era: no `resultType`, no `serverInfo`, errors of a tool as results.
// Not responsible for negotiating or for what the SDK answers itself (initialize, ping, unknown methods).
// Invariant: a result's own bytes are spliced in, never parsed, by the SDK neither.
import { type Failure, failure } from '../../shared/errors.ts';
import { type Message, text } from '../answer.ts';
import type { OperationResult } from '../ports.ts';
import { openBody } from '../result-body.ts';
import { authorMeta, TENANT_META } from '../result-meta.ts';
import { ERROR_META, failureMembers, failureMeta } from '../tool-failure.ts';

/** `_meta` of a result. A tenant id needs no escaping. */
function opening(tenant: string, meta?: Record<string, unknown>): string {
  const own = meta === undefined ? '' : `${JSON.stringify(meta).slice(1, -1)},`;
  return `"_meta":{${own}"${TENANT_META}":"${tenant}"}`;
}

/** `members` are JSON text without braces. */
export function legacyResult(id: string, tenant: string, members: string): Message {
  return text(`{"jsonrpc":"2.0","id":${id},"result":{${opening(tenant)},${members}}}`);
}

export function legacyFailed(id: string, tenant: string, of: Failure, correlation: string): Message {
  const meta = opening(tenant, { [ERROR_META]: failureMeta(of, correlation) });
  return text(`{"jsonrpc":"2.0","id":${id},"result":{${meta},${failureMembers(of, correlation)}}}`);
}

export function legacyCalled(
  id: string,
  tenant: string,
  { outcome, body }: OperationResult,
  correlation: string,
): Message | Promise<Message> {
  switch (outcome.status) {
    case 'error':
      return legacyFailed(id, tenant, outcome.failure, correlation);
    case 'input_required':
      return legacyFailed(id, tenant, failure('elicit_unsupported'), correlation);
    case 'ok': {
      const meta = authorMeta(outcome.meta);
      const head = `{"jsonrpc":"2.0","id":${id},"result":{${opening(tenant, meta)},`;
      const opened = body === undefined ? undefined : openBody(body);
      const spliced = (rest: Awaited<typeof opened>): Message =>
        rest === undefined ? legacyFailed(id, tenant, failure('result_invalid'), correlation) : { head, body: rest, tail: '}' };
      return opened instanceof Promise ? opened.then(spliced) : spliced(opened);
    }
    default:
      return outcome satisfies never;
  }
}
