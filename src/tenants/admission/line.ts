// One tenant at the gate: its calls under way, those that wait, and how fast it may begin new ones.
// Not responsible for the other tenants (`admission`) or for budgets of a day (`usage`).
// Invariant: counts never exceed the limits they are asked with; a waiting call leaves the line once: served, refused or given up.
import type { Limits } from '../../shared/limits.ts';

export type AdmissionLimits = Pick<
  Limits,
  'concurrentCalls' | 'callsPerSubject' | 'callsPerSecond' | 'queueLength' | 'queueWaitMs' | 'weight'
>;

/** A call that waits for a slot. */
export interface Waiting {
  readonly subject: string;
  readonly limits: AdmissionLimits;
  /** Milliseconds of the monotonic clock. */
  readonly since: number;
  serve(): void;
}

/** How much one call weighs in the mean duration: about the last twenty count. */
const MEAN_SHARE = 0.05;
/** Subjects that are remembered at all, beside two for each call under way. */
const SUBJECTS = 64;

export class Line {
  running = 0;
  readonly waiting: Waiting[] = [];
  readonly #subjects = new Map<string, number>();
  #meanMs = 0;
  #tokens: number;
  #filledAt: number;

  constructor(callsPerSecond: number, now: number) {
    this.#tokens = callsPerSecond;
    this.#filledAt = now;
  }

  get idle(): boolean {
    return this.running === 0 && this.waiting.length === 0;
  }

  /** Takes one call from what may begin in this second (token bucket); else milliseconds until there is one. */
  paced(callsPerSecond: number, now: number): number {
    this.#tokens = Math.min(callsPerSecond, this.#tokens + ((now - this.#filledAt) * callsPerSecond) / 1000);
    this.#filledAt = now;
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) * 1000) / callsPerSecond);
    this.#tokens -= 1;
    return 0;
  }
  /** Whether its pace is as if it had never called: nothing is lost when it is forgotten. */
  rested(callsPerSecond: number, now: number): boolean {
    return this.#tokens + ((now - this.#filledAt) * callsPerSecond) / 1000 >= callsPerSecond;
  }

  /** Whether the tenant's own limits leave room for a call of this subject. */
  hasRoom(subject: string, limits: AdmissionLimits): boolean {
    return this.running < limits.concurrentCalls && (this.#subjects.get(subject) ?? 0) < limits.callsPerSubject;
  }

  begin(subject: string): void {
    this.running += 1;
    this.#subjects.set(subject, (this.#subjects.get(subject) ?? 0) + 1);
  }
  end(subject: string, tookMs: number): void {
    this.running -= 1;
    const left = (this.#subjects.get(subject) ?? 1) - 1;
    this.#subjects.set(subject, left);
    if (this.#subjects.size > SUBJECTS + 2 * this.running) this.#forgetIdle();
    this.#meanMs += (tookMs - this.#meanMs) * MEAN_SHARE;
  }

  /** An entry that comes and goes with every call would make a new table of all of them every few calls. */
  #forgetIdle(): void {
    for (const [subject, running] of this.#subjects) if (running === 0) this.#subjects.delete(subject);
  }

  /** How long one more call would wait, as far as the last ones tell. */
  expectedWaitMs({ concurrentCalls }: AdmissionLimits): number {
    return ((this.waiting.length + 1) * this.#meanMs) / concurrentCalls;
  }

  /** The one that has waited longest of those whose subject has room. */
  next(): Waiting | undefined {
    return this.waiting.find((one) => this.hasRoom(one.subject, one.limits));
  }
  leave(one: Waiting): boolean {
    const at = this.waiting.indexOf(one);
    if (at === -1) return false;
    this.waiting.splice(at, 1);
    return true;
  }
}
