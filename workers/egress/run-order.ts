// One order of the supervisor, from arguments to outcome. Read `runOrder` top to bottom; it is the whole path.
// Not responsible for repeating anything: it sends at most one request and tells what became of it.
// Invariant: never throws; a lease leaves only for an allowed origin and comes back in nothing that is returned.
import type { EgressOrder, EgressOutcome } from '../../src/boundary/egress.ts';
import type { HttpHead } from '../../src/boundary/host-request.ts';
import type { EgressResult } from '../../src/boundary/thread-messages.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import type { DeclaredTools } from '../bindings/declared-tool.ts';
import type { MapResponse } from '../bindings/answer.ts';
import type { Clients } from '../../src/shared/net/clients.ts';
import { decodeBody } from '../../src/shared/net/decode.ts';
import { exchange, type WireResult } from '../../src/shared/net/exchange.ts';
import { allowOrigin, isAllowedMethod, mayCarryCredential, resolveTarget } from './guard.ts';
import { requestHeaders, responseHeaders } from './headers.ts';
import { leasedPath } from './leased-path.ts';
import type { LeaseBook } from './lease.ts';
import { outcomeOfAnswer, outcomeOfStatus, outcomeOfWire } from './outcome.ts';

export interface OrderRooms {
  readonly tools: DeclaredTools;
  readonly clients: Clients;
  readonly leases: LeaseBook;
  /** Largest result of a declared tool. */
  readonly resultBytes: number;
}

interface Plan {
  readonly ok: true;
  readonly method: string;
  readonly url: URL;
  readonly allowPrivate: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  readonly maxBytes: number;
  /** Present for a declared tool. */
  readonly map: MapResponse | undefined;
}

export async function runOrder(
  rooms: OrderRooms,
  order: EgressOrder,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<EgressResult> {
  const { policy } = order;
  const until = performance.now() + order.timeoutMs;
  const lease = order.lease === undefined ? undefined : rooms.leases.take(order.lease);
  if (order.lease !== undefined && lease === undefined)
    return denied(failure('egress_denied', { detail: 'the lease was used before' }));

  const plan =
    order.work.kind === 'binding' ? planBinding(rooms, order.work, order, body) : planFetch(order.work.request, order, body);
  if (!plan.ok) return denied(plan.failure);
  if (lease !== undefined && !mayCarryCredential(plan.url, policy)) {
    return denied(failure('egress_denied', { detail: 'a credential must not leave unencrypted' }));
  }
  const headers = requestHeaders(plan.headers, order, lease);
  if (!headers.ok) return denied(failure('egress_denied', { message: `The request is refused: ${headers.reason}.` }));

  const { method, url, maxBytes } = plan;
  const leased = leasedPath(url, lease);
  if (!leased.ok) return denied(failure('egress_denied', { message: `The request is refused: ${leased.reason}.` }));
  const wire: WireResult = await exchange(
    rooms.clients.for(url.origin, plan.allowPrivate),
    { method, path: leased.path, headers: headers.headers, body: plan.body },
    { timeoutMs: Math.max(0, until - performance.now()), signal, maxBytes, mayLeave: () => lease?.isGood() ?? true },
  );
  if (!wire.ok) return { outcome: outcomeOfWire(wire, maxBytes) };

  const http: HttpHead = { status: wire.status, headers: responseHeaders(wire.headers, lease), url: url.href.slice(0, 8192) };
  const consumed = outcomeOfStatus(http, lease !== undefined);
  if (consumed !== undefined) return { outcome: consumed };
  const decoded = await decodeBody(wire.body, joined(wire.headers['content-encoding']), maxBytes);
  if (!decoded.ok) {
    return { outcome: outcomeOfWire({ sent: true, code: decoded.code, detail: decoded.detail }, maxBytes) };
  }
  const clean = lease === undefined ? decoded.body : lease.redactBytes(decoded.body);
  if (plan.map === undefined) return { outcome: { status: 'ok', http, sent: true }, body: clean };

  const answer = { status: wire.status, contentType: http.headers['content-type'], body: clean };
  const result = plan.map(answer, order.work.kind === 'binding' && order.work.objectsOnly === true);
  if (!result.ok) return { outcome: outcomeOfAnswer(http, result) };
  if (result.body.byteLength > rooms.resultBytes) {
    const message = `The result has ${result.body.byteLength} bytes; the limit resultBytes is ${rooms.resultBytes}.`;
    return { outcome: { status: 'upstream_error', http, sent: true, failure: failure('result_too_large', { message }) } };
  }
  return { outcome: { status: 'ok', http: { ...http, headers: {} }, sent: true }, body: result.body };
}

type Planned = Plan | { readonly ok: false; readonly failure: Failure };

function planBinding(
  rooms: OrderRooms,
  { tool, idempotencyKey }: Extract<EgressOrder['work'], { kind: 'binding' }>,
  { policy }: EgressOrder,
  args: Uint8Array,
): Planned {
  const [origin] = policy.origins;
  if (origin === undefined) return { ok: false, failure: failure('egress_denied', { detail: 'the connection has no origin' }) };
  const prepared = rooms.tools.prepare(tool, args, origin, idempotencyKey);
  if (!prepared.ok) return prepared;
  const { request, map } = prepared;
  const target = allowOrigin(request.url, policy);
  if (!target.ok) return { ok: false, failure: failure('egress_denied', { detail: target.reason }) };
  const maxBytes = Math.min(policy.maxResponseBytes, prepared.maxBytes ?? policy.maxResponseBytes);
  const { method, url, headers, body } = request;
  return { ok: true, method, url, allowPrivate: target.allowPrivate, headers, body, maxBytes, map };
}

function planFetch(
  request: Extract<EgressOrder['work'], { kind: 'fetch' }>['request'],
  { policy }: EgressOrder,
  body: Uint8Array,
): Planned {
  const method = request.method.toUpperCase();
  if (!isAllowedMethod(method))
    return { ok: false, failure: failure('egress_denied', { message: `The method ${method} is not allowed.` }) };
  const target = resolveTarget(request.url, policy);
  if (!target.ok)
    return { ok: false, failure: failure('egress_denied', { message: `The request is refused: ${target.reason}.` }) };
  const headers =
    request.idempotencyKey === undefined ? request.headers : { ...request.headers, 'idempotency-key': request.idempotencyKey };
  return {
    ok: true,
    method,
    url: target.url,
    allowPrivate: target.allowPrivate,
    headers,
    body: body.byteLength === 0 ? undefined : body,
    maxBytes: policy.maxResponseBytes,
    map: undefined,
  };
}

function denied(reason: Failure): EgressResult {
  return { outcome: { status: 'denied', sent: false, failure: reason } satisfies EgressOutcome };
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}
