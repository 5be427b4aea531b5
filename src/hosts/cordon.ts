// The host process of one cordon and kind: started when first needed, replaced when it dies, with warm spares inside.
// Not responsible for pools of tenants (`lazy-pool`).
// Invariant: at most one host takes new calls; one that died again and again is started again with a growing, bounded pause.
import { isDeepStrictEqual } from 'node:util';
import type { PoolLimits } from '../boundary/frames.ts';
import type { PoolKind } from '../boundary/thread-messages.ts';
import { isAlone } from '../shared/cordon-name.ts';
import { type Failure, failure } from '../shared/errors.ts';
import type { Heartbeat } from './host-process.ts';
import { HostLink } from './host-link.ts';
import { hasRoom, type HostRoom, SHARED_ROOM } from './host-room.ts';
import type { LinkedPool } from './linked-pool.ts';
import { type SpawnOptions, spawnHost } from './spawn-host.ts';

/** Said of a host process, for the operational log. */
export interface HostReport {
  readonly cordon: string;
  readonly kind: PoolKind;
  readonly event: 'started' | 'ready' | 'ended' | 'died' | 'fenced' | 'stderr';
  /** Tenants that had work in it when it died, or whose thread cannot be ended. */
  readonly tenants?: readonly string[];
  readonly pid?: number;
  readonly detail?: string;
  readonly readyMs?: number;
}

export interface CordonOptions {
  readonly cordon: string;
  readonly kind: PoolKind;
  readonly spawn: SpawnOptions;
  readonly heartbeat: Heartbeat;
  /** Pools kept ready without a tenant. */
  readonly spares: number;
  readonly spareLimits: PoolLimits;
  /** A host without any pool is ended after this. */
  readonly hostIdleMs: number;
  readonly report: (report: HostReport) => void;
  /** A host died, or a thread in it cannot be ended: these tenants had work there. */
  readonly blame: (tenants: readonly string[]) => void;
}

/** A host that lived this long did not crash in a loop. */
const HEALTHY_MS = 10_000;
/** Deaths in a row that cost no pause. */
const FREE_DEATHS = 3;
const PAUSE_MS = 100;
const MAX_PAUSE_MS = 1000;
/** Where one tenant alone has to wait. */
const MAX_PAUSE_ALONE_MS = 30_000;
/** The reason of a death that is none. */
const IDLE = 'idle';
const CLOSED = 'closed';

export class Cordon {
  readonly #options: CordonOptions;
  /** Every process that has not ended, the one for new calls among them. */
  readonly #alive = new Set<HostLink>();
  #current: HostLink | undefined;
  /** Of the current one. */
  #room: HostRoom = SHARED_ROOM;
  #spares: LinkedPool[] = [];
  #deaths = 0;
  #pausedUntil = 0;
  #refill: NodeJS.Timeout | undefined;
  readonly #idle = new WeakMap<HostLink, NodeJS.Timeout>();
  #closed = false;

  constructor(options: CordonOptions) {
    this.#options = options;
    if (options.spares > 0) this.#fill();
  }

