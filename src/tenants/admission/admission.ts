// Grants a slot to a call, lets it wait for one, or refuses it with the name of the limit.
// Not responsible for deadlines, for budgets of a day (`usage`), or for nested calls: those run in the slot of the call that began
// them (never waiting for themselves).
// Invariant: a slot is given back exactly once; a tenant waits for its own calls, and for others only while the whole server is
// full and it holds more than its weight: then the slot goes to whoever holds least of its share.
import { type Failure, failure } from '../../shared/errors.ts';
import { type AdmissionLimits, Line, type Waiting } from './line.ts';

const RETRY_MS = 250;
const MAX_RETRY_MS = 60_000;
/** Lines of tenants that do nothing are looked through when there are this many more than at the last look. */
const FORGET_EVERY = 1024;

export interface Slot {
  release(): void;
}

export interface AdmissionAsk {
  readonly tenant: string;
  readonly subject: string;
  readonly limits: AdmissionLimits;
  /** The caller has no use for a slot after this, milliseconds from now. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

export interface Admission {
  /** A slot, at once where there is one, or why not. */
  admit(ask: AdmissionAsk): Slot | Failure | Promise<Slot | Failure>;
  /** Calls under way, of all tenants. */
  readonly running: number;
  /** Of one tenant: what a metric shows. */
  state(tenant: string): { readonly running: number; readonly waiting: number };
  /** From now on everything is refused with `draining`; resolves when the last slot was given back or after `withinMs`. */
  drain(withinMs: number): Promise<void>;
}

export interface AdmissionOptions {
  /** Calls of all tenants under way at once; a tenant that holds less than its weight gets a slot beyond it. */
  readonly capacity: number;
}

export function createAdmission(options: AdmissionOptions): Admission {
  return new FairAdmission(options.capacity);
}

