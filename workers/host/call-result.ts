// From what a thread returned to the frame that ends its call.
// Not responsible for sending it (`supervisor-link`).
// Invariant: only shapes that the supervisor's checks accept, and no body beyond the limit that was promised.
import type { EgressOutcome } from '../../src/boundary/egress.ts';
import type { FromHost } from '../../src/boundary/frames.ts';
import type { HostOutcome } from '../../src/boundary/outcome.ts';
import { failure } from '../../src/shared/errors.ts';
import type { HostCall } from './host-call.ts';
import { egressOutcomeFits, failureFits, outcomeFits } from './thread-guard.ts';

export interface CallEnd {
  readonly frame: Extract<FromHost, { t: 'described' | 'outcome' | 'egressed' }>;
  readonly body: Uint8Array | undefined;
}
type Returned = { ok?: unknown; failure?: unknown; outcome?: unknown; body?: unknown } | null | undefined;

const TOO_LARGE = failure('result_too_large');

/** `posted` is the body that came ahead over the port. Undefined where the thread broke its contract. */
export function endOf(call: HostCall, result: unknown, posted: Uint8Array | undefined, resultBytes: number): CallEnd | undefined {
  const returned = result as Returned;
  if (typeof returned !== 'object' || returned === null) return undefined;
  const body = posted ?? returned.body;
  if (body !== undefined && !(body instanceof Uint8Array)) return undefined;
  switch (call.frame.t) {
    case 'describe':
      return describeEnd(call.id, returned, body);
    case 'call':
      return outcomeFits(returned.outcome) ? callEnd(call.id, returned.outcome, body, resultBytes) : undefined;
    case 'egress': {
      const work = call.frame.order.work;
      const limit = work.kind === 'fetch' ? call.frame.order.policy.maxResponseBytes : resultBytes;
      return egressOutcomeFits(returned.outcome) ? egressEnd(call.id, returned.outcome, body, limit) : undefined;
    }
    default:
      return call.frame satisfies never;
  }
}

function describeEnd(call: number, returned: NonNullable<Returned>, body: Uint8Array | undefined): CallEnd {
  if (returned.ok === true && body !== undefined) return { frame: { t: 'described', call }, body };
  const why = failureFits(returned.failure) ? returned.failure : failure('toolset_broken');
  return { frame: { t: 'outcome', call, outcome: { status: 'error', failure: why } }, body: undefined };
}

function callEnd(call: number, outcome: HostOutcome, body: Uint8Array | undefined, limit: number): CallEnd | undefined {
  if (outcome.status !== 'ok') return { frame: { t: 'outcome', call, outcome }, body: undefined };
  if (body === undefined) return undefined;
  if (body.byteLength <= limit) return { frame: { t: 'outcome', call, outcome }, body };
  return { frame: { t: 'outcome', call, outcome: { status: 'error', failure: TOO_LARGE } }, body: undefined };
}

function egressEnd(call: number, outcome: EgressOutcome, body: Uint8Array | undefined, limit: number): CallEnd {
  if (outcome.status !== 'ok') return { frame: { t: 'egressed', call, outcome }, body: undefined };
  if (body === undefined || body.byteLength <= limit) return { frame: { t: 'egressed', call, outcome }, body };
  const denied: EgressOutcome = { status: 'upstream_error', sent: true, failure: TOO_LARGE };
  return { frame: { t: 'egressed', call, outcome: denied }, body: undefined };
}
