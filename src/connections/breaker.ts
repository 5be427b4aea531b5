// A circuit breaker as values: closed, open until a time, or half-open with one probe under way.
// Not responsible for keeping states (`breakers`), for what counts as a failure, or for clocks: `now` is handed in.
// Invariant: while open nothing passes; after that one probe at a time decides; late results of older requests decide nothing.

export type BreakerState =
  | { readonly status: 'closed'; readonly failures: number }
  | { readonly status: 'open'; readonly until: number; readonly opened: number }
  | { readonly status: 'half-open'; readonly opened: number };

/** A request that was let through: `probe` is the one that decides over a half-open breaker. */
export type Pass = 'normal' | 'probe';
/** `neutral`: the request says nothing about the upstream (cancelled, denied, never sent on). */
export type Verdict = 'success' | 'failure' | 'neutral';

export const CLOSED: BreakerState = Object.freeze({ status: 'closed', failures: 0 });

/** Failures in a row that open the breaker. */
export const FAILURES_TO_OPEN = 5;
const OPEN_MS = 5000;
const LONGEST_OPEN_MS = 60_000;
/** What a caller is told to wait while a probe is under way. */
const PROBE_WAIT_MS = 1000;

export type Admission =
  | { readonly pass: Pass; readonly state: BreakerState }
  | { readonly pass: undefined; readonly retryAfterMs: number };

export function admit(state: BreakerState, now: number): Admission {
  switch (state.status) {
    case 'closed':
      return { pass: 'normal', state };
    case 'open':
      if (now < state.until) return { pass: undefined, retryAfterMs: Math.ceil(state.until - now) };
      return { pass: 'probe', state: { status: 'half-open', opened: state.opened } };
    case 'half-open':
      return { pass: undefined, retryAfterMs: PROBE_WAIT_MS };
    default:
      return state satisfies never;
  }
}

export function settle(state: BreakerState, pass: Pass, verdict: Verdict, now: number): BreakerState {
  if (pass === 'probe') {
    if (state.status !== 'half-open') return state;
    if (verdict === 'success') return CLOSED;
    // A probe that told nothing leaves the next caller to probe at once.
    if (verdict === 'neutral') return { status: 'open', until: now, opened: state.opened };
    return open(state.opened + 1, now);
  }
  if (state.status !== 'closed' || verdict === 'neutral') return state;
  if (verdict === 'success') return CLOSED;
  return state.failures + 1 >= FAILURES_TO_OPEN ? open(1, now) : { status: 'closed', failures: state.failures + 1 };
}

/** Twice as long each time that a probe failed. */
function open(opened: number, now: number): BreakerState {
  return { status: 'open', until: now + Math.min(OPEN_MS * 2 ** (opened - 1), LONGEST_OPEN_MS), opened };
}
