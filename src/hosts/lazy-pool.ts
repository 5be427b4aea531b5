// A tenant's pool over all its lives: asleep, started by the first call, asleep again when idle or lost.
// Not responsible for the kinds of calls (`tools-pool`, `egress-pool`) or for processes (`cordon`).
// Invariant: at most one life takes new calls; an idle pool holds no thread.
import type { Assignment, PoolLimits } from '../boundary/frames.ts';
import { type Failure, failure } from '../shared/errors.ts';
import type { Cordon } from './cordon.ts';
import type { HostRoom } from './host-room.ts';
import { LinkedPool, type PoolUsage } from './linked-pool.ts';
import type { PoolReport } from './pool.ts';

export interface LazyPoolOptions {
  readonly assignment: Assignment;
  readonly poolLimits: PoolLimits;
  /** Of a host that is its tenant's alone. */
  readonly room: HostRoom;
  readonly idleMs: number;
  /** The cordon comes into being with the first call in it. */
  readonly cordon: () => Cordon;
  /** The body of the assignment, read when the pool starts. */
  readonly load: () => Promise<Uint8Array> | Uint8Array;
  readonly report: (report: Omit<PoolReport, 'kind'>) => void;
  readonly used: (usage: PoolUsage) => void;
  /** The pool is closed for good. */
  readonly closed: () => void;
}

export class LazyPool {
  readonly #options: LazyPoolOptions;
  #life: LinkedPool | undefined;
  /** Lives that take no new calls but have not ended. */
  readonly #old = new Set<LinkedPool>();
  #running = 0;
  #idleSince = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: LazyPoolOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }
  get awake(): boolean {
    return this.#life !== undefined || this.#old.size > 0;
  }

  /** The life for one more call, started where there is none. `ended` must follow once for each life that was given. */
  acquire(): LinkedPool | Failure {
    if (this.#closed) return failure('draining', { detail: 'the pool was closed' });
    const life = this.#life?.serving === true ? this.#life : this.#start();
    if (life instanceof LinkedPool) this.#running += 1;
    return life;
  }

  ended(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#idleSince = performance.now();
  }

  /** The next call starts a new life, wherever the cordon is then; calls under way end where they began. */
  relocate(drainMs: number): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#sleep();
    this.#old.add(life);
    void life.close(drainMs);
  }

  async close(drainMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    const lives = [...this.#old];
    if (this.#life !== undefined) lives.push(this.#life);
    await Promise.all(lives.map((life) => life.close(drainMs)));
    this.#options.closed();
  }

  #start(): LinkedPool | Failure {
    if (this.#life !== undefined) this.#old.add(this.#life);
    this.#life = undefined;
    const life = this.#options.cordon().takePool(this.#options.poolLimits, this.#options.room);
    if (!(life instanceof LinkedPool)) return life;
    this.#life = life;
    const startedAt = performance.now();
    life.listener = {
      opened: () => this.#report('opened', { readyMs: performance.now() - startedAt }),
      used: (usage) => this.#options.used(usage),
      late: (detail) => this.#report('late_error', { detail }),
      ended: (how, why) => {
        this.#old.delete(life);
        if (this.#life === life) this.#sleep();
        this.#report(how, why?.detail === undefined ? {} : { detail: why.detail });
      },
    };
    void this.#assign(life);
    this.#watchIdle(this.#options.idleMs);
    return life;
  }

  async #assign(life: LinkedPool): Promise<void> {
    try {
      const body = this.#options.load();
      life.assign(this.#options.assignment, body instanceof Uint8Array ? body : await body);
    } catch (error) {
      life.fail(
        failure('toolset_broken', { detail: `could not be read: ${error instanceof Error ? error.message : 'unknown'}` }),
      );
    }
  }

  #sleep(): void {
    this.#life = undefined;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
  }

  /** One timer per life, not one per call: it looks whether the pool has been idle and comes back for the rest. */
  #watchIdle(afterMs: number): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      const { idleMs } = this.#options;
      const idleFor = this.#running > 0 ? 0 : performance.now() - this.#idleSince;
      if (idleFor < idleMs) return this.#watchIdle(idleMs - idleFor);
      const life = this.#life;
      this.#sleep();
      if (life === undefined) return;
      this.#old.add(life);
      void life.close(0);
    }, afterMs);
    this.#idleTimer.unref();
  }

  #report(event: PoolReport['event'], more: { detail?: string; readyMs?: number }): void {
    const { tenant, bundle } = this.#options.assignment;
    this.#options.report({ tenant, bundle, event, ...more });
  }
}
