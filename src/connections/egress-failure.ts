// What an egress outcome means: to the breaker, and to the caller of the tool. Pure.
// Not responsible for deciding whether to try again (`retry`).
// Invariant: "call again" is only said where nothing unsafe can have happened; a lost answer to an unsafe request is unknown.
import type { EgressOutcome } from '../boundary/egress.ts';
import { type Failure, failure } from '../shared/errors.ts';
import type { Verdict } from './breaker.ts';

/** How the last attempt stood when its outcome came. */
export interface Standing {
  readonly repeatable: boolean;
  readonly signal: AbortSignal;
  /** The deadline of the call has passed. */
  readonly late: boolean;
}

/** A gateway that did not get an answer: the request may have been carried out behind it. */
const UNANSWERED: ReadonlySet<number> = new Set([502, 504]);

export function failureOf(outcome: Exclude<EgressOutcome, { status: 'ok' }>, standing: Standing): Failure {
  switch (outcome.status) {
    case 'credential_rejected':
      return failure('credential_rejected', { detail: `HTTP ${outcome.http.status}` });
    case 'scope_insufficient':
      return failure('credential_rejected', { detail: 'HTTP 403 insufficient_scope' });
    case 'transient': {
      const answered = outcome.http !== undefined && !UNANSWERED.has(outcome.http.status);
      if (standing.signal.aborted) return stoppedFailure(standing.signal);
      if (outcome.sent && !answered && !standing.repeatable) {
        return failure('outcome_unknown', {
          message: 'The answer of the service behind the tool was lost; it may have carried out the request.',
          detail: outcome.detail,
        });
      }
      if (standing.late) return failure('deadline_exceeded', { detail: outcome.detail });
      const wait = outcome.retryAfterMs;
      return failure('upstream_unavailable', { detail: outcome.detail, ...(wait === undefined ? {} : { retryAfterMs: wait }) });
    }
    case 'upstream_error':
    case 'denied':
      return believed(outcome.failure as Failure); // checked with the frame; its `data` was parsed from JSON
    default:
      return outcome satisfies never;
  }
}

/** Who must connect what is the supervisor's to say: a host has no links to give. */
function believed(of: Failure): Failure {
  return of.code === 'not_connected' ? failure('upstream_invalid', { detail: `the host said ${of.code}` }) : of;
}

/** The call was stopped; the reason of the signal is a `CancelReason`. */
export function stoppedFailure(signal: AbortSignal): Failure {
  switch (signal.reason) {
    case 'deadline':
      return failure('deadline_exceeded');
    case 'drained':
      return failure('draining');
    default:
      return failure('cancelled');
  }
}

/** A host of ours that was lost says nothing. 429 is an upstream that works and asks for less: waiting is Retry-After's business, not the breaker's. */
export function verdictOf(outcome: EgressOutcome, signal: AbortSignal): Verdict {
  if (outcome.status === 'denied' || (signal.aborted && signal.reason !== 'deadline')) return 'neutral';
  if (outcome.status !== 'transient') return 'success';
  if (outcome.local === true) return 'neutral';
  return outcome.http?.status === 429 ? 'success' : 'failure';
}
