// A tenant's egress pool: one order, one outcome, over the lives of a lazy pool.
// Not responsible for recovery (`connections/egress-call`) or for when threads start or end (`lazy-pool`).
// Invariant: `send` never rejects; what was lost after it reached a host counts as sent.
import type { EgressOrder, EgressOutcome } from '../boundary/egress.ts';
import type { Failure } from '../shared/errors.ts';
import type { Limits } from '../shared/limits.ts';
import type { LazyPool } from './lazy-pool.ts';
import { LinkedCall } from './linked-call.ts';
import { LinkedPool } from './linked-pool.ts';
import type { Body, EgressPool } from './pool.ts';

/** A cancelled request that has not ended by then is stuck, and its thread with it. */
const ABORT_MS = 5000;

interface Sent {
  outcome: EgressOutcome;
  body: Body | undefined;
}

export class HostedEgressPool implements EgressPool {
  readonly #lazy: LazyPool;
  readonly #limits: Limits;

  constructor(lazy: LazyPool, limits: Limits) {
    this.#lazy = lazy;
    this.#limits = limits;
  }

  get running(): number {
    return this.#lazy.running;
  }
  get awake(): boolean {
    return this.#lazy.awake;
  }

  send(order: EgressOrder, body: Uint8Array, signal: AbortSignal): Promise<Sent> {
    if (signal.aborted) return Promise.resolve(unsent('aborted'));
    const pool = this.#lazy.acquire();
    if (!(pool instanceof LinkedPool)) return Promise.resolve(unsent(pool.detail ?? pool.code, pool.retryAfterMs));
    const maxBytes = order.work.kind === 'fetch' ? order.policy.maxResponseBytes : this.#limits.resultBytes;
    return new Promise((resolve) => {
      const call = new EgressCall(pool, maxBytes, order.timeoutMs, this.#lazy, signal, resolve);
      pool.begin(call, { t: 'egress', pool: pool.id, call: call.id, order }, body);
    });
  }

  close(drainMs: number): Promise<void> {
    return this.#lazy.close(drainMs);
  }
}

function unsent(detail: string, retryAfterMs?: number): Sent {
  const outcome: EgressOutcome = { status: 'transient', sent: false, local: true, detail };
  return { outcome: retryAfterMs === undefined ? outcome : { ...outcome, retryAfterMs }, body: undefined };
}

class EgressCall extends LinkedCall {
  readonly #lazy: LazyPool;
  readonly #signal: AbortSignal;
  readonly #resolve: (sent: Sent) => void;
  readonly #onAbort = () => this.#abort();
  #body: Body | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    pool: LinkedPool,
    maxBytes: number,
    timeoutMs: number,
    lazy: LazyPool,
    signal: AbortSignal,
    resolve: (sent: Sent) => void,
  ) {
    super(pool, maxBytes, 0, Date.now() + timeoutMs + ABORT_MS);
    this.#lazy = lazy;
    this.#signal = signal;
    this.#resolve = resolve;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  override egressed(outcome: EgressOutcome, body: Body | undefined): boolean {
    this.#lazy.ended();
    clearTimeout(this.#timer);
    if (body === undefined || body instanceof Uint8Array) this.#signal.removeEventListener('abort', this.#onAbort);
    else if (this.#signal.aborted || outcome.status !== 'ok') body.cancel();
    else this.#body = body;
    this.#resolve({ outcome, body: outcome.status === 'ok' ? body : undefined });
    return true;
  }

  lost(why: Failure): void {
    this.#lazy.ended();
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
    const detail = why.detail ?? why.code;
    this.#resolve({ outcome: { status: 'transient', sent: true, local: true, detail }, body: undefined });
  }

  /**
   * The caller has gone: it is answered now, the thread is told, and what comes later is dropped. Not `local` where time ran
   * out: an upstream that lets its callers wait is in trouble.
   */
  #abort(): void {
    if (this.#body instanceof Uint8Array) return;
    this.#body?.cancel();
    if (this.ended) return;
    this.cancel('cancelled');
    this.#timer = setTimeout(() => this.kill(), ABORT_MS);
    const outcome: EgressOutcome = { status: 'transient', sent: true, detail: 'aborted' };
    this.#resolve({ outcome: this.#signal.reason === 'deadline' ? outcome : { ...outcome, local: true }, body: undefined });
  }
}
