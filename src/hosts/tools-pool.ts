// A tenant's tools pool: calls and `describe`, over the lives of a lazy pool.
// Not responsible for when threads start or end (`lazy-pool`).
// Invariant: the sink of a call is told one end, after `call` has returned.
import type { CallContext } from '../boundary/call-context.ts';
import type { HostRequest, Notice } from '../boundary/host-request.ts';
import type { Operation } from '../boundary/operation.ts';
import type { CallOutcome } from '../boundary/outcome.ts';
import { type Failure, failure } from '../shared/errors.ts';
import type { Limits } from '../shared/limits.ts';
import type { LazyPool } from './lazy-pool.ts';
import { LinkedCall } from './linked-call.ts';
import { LinkedPool } from './linked-pool.ts';
import { PoolBroken } from './pool-errors.ts';
import type { ActiveCall, Body, CallSink, ToolsPool } from './pool.ts';

/** A manifest, at most: a thousand tools with large schemas. */
const MANIFEST_BYTES = 16_777_216;
/** Start, load and describe together. */
const DESCRIBE_MS = 30_000;

export class HostedToolsPool implements ToolsPool {
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

  call(operation: Operation, context: CallContext, args: Uint8Array, sink: CallSink): ActiveCall {
    const pool = this.#lazy.acquire();
    if (!(pool instanceof LinkedPool)) {
      queueMicrotask(() => sink.end({ status: 'error', failure: pool }, undefined));
      return NOTHING;
    }
    const call = new ToolsCall(pool, this.#limits, context.deadline, this.#lazy, sink);
    pool.begin(call, { t: 'call', pool: pool.id, call: call.id, operation, context }, args);
    return call;
  }

  async describe(): Promise<Uint8Array> {
    const pool = this.#lazy.acquire();
    if (!(pool instanceof LinkedPool)) throw new PoolBroken(pool);
    const described = await new Promise<Body | Failure>((resolve) => {
      const call = new DescribeCall(pool, this.#lazy, resolve);
      pool.begin(call, { t: 'describe', pool: pool.id, call: call.id }, undefined);
    });
    if ('code' in described) throw new PoolBroken(described);
    return whole(described);
  }

  close(drainMs: number): Promise<void> {
    return this.#lazy.close(drainMs);
  }
}

class ToolsCall extends LinkedCall {
  readonly #lazy: LazyPool;
  readonly #sink: CallSink;

  constructor(pool: LinkedPool, limits: Limits, deadline: number, lazy: LazyPool, sink: CallSink) {
    super(pool, limits.resultBytes, limits.argumentsBytes, deadline);
    this.#lazy = lazy;
    this.#sink = sink;
  }

  override outcome(outcome: CallOutcome, body: Body | undefined): boolean {
    this.#lazy.ended();
    this.#sink.end(outcome, body);
    return true;
  }
  override request(request: number, ask: HostRequest, body: Uint8Array): boolean {
    this.#sink.request(request, ask, body);
    return true;
  }
  override notice(notice: Notice): boolean {
    this.#sink.notice(notice);
    return true;
  }
  lost(why: Failure): void {
    this.#lazy.ended();
    this.#sink.end({ status: 'error', failure: why }, undefined);
  }
}

class DescribeCall extends LinkedCall {
  readonly #lazy: LazyPool;
  readonly #resolve: (described: Body | Failure) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(pool: LinkedPool, lazy: LazyPool, resolve: (described: Body | Failure) => void) {
    super(pool, MANIFEST_BYTES, 0, Date.now() + DESCRIBE_MS);
    this.#lazy = lazy;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.kill(), DESCRIBE_MS);
  }

  override described(body: Body): boolean {
    return this.#end(body);
  }
  override outcome(outcome: CallOutcome): boolean {
    return outcome.status === 'error' && this.#end(outcome.failure);
  }
  lost(why: Failure): void {
    this.#end(why);
  }

  #end(described: Body | Failure): true {
    clearTimeout(this.#timer);
    this.#lazy.ended();
    this.#resolve(described);
    return true;
  }
}

async function whole(body: Body): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const parts: Uint8Array[] = [];
  try {
    for await (const part of body) parts.push(part);
  } catch {
    throw new PoolBroken(failure('worker_lost', { detail: 'the manifest broke off' }));
  }
  return Buffer.concat(parts);
}

/** Of a call that could not begin. */
const NOTHING: ActiveCall = {
  reply: (_request, _reply, body) => {
    if (body !== undefined && !(body instanceof Uint8Array)) body.cancel();
  },
  cancel: () => {},
  kill: () => {},
};
