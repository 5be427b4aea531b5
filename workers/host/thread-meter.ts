// Watches the threads of one pool while they work: memory, and how long one runs without a pause. The soft quota: V8's own limit
// ends the whole process for one large store and counts nothing outside its heap, so it is set far above and this is the limit.
// Not responsible for ending threads or calls: it says which limit a thread has passed.
// Invariant: costs nothing while nothing runs; asks only by means that answer while the thread is in an endless loop.
import type { PoolLimits } from '../../src/boundary/frames.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import type { ThreadSlot } from './thread-slot.ts';

/** A thread fills some 20 MiB in this time. */
const EVERY_MS = 20;
const MIB = 1_048_576;
/** The main thread itself was held up for this long: what a thread did meanwhile says nothing about its runs. */
const LATE_MS = 500;

/** Ticks between two reports of what the threads use. */
const REPORT_TICKS = 10;

/** What the threads of the pool use. */
export interface ThreadUsage {
  /** CPU time since the last report, microseconds. */
  readonly cpuUs: number;
  readonly threads: number;
  readonly heapBytes: number;
}

export interface MeterEvents {
  passed(slot: ThreadSlot, limit: Failure): void;
  used(usage: ThreadUsage): void;
}

export class ThreadMeter {
  readonly #limits: PoolLimits;
  readonly #pool: { readonly slots: Iterable<ThreadSlot> };
  readonly #events: MeterEvents;
  #timer: NodeJS.Timeout | undefined;
  #lastTick = 0;
  #ticks = 0;

  constructor(limits: PoolLimits, pool: { readonly slots: Iterable<ThreadSlot> }, events: MeterEvents) {
    this.#limits = limits;
    this.#pool = pool;
    this.#events = events;
  }

  /** A call begins, or the load of a bundle. */
  watch(slot: ThreadSlot): void {
    if (slot.calls.size <= 1) slot.turned(performance.now());
    if (this.#timer !== undefined) return;
    this.#lastTick = performance.now();
    this.#timer = setInterval(() => this.#tick(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const now = performance.now();
    const late = now - this.#lastTick > LATE_MS;
    this.#lastTick = now;
    let busy = false;
    for (const slot of this.#pool.slots) {
      if ((slot.calls.size === 0 && slot.state !== 'loading') || slot.state === 'gone' || slot.terminating) continue;
      busy = true;
      if (late) slot.turned(now);
      this.#memory(slot);
      this.#run(slot, now);
    }
    this.#ticks += 1;
    if (!busy || this.#ticks % REPORT_TICKS === 0) void this.#report();
    if (!busy) this.stop();
  }

  /** CPU time is only read now and then, so a thread that ends takes up to a fifth of a second of it into its grave. */
  async #report(): Promise<void> {
    let cpuUs = 0;
    let threads = 0;
    let heapBytes = 0;
    for (const slot of this.#pool.slots) {
      if (slot.state === 'gone') continue;
      threads += 1;
      try {
        const { user, system } = await slot.worker.cpuUsage();
        cpuUs += user + system - slot.cpuUs;
        slot.cpuUs = user + system;
      } catch {
        // It ended meanwhile.
      }
      heapBytes += slot.heapBytes;
    }
    this.#events.used({ cpuUs: Math.max(0, cpuUs), threads, heapBytes });
  }

  #memory(slot: ThreadSlot): void {
    if (slot.measured) return;
    slot.measured = true;
    slot.worker.getHeapStatistics().then(
      ({ used_heap_size: heap, external_memory: external }) => {
        slot.measured = false;
        slot.heapBytes = heap;
        const { heapMb, offHeapMb } = this.#limits;
        if (heap > heapMb * MIB) this.#events.passed(slot, memoryLimit('heapMb', heapMb));
        else if (offHeapMb !== undefined && external > offHeapMb * MIB) {
          this.#events.passed(slot, memoryLimit('offHeapMb', offHeapMb));
        }
      },
      // The thread ended meanwhile.
      () => {},
    );
  }

  /** Only a thread that was never idle is asked whether its event loop still turns, and only when it has been so for a while. */
  #run(slot: ThreadSlot, now: number): void {
    const { runMs } = this.#limits;
    if (runMs === undefined) return;
    const { idle } = slot.worker.performance.eventLoopUtilization();
    if (idle !== slot.idle) {
      slot.idle = idle;
      slot.turned(now);
      return;
    }
    const ranMs = now - slot.turnedAt;
    if (ranMs > runMs) {
      const message = `A thread of the tenant ran longer without a pause than its limit runMs (${runMs} ms) allows.`;
      this.#events.passed(slot, failure('run_limit', { message, limit: 'runMs' }));
    } else if (ranMs > runMs / 2) slot.ask();
  }
}

export function memoryLimit(name: 'heapMb' | 'offHeapMb', mib: number): Failure {
  return failure('heap_limit', { message: `A thread of the tenant has reached its limit ${name} (${mib} MiB).`, limit: name });
}
