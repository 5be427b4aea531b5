// From what was measured to a row of the table and its verdict: the bars of isolation as one pure function.
// Not responsible for measuring. Invariant: a row passes only if enough calls stand behind it.
import type { Fault } from './faults.ts';
import type { Sample } from './steady-load.ts';

/** What tenant B saw, in one window. */
export interface Seen {
  readonly calls: number;
  /** 0 to 1. */
  readonly success: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Outcomes other than `ok`, with their counts. */
  readonly failures: Readonly<Record<string, number>>;
  /** From the first failed call to the end of the last one. */
  readonly disturbedMs: number;
}

/** Raw findings of one fault. */
export interface Observed {
  readonly fault: Fault;
  readonly quiet: Seen;
  /** B in the cordon of A. */
  readonly beside: Seen;
  /** B in another cordon. */
  readonly apart: Seen;
  /** Hosts of A's cordons that died. */
  readonly hostDeaths: number;
  /** Outcomes of A with their counts. */
  readonly aOutcomes: Readonly<Record<string, number>>;
  /** From A's outcome to its next successful call, the longest of the row. Undefined where it did not come back. */
  readonly recoverMs: number | undefined;
  /** Longest time for which the supervisor's event loop did not turn. Undefined where it cannot be measured. */
  readonly supervisorMaxBlockMs: number | undefined;
  /** Whether the supervisor is still the process that it was. */
  readonly supervisorServes: boolean;
  /** Fewest calls of B that count. */
  readonly needed: number;
  /** How many times as long as its bar something may take. */
  readonly slack: number;
}

export interface Row {
  readonly fault: string;
  /** By what it was contained: a thread died at most, or a host did. */
  readonly kind: 'thread' | 'host';
  readonly bCalls: number;
  readonly bSuccess: number;
  readonly bP50QuietMs: number;
  readonly bP50Ms: number;
  readonly bP99QuietMs: number;
  readonly bP99Ms: number;
  /** Of B in the cordon of A, where a host died. */
  readonly bSameCordonSuccess: number | undefined;
  readonly aOutcome: string;
  readonly recoverMs: number | undefined;
  readonly supervisorMaxBlockMs: number | undefined;
  /** Times that it was measured; the last one counts. */
  readonly attempts: number;
  /** What missed its bar, in words; empty: passed. */
  readonly missed: readonly string[];
  readonly pass: boolean;
}

export const BARS = {
  success: 0.999,
  /** p99 ≤ max(2 × quiet, quiet + 25 ms). */
  p99Factor: 2,
  p99SlackMs: 25,
  sameCordonSuccess: 0.95,
  disturbedMs: 2000,
  recoverMs: { thread: 250, host: 1000 },
  blockMs: 50,
} as const;

/** What a neighbour in a dying host may get: coded errors that say whether to call again. */
const CODED = new Set(['worker_lost', 'outcome_unknown', 'queue_limit', 'concurrency_limit']);

export function seen(samples: readonly Sample[]): Seen {
  const times = samples.map(({ ms }) => ms).sort((a, b) => a - b);
  const failed = samples.filter(({ outcome }) => outcome !== 'ok');
  const failures: Record<string, number> = {};
  for (const { outcome } of failed) failures[outcome] = (failures[outcome] ?? 0) + 1;
  const begun = Math.min(...failed.map(({ at }) => at));
  const ended = Math.max(...failed.map(({ at, ms }) => at + ms));
  return {
    calls: samples.length,
    success: samples.length === 0 ? 0 : 1 - failed.length / samples.length,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    failures,
    disturbedMs: failed.length === 0 ? 0 : ended - begun,
  };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export function judge(observed: Observed): Row {
  const { fault, quiet, beside, apart, hostDeaths, aOutcomes } = observed;
  const kind = hostDeaths > 0 ? 'host' : 'thread';
  const b = kind === 'thread' ? beside : apart;
  const missed = [...missedBars(observed, kind, b)];
  return {
    fault: fault.name,
    kind,
    bCalls: b.calls,
    bSuccess: b.success,
    bP50QuietMs: quiet.p50Ms,
    bP50Ms: b.p50Ms,
    bP99QuietMs: quiet.p99Ms,
    bP99Ms: b.p99Ms,
    bSameCordonSuccess: kind === 'host' ? beside.success : undefined,
    aOutcome: counted(aOutcomes),
    recoverMs: observed.recoverMs,
    supervisorMaxBlockMs: observed.supervisorMaxBlockMs,
    attempts: 1,
    missed,
    pass: missed.length === 0,
  };
}

function* missedBars(observed: Observed, kind: 'thread' | 'host', b: Seen): Generator<string> {
  const { fault, quiet, beside, recoverMs, supervisorMaxBlockMs, supervisorServes, needed, slack } = observed;
  if (kind === 'host' && fault.contained === 'thread') yield 'a host died of what a thread is to contain';
  if (b.calls < needed) yield `only ${b.calls} calls of B, ${needed} are needed`;
  if (b.success < BARS.success) yield `B's success ${percent(b.success)} (${counted(b.failures)})`;
  const p99 = slack * Math.max(BARS.p99Factor * quiet.p99Ms, quiet.p99Ms + BARS.p99SlackMs);
  if (!(b.p99Ms <= p99)) yield `B's p99 ${b.p99Ms.toFixed(1)} ms, allowed ${p99.toFixed(1)}`;
  if (kind === 'host') {
    if (beside.success < BARS.sameCordonSuccess) yield `B in the same cordon: success ${percent(beside.success)}`;
    if (beside.disturbedMs > slack * BARS.disturbedMs)
      yield `B in the same cordon: disturbed for ${beside.disturbedMs.toFixed(0)} ms`;
    const uncoded = Object.keys(beside.failures).filter((code) => !CODED.has(code));
    if (uncoded.length > 0) yield `B in the same cordon got ${uncoded.join(', ')}`;
  }
  if (recoverMs === undefined) yield 'A did not come back';
  else if (recoverMs > slack * BARS.recoverMs[kind]) yield `A came back after ${recoverMs.toFixed(0)} ms`;
  if (supervisorMaxBlockMs !== undefined && supervisorMaxBlockMs > slack * BARS.blockMs) {
    yield `the supervisor's loop stood still for ${supervisorMaxBlockMs.toFixed(0)} ms`;
  }
  if (!supervisorServes) yield 'the supervisor ended';
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0.9999 && share < 1 ? 3 : 2)} %`;
}

function counted(outcomes: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(outcomes).sort(([, a], [, b]) => b - a);
  return sorted.map(([outcome, count]) => (count === 1 ? outcome : `${outcome} ×${count}`)).join(', ');
}