  /**
   * A pool to assign, warm where one of these limits is at hand. A failure where no host may be started now. `room`: what a host
   * needs that is this pool's tenant's alone; one that was started with less takes no more pools.
   */
  takePool(limits: PoolLimits, room: HostRoom): LinkedPool | Failure {
    const link = this.#link(isAlone(this.#options.cordon) ? room : SHARED_ROOM);
    if (!(link instanceof HostLink)) return link;
    const spare = isDeepStrictEqual(limits, this.#options.spareLimits) ? this.#takeSpare(link) : undefined;
    return spare ?? link.open(limits);
  }

  /** Ends every process: at once, pools have been closed before. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#refill);
    const ends = [...this.#alive].map((link) => {
      link.process.kill(CLOSED);
      return link.process.exited;
    });
    await Promise.all(ends);
  }

  #takeSpare(link: HostLink): LinkedPool | undefined {
    this.#spares = this.#spares.filter((spare) => spare.serving);
    // Of those that are up, the oldest; one that still boots is at least further than a new one.
    const at = Math.max(
      0,
      this.#spares.findIndex((spare) => spare.booted),
    );
    const [spare] = this.#spares.splice(at, 1);
    if (spare !== undefined && spare.link === link) this.#fillSoon();
    return spare;
  }

  /** After the call at hand: starting a thread costs the host time that the call needs. */
  #fillSoon(): void {
    if (this.#closed || this.#options.spares === 0 || this.#refill !== undefined) return;
    this.#refill = setTimeout(() => {
      this.#refill = undefined;
      this.#fill();
    }, PAUSE_MS);
    this.#refill.unref();
  }

  #fill(): void {
    const link = this.#link(SHARED_ROOM);
    if (!(link instanceof HostLink)) return this.#fillSoon();
    this.#spares = this.#spares.filter((spare) => spare.serving);
    while (this.#spares.length < this.#options.spares) this.#spares.push(link.open(this.#options.spareLimits));
  }

  #link(room: HostRoom): HostLink | Failure {
    if (this.#current?.usable === true && hasRoom(this.#room, room)) return this.#current;
    if (this.#closed) return failure('draining');
    const now = performance.now();
    if (now < this.#pausedUntil) {
      return failure('worker_lost', { retryAfterMs: Math.ceil(this.#pausedUntil - now), detail: 'the host died repeatedly' });
    }
    try {
      const outgrown = this.#current;
      this.#current = this.#start(room);
      this.#room = room;
      if (outgrown?.pools === 0) this.#endWhenIdle(outgrown);
      return this.#current;
    } catch (error) {
      // No file descriptor, no disk, an upgrade under way: a matter of this cordon's next calls, not of the server.
      this.#pausedUntil = now + MAX_PAUSE_MS;
      const detail = `no host could be started: ${error instanceof Error ? error.message : 'unknown'}`;
      this.#options.report({ cordon: this.#options.cordon, kind: this.#options.kind, event: 'died', detail });
      return failure('worker_lost', { retryAfterMs: MAX_PAUSE_MS, detail });
    }
  }

  #start(room: HostRoom): HostLink {
    const { cordon, kind, report } = this.#options;
    const startedAt = performance.now();
    const link: HostLink = new HostLink(spawnHost(kind, this.#options.spawn, room), this.#options.heartbeat, {
      ready: () => report({ cordon, kind, event: 'ready', ...pidOf(link), readyMs: performance.now() - startedAt }),
      died: (reason, tenants) => this.#died(link, reason, tenants, startedAt),
      said: (detail) => report({ cordon, kind, event: 'stderr', ...pidOf(link), detail }),
      fenced: (tenants) => {
        report({ cordon, kind, event: 'fenced', ...pidOf(link), tenants });
        this.#options.blame(tenants);
        this.#fillSoon();
      },
      empty: () => this.#endWhenIdle(link),
    });
    this.#alive.add(link);
    void link.process.exited.then(() => this.#alive.delete(link));
    report({ cordon, kind, event: 'started', ...pidOf(link) });
    return link;
  }

  #endWhenIdle(link: HostLink): void {
    clearTimeout(this.#idle.get(link));
    const afterMs = link === this.#current ? this.#options.hostIdleMs : 0;
    const timer = setTimeout(() => {
      if (link.pools === 0) link.process.kill(IDLE);
    }, afterMs);
    this.#idle.set(link, timer.unref());
  }

  #died(link: HostLink, reason: string, tenants: readonly string[], startedAt: number): void {
    const { cordon, kind, report } = this.#options;
    const orderly = reason === IDLE || reason === CLOSED;
    report({ cordon, kind, event: orderly ? 'ended' : 'died', ...pidOf(link), detail: reason, ...(orderly ? {} : { tenants }) });
    if (this.#closed || orderly) return;
    this.#options.blame(tenants);
    const now = performance.now();
    this.#deaths = now - startedAt > HEALTHY_MS ? 1 : this.#deaths + 1;
    const over = this.#deaths - FREE_DEATHS;
    const longest = isAlone(cordon) ? MAX_PAUSE_ALONE_MS : MAX_PAUSE_MS;
    if (over > 0) this.#pausedUntil = now + Math.min(longest, PAUSE_MS * 2 ** (over - 1));
    this.#fillSoon();
  }
}

function pidOf(link: HostLink): { pid?: number } {
  const pid = link.process.pid;
  return pid === undefined ? {} : { pid };
}
