// One request of a tool to an upstream, with its recovery: record, send, read the outcome, wait and repeat, record.
// Not responsible for HTTP (the egress thread), for processes (`hosts/`), or for what the failure does to the tool's call.
// Invariant: no record, no request; what may have had an effect is not repeated unless that is harmless; the one place
// of retry, breaker and (for connections with a credential) refresh.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditLog, AuditSubject } from '../audit/record.ts';
import type { EgressOrder, EgressOutcome, EgressWork, Lease, OriginPolicy } from '../boundary/egress.ts';
import type { FetchRequest, HttpHead } from '../boundary/host-request.ts';
import type { LoadedBinding } from '../boundary/binding.ts';
import type { CompiledConnection } from '../config/compiled.ts';
import type { Body, EgressPool } from '../hosts/pool.ts';
import { type Failure, failure, isFailure } from '../shared/errors.ts';
import { newCorrelationId } from '../shared/ids.ts';
import { Breakers } from './breakers.ts';
import type { CredentialAsk } from './credential-ask.ts';
import type { Credentials } from './credentials.ts';
import { failureOf, stoppedFailure, verdictOf } from './egress-failure.ts';
import { originPolicy, targetOrigin } from './policy.ts';
import { backoffMs, isRepeatableBinding, isRepeatableFetch } from './retry.ts';

/** What is asked: a declared tool (body of the request: its arguments as JSON), or a request of tool code (body: its own). */
export type EgressAsk =
  | { readonly kind: 'binding'; readonly tool: string; readonly binding: LoadedBinding; readonly objectsOnly?: boolean }
  | { readonly kind: 'fetch'; readonly request: FetchRequest };

export interface EgressRequest {
  readonly tenant: string;
  readonly pool: EgressPool;
  readonly connection: CompiledConnection;
  readonly ask: EgressAsk;
  readonly body: Uint8Array;
  /** Largest response body, decoded. */
  readonly upstreamBytes: number;
  /** Who asks, for the audit; `parent` is the id of the call that asks. */
  readonly subject: Omit<AuditSubject, 'id' | 'tenant'>;
  /** Of the client's request, for the upstream. */
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
  readonly baggage?: string | undefined;
  /** Epoch milliseconds. */
  readonly deadline: number;
  /** Scopes of the upstream that the tool needs. @default none */
  readonly scopes?: readonly string[];
  /** The tool is declared idempotent or read-only, so any request of it may be repeated. */
  readonly repeatable: boolean;
  /** Aborts with a `CancelReason` when the call is stopped. */
  readonly signal: AbortSignal;
  /** Called before a request leaves that must not be repeated. */
  onUnsafeSent(): void;
}

export type EgressSettled =
  | { readonly ok: true; readonly http: HttpHead; readonly body: Body | undefined }
  | { readonly ok: false; readonly failure: Failure };

/** Never rejects. */
export type EgressCall = (request: EgressRequest) => Promise<EgressSettled>;