class FairAdmission implements Admission {
  readonly #capacity: number;
  readonly #lines = new Map<string, Line>();
  /** Tenants with calls that wait. */
  readonly #waiting = new Set<Line>();
  #running = 0;
  #forgetAt = FORGET_EVERY;
  #draining = false;
  #onIdle: (() => void) | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get running(): number {
    return this.#running;
  }

  state(tenant: string): { running: number; waiting: number } {
    const line = this.#lines.get(tenant);
    return { running: line?.running ?? 0, waiting: line?.waiting.length ?? 0 };
  }

  admit(ask: AdmissionAsk): Slot | Failure | Promise<Slot | Failure> {
    if (this.#draining) return failure('draining', { retryAfterMs: RETRY_MS });
    const { limits, subject } = ask;
    const now = performance.now();
    const line = this.#line(ask.tenant, limits, now);
    const pauseMs = line.paced(limits.callsPerSecond, now);
    if (pauseMs > 0) {
      return refused('rate_limit', 'callsPerSecond', `The tenant may begin ${limits.callsPerSecond} calls a second`, pauseMs);
    }
    if (line.hasRoom(subject, limits) && this.#hasRoom(line, limits)) return this.#grant(line, subject, now);
    return this.#wait(line, ask, now);
  }

  async drain(withinMs: number): Promise<void> {
    this.#draining = true;
    for (const line of this.#waiting) for (const one of line.waiting.splice(0)) one.serve();
    this.#waiting.clear();
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Of the whole server. Whoever holds less than its weight is never held up by others. */
  #hasRoom(line: Line, { weight }: AdmissionLimits): boolean {
    return this.#running < this.#capacity || line.running < weight;
  }

  #grant(line: Line, subject: string, now: number): Slot {
    line.begin(subject);
    this.#running += 1;
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        this.#running -= 1;
        line.end(subject, performance.now() - now);
        if (this.#waiting.size > 0) this.#serveNext();
        if (this.#running === 0) this.#onIdle?.();
      },
    };
  }

  #wait(line: Line, { subject, limits, patienceMs, signal }: AdmissionAsk, now: number): Failure | Promise<Slot | Failure> {
    const { queueLength, queueWaitMs } = limits;
    const expectedMs = line.expectedWaitMs(limits);
    if (queueLength === 0 || queueWaitMs === 0) return this.#full(line, subject, limits);
    if (line.waiting.length >= queueLength) {
      return refused('queue_limit', 'queueLength', `${queueLength} calls of the tenant wait for a slot`, expectedMs);
    }
    const waitMs = Math.min(queueWaitMs, patienceMs);
    if (expectedMs > waitMs) {
      return refused('queue_limit', 'queueWaitMs', `A slot would be free only after ${Math.ceil(expectedMs)} ms`, expectedMs);
    }
    return new Promise((resolve) => {
      const leave = (result: Slot | Failure): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', cancelled);
        if (line.waiting.length === 0) this.#waiting.delete(line);
        resolve(result);
      };
      const one: Waiting = {
        subject,
        limits,
        since: now,
        serve: () =>
          leave(this.#draining ? failure('draining', { retryAfterMs: RETRY_MS }) : this.#grant(line, subject, performance.now())),
      };
      const cancelled = (): void => {
        if (line.leave(one)) leave(failure('cancelled'));
      };
      const timer = setTimeout(() => {
        if (line.leave(one)) leave(refused('queue_limit', 'queueWaitMs', `The call waited ${queueWaitMs} ms for a slot`, waitMs));
      }, waitMs);
      signal.addEventListener('abort', cancelled, { once: true });
      line.waiting.push(one);
      this.#waiting.add(line);
      if (signal.aborted) cancelled();
    });
  }

  #full(line: Line, subject: string, limits: AdmissionLimits): Failure {
    const { concurrentCalls, callsPerSubject } = limits;
    if (line.running >= concurrentCalls) {
      return refused('concurrency_limit', 'concurrentCalls', `${concurrentCalls} calls of the tenant are under way`, RETRY_MS);
    }
    if (!line.hasRoom(subject, limits)) {
      return refused('concurrency_limit', 'callsPerSubject', `${callsPerSubject} calls of the subject are under way`, RETRY_MS);
    }
    return refused('concurrency_limit', 'weight', 'The server is full, and the tenant has its share of it', RETRY_MS);
  }

  /** Weighted max-min fairness: of the lines that can use it, the slot goes to the one that holds least for its weight. */
  #serveNext(): void {
    for (;;) {
      let best: { line: Line; one: Waiting; share: number } | undefined;
      for (const line of this.#waiting) {
        const one = line.next();
        if (one === undefined || !this.#hasRoom(line, one.limits)) continue;
        const share = line.running / one.limits.weight;
        if (best === undefined || share < best.share || (share === best.share && one.since < best.one.since)) {
          best = { line, one, share };
        }
      }
      if (best === undefined) return;
      best.line.leave(best.one);
      best.one.serve();
    }
  }

  #line(tenant: string, limits: AdmissionLimits, now: number): Line {
    let line = this.#lines.get(tenant);
    if (line === undefined) {
      if (this.#lines.size >= this.#forgetAt) this.#forget(limits, now);
      this.#lines.set(tenant, (line = new Line(limits.callsPerSecond, now)));
    }
    return line;
  }

  #forget({ callsPerSecond }: AdmissionLimits, now: number): void {
    for (const [tenant, line] of this.#lines) if (line.idle && line.rested(callsPerSecond, now)) this.#lines.delete(tenant);
    this.#forgetAt = this.#lines.size + FORGET_EVERY;
  }
}

function refused(
  code: 'concurrency_limit' | 'queue_limit' | 'rate_limit',
  limit: keyof AdmissionLimits,
  said: string,
  retryMs: number,
): Failure {
  const retryAfterMs = Math.min(MAX_RETRY_MS, Math.max(1, Math.ceil(retryMs)));
  return failure(code, { message: `${said}: the limit ${limit} allows no more.`, limit, retryAfterMs });
}
