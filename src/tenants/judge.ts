// How a call ended, as its caller is told: pure.
// Not responsible for finding out (hosts, egress) or for wording (codecs).
// Invariant: "call again" is only said where nothing unsafe can have happened; everything else is `outcome_unknown`.
import type { CallOutcome } from '../boundary/outcome.ts';
import { type Failure, failure } from '../shared/errors.ts';

/** What is known of the call besides its outcome. */
export interface CallFacts {
  /** A request that must not be repeated was sent, or the store was written. */
  readonly changed: boolean;
  /** The tool is declared idempotent or read-only. */
  readonly repeatable: boolean;
}

/** Failures after which nobody knows how far the run came. */
const INTERRUPTED: ReadonlySet<Failure['code']> = new Set([
  'worker_lost',
  'deadline_exceeded',
  'heap_limit',
  'run_limit',
  'cancelled',
  'draining',
  'result_too_large',
  'internal_error',
]);

export function judge(outcome: CallOutcome, facts: CallFacts): CallOutcome {
  if (outcome.status !== 'error' || !INTERRUPTED.has(outcome.failure.code)) return outcome;
  if (!facts.changed || facts.repeatable) return outcome;
  return { status: 'error', failure: failure('outcome_unknown', { detail: `after ${outcome.failure.code}` }) };
}

/** The outcome record could not be written: what may be told of a run that has already happened. */
export function withoutRecord(facts: CallFacts): CallOutcome {
  return { status: 'error', failure: failure(facts.changed && !facts.repeatable ? 'outcome_unknown' : 'audit_unavailable') };
}