export interface EgressCallPorts {
  readonly audit: AuditLog;
  /** Without it, connections that need a credential are refused. */
  readonly credentials?: Credentials;
  readonly privateOrigins: readonly string[];
  /** Epoch milliseconds; the clock and the dice are handed in for tests. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** The thread's timer and this clock do not agree to the millisecond. */
const LATE_MS = 20;

/** What stays the same over all attempts of one request. */
interface Prepared {
  readonly request: EgressRequest;
  readonly ask: CredentialAsk;
  readonly method: string;
  readonly origin: string;
  readonly work: EgressWork;
  readonly policy: OriginPolicy;
  readonly repeatable: boolean;
}
type Attempt =
  | { readonly done: EgressSettled }
  /** The credential was refused and there is a newer one. */
  | { readonly renewed: true }
  | { readonly transient: Extract<EgressOutcome, { status: 'transient' }>; readonly failure: Failure };

export function createEgressCall(ports: EgressCallPorts): EgressCall {
  const { audit, credentials = NO_CREDENTIALS, privateOrigins, now = Date.now, random = Math.random } = ports;
  const breakers = new Breakers(now);

  return async (request) => {
    const prepared = prepare(request, privateOrigins);
    let renewed = false;
    for (let attempt = 1; ; attempt += 1) {
      const tried = await once(prepared, attempt, renewed);
      if ('done' in tried) return tried.done;
      if ('renewed' in tried) {
        renewed = true;
        continue;
      }
      const { transient } = tried;
      const mayRepeat = prepared.repeatable || !transient.sent;
      const wait = mayRepeat ? backoffMs(attempt, transient.retryAfterMs, request.deadline - now(), random()) : undefined;
      if (wait === undefined) return { ok: false, failure: tried.failure };
      try {
        await sleep(wait, undefined, { signal: request.signal });
      } catch {
        return { ok: false, failure: stoppedFailure(request.signal) };
      }
    }
  };

  /** Pass the breaker, lease, record, send, record. `renewed`: a newer credential was fetched for this request before. */
  async function once(prepared: Prepared, attempt: number, renewed: boolean): Promise<Attempt> {
    const { request, origin } = prepared;
    if (request.signal.aborted) return refused(stoppedFailure(request.signal));
    if (request.deadline - now() < 1) return refused(failure('deadline_exceeded'));
    const admission = breakers.admit(request.tenant, origin);
    if (admission.pass === undefined) {
      const { retryAfterMs } = admission;
      return refused(failure('upstream_unavailable', { retryAfterMs, detail: `breaker open for ${origin}` }));
    }
    let verdict: ReturnType<typeof verdictOf> = 'neutral';
    try {
      const pending = credentials.lease(prepared.ask);
      const leased = pending === undefined ? undefined : await pending;
      if (leased !== undefined && isFailure(leased)) return refused(leased);
      if (request.signal.aborted) return refused(stoppedFailure(request.signal));
      const timeoutMs = Math.floor(request.deadline - now());
      if (timeoutMs < 1) return refused(failure('deadline_exceeded'));
      const subject: AuditSubject = { ...request.subject, tenant: request.tenant, id: newCorrelationId() };
      const { slot: connection } = request.connection;
      const lease = leased === undefined ? {} : { lease: leased.lease.id };
      try {
        await audit.append({
          ...subject,
          kind: 'egress.request',
          connection,
          method: prepared.method,
          origin,
          attempt,
          ...lease,
        });
      } catch {
        return refused(failure('audit_unavailable'));
      }
      if (!prepared.repeatable) request.onUnsafeSent();
      const begun = now();
      const { outcome, body } = await request.pool.send(
        orderOf(prepared, timeoutMs, leased?.lease),
        request.body,
        request.signal,
      );
      verdict = verdictOf(outcome, request.signal);
      const status = outcome.status === 'denied' ? undefined : outcome.http?.status;
      try {
        await audit.append({
          ...subject,
          kind: 'egress.outcome',
          connection,
          ...(status === undefined ? {} : { status }),
          outcome: outcome.status,
          durationMs: now() - begun,
        });
      } catch {
        if (body !== undefined && !(body instanceof Uint8Array)) body.cancel();
        return refused(failure(outcome.sent && !prepared.repeatable ? 'outcome_unknown' : 'audit_unavailable'));
      }
      if (leased !== undefined) {
        if (outcome.status === 'credential_rejected') {
          const newer = await credentials.rejected(prepared.ask, leased.version);
          if (newer !== 'resend') return refused(newer);
          if (!renewed) return { renewed: true };
        } else if (outcome.status === 'scope_insufficient') {
          credentials.accepted(prepared.ask);
          return refused(await credentials.insufficient(prepared.ask, outcome.scopes));
        } else if (status !== undefined) credentials.accepted(prepared.ask);
      }
      if (outcome.status === 'ok') return { done: { ok: true, http: outcome.http, body } };
      const reason = failureOf(outcome, {
        repeatable: prepared.repeatable,
        signal: request.signal,
        late: request.deadline - now() < LATE_MS,
      });
      return outcome.status === 'transient' ? { transient: outcome, failure: reason } : refused(reason);
    } finally {
      breakers.settle(request.tenant, origin, admission.pass, verdict);
    }
  }
}

function refused(reason: Failure): Attempt {
  return { done: { ok: false, failure: reason } };
}

function prepare(request: EgressRequest, privateOrigins: readonly string[]): Prepared {
  const { ask, connection } = request;
  const policy = originPolicy(connection, privateOrigins, request.upstreamBytes);
  const { tenant, subject, scopes = [], deadline, signal } = request;
  const credential: CredentialAsk = { tenant, connection, subject, scopes, deadline, signal };
  if (ask.kind === 'binding') {
    return {
      request,
      ask: credential,
      method: ask.binding.kind === 'rest' ? ask.binding.method : 'POST',
      origin: connection.origins[0] ?? 'none',
      work: {
        kind: 'binding',
        tool: ask.tool,
        ...(ask.objectsOnly === true ? { objectsOnly: true } : {}),
        ...(ask.binding.idempotencyKey === undefined ? {} : { idempotencyKey: randomUUID() }),
      },
      policy,
      repeatable: request.repeatable || isRepeatableBinding(ask.binding),
    };
  }
  return {
    request,
    ask: credential,
    method: ask.request.method.toUpperCase(),
    origin: targetOrigin(ask.request.url, connection)?.slice(0, 300) ?? 'invalid',
    work: ask,
    policy,
    repeatable: request.repeatable || isRepeatableFetch(ask.request),
  };
}

function orderOf({ work, policy, request }: Prepared, timeoutMs: number, lease: Lease | undefined): EgressOrder {
  const { traceparent, tracestate, baggage } = request;
  return {
    work,
    policy,
    traceparent,
    timeoutMs,
    ...(lease === undefined ? {} : { lease }),
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(baggage === undefined ? {} : { baggage }),
  };
}

const NO_CREDENTIALS: Credentials = {
  ready: async ({ connection }) => (connection.type === 'none' ? undefined : failure('not_connected')),
  lease: ({ connection }) => (connection.type === 'none' ? undefined : Promise.resolve(failure('not_connected'))),
  rejected: async () => failure('credential_rejected'),
  insufficient: async () => failure('credential_rejected'),
  accepted: () => undefined,
  close: async () => undefined,
};
