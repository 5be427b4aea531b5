// One pool of one tenant inside a host: waits for its threads, gives calls to them, relays what they say.
// Not responsible for Piscina (`pool-threads`), for frames (`supervisor-link`) or for what a bundle is.
// Invariant: every call that was admitted leaves through `link.finish` or `link.end`; a thread that says what does not fit
// its contract is ended, before it could make the supervisor distrust the whole host.
import { PoolWindow } from '../../src/boundary/body-sender.ts';
import { type Assignment, type CancelReason, MAX_THREADS, type PoolLimits } from '../../src/boundary/frames.ts';
import type { HostReply } from '../../src/boundary/host-request.ts';
import type { HostStart } from '../../src/boundary/host-start.ts';
import { type FromThread, type LoadResult, type ThreadTask, TRANSFER_FROM_BYTES } from '../../src/boundary/thread-messages.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import { NumberMap } from '../../src/shared/number-map.ts';
import { endOf } from './call-result.ts';
import { cancelFailure, type HostCall } from './host-call.ts';
import { lossCode, PoolThreads } from './pool-threads.ts';
import type { SupervisorLink } from './supervisor-link.ts';
import { callOf, failureFits, noticeFits, requestFits } from './thread-guard.ts';
import { memoryLimit, ThreadMeter } from './thread-meter.ts';
import type { ThreadSlot } from './thread-slot.ts';

/** Longest evaluation of a bundle. */
const LOAD_MS = 15_000;
/** More requests than a tenant's limit on operations ever allows: only a thread gone wrong makes them. */
const MAX_REQUESTS_PER_CALL = 20_000;

export class HostPool {
  readonly window = new PoolWindow();
  readonly #id: number;
  readonly #limits: PoolLimits;
  readonly #link: SupervisorLink;
  readonly #threads: PoolThreads;
  readonly #meter: ThreadMeter;
  readonly #calls = new NumberMap<HostCall>();
  readonly #waiting = new Set<HostCall>();
  readonly #startedAt = performance.now();
  #assigned: { assignment: Assignment; body: Uint8Array } | undefined;
  #openedAs: 'spare' | 'assigned' | undefined;
  #closing = false;
  #ended = false;
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(id: number, start: HostStart, limits: PoolLimits, link: SupervisorLink) {
    this.#id = id;
    this.#limits = limits;
    this.#link = link;
    this.#threads = new PoolThreads(start, limits, {
      started: (ids) => this.#link.say({ t: 'threads', pool: id, ids: ids.slice(-MAX_THREADS) }),
      booted: (slot) => this.#booted(slot),
      message: (slot, message) => this.#message(slot, message),
      late: (detail) => this.#link.say({ t: 'pool_error', pool: id, detail }),
      failed: (detail) => this.#broken(failure('worker_lost', { detail })),
    });
    this.#meter = new ThreadMeter(limits, this.#threads, {
      passed: (slot, limit) => slot.condemn(limit),
      used: (usage) => this.#link.say({ t: 'usage', pool: id, ...usage }),
    });
  }

  /** Once in the life of a pool. */
  assign(assignment: Assignment, body: Uint8Array): void {
    if (this.#assigned !== undefined || this.#ended) return;
    this.#assigned = { assignment, body };
    for (const slot of this.#threads.slots) if (slot.state === 'booted') this.#load(slot);
  }

  admit(call: HostCall): void {
    this.#calls.set(call.id, call);
  }

  /** The arguments are whole: on to a thread, or to the queue until one is ready. */
  dispatch(call: HostCall, body: Uint8Array): void {
    if (this.#ended) {
      this.#link.end(call, failure('worker_lost', { detail: 'the pool had ended' }));
      return;
    }
    call.body = body;
    const slot = this.#slotFor(call);
    if (slot === undefined) this.#waiting.add(call);
    else this.#run(slot, call);
  }

  reply(call: HostCall, request: number, reply: HostReply, body: Uint8Array | undefined): void {
    const message = { t: 'reply', call: call.id, request, reply } as const;
    call.slot?.post(body === undefined ? message : { ...message, body });
  }

  cancel(call: HostCall, reason: CancelReason): void {
    const slot = call.slot;
    if (slot === undefined) this.#link.end(call, cancelFailure(reason));
    else this.#threads.run(slot, { t: 'cancel', call: call.id, reason }).catch(() => {});
  }

  kill(call: HostCall): void {
    if (call.slot === undefined) this.#link.end(call, failure('worker_lost', { detail: 'killed before it began' }));
    else call.slot.terminate();
  }

  /** Called when a call has ended in whichever way. */
  release(call: HostCall): void {
    this.#calls.delete(call.id);
    this.#waiting.delete(call);
    call.body = undefined;
    call.slot?.calls.delete(call.id);
    call.slot?.bodies.delete(call.id);
    // Whatever the call has left behind, timers and all, ends with its thread; the next one is ready or on its way.
    if (this.#limits.isolation === 'call' && (!call.nested || call.slot?.calls.size === 0)) call.slot?.terminate();
    if (this.#closing && this.#calls.size === 0) void this.#destroy();
  }

  close(drainMs: number): void {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    if (this.#calls.size === 0 || drainMs === 0) void this.#destroy();
    else this.#drainTimer = setTimeout(() => void this.#destroy(), drainMs);
  }

  // ---- threads -------------------------------------------------------------------------------------------------
  #booted(slot: ThreadSlot): void {
    if (this.#assigned !== undefined) this.#load(slot);
    else this.#opened('spare');
  }

  #load(slot: ThreadSlot): void {
    const assigned = this.#assigned;
    if (assigned === undefined) return;
    slot.state = 'loading';
    slot.timer = setTimeout(() => {
      this.#broken(failure('toolset_broken', { detail: `loading did not end within ${LOAD_MS} ms` }));
    }, LOAD_MS);
    const task = { t: 'load', assignment: assigned.assignment, body: assigned.body } as const;
    this.#threads.run(slot, task).then(
      (result) => this.#loaded(slot, result as LoadResult),
      (error: unknown) => this.#broken(slot.condemned ?? this.#lossAtLoad(error)),
    );
    this.#meter.watch(slot);
  }

  #loaded(slot: ThreadSlot, result: LoadResult | undefined): void {
    clearTimeout(slot.timer);
    if (slot.state !== 'loading') return;
    if (result?.ok !== true) {
      const why = result?.failure;
      this.#broken(failureFits(why) ? why : failure('toolset_broken'));
      return;
    }
    slot.state = 'ready';
    this.#opened('assigned');
    for (const call of this.#waiting) {
      const free = this.#slotFor(call);
      if (free !== undefined && this.#waiting.delete(call)) this.#run(free, call);
    }
  }

  #opened(as: 'spare' | 'assigned'): void {
    if (this.#openedAs === as) return;
    this.#openedAs = as;
    this.#link.say({ t: 'opened', pool: this.#id, readyMs: Math.round(10 * (performance.now() - this.#startedAt)) / 10 });
  }

  /** The least busy thread; with a thread per call an unused one, or for a nested call the one of the request it belongs to. */
  #slotFor(call: HostCall): ThreadSlot | undefined {
    let best: ThreadSlot | undefined;
    for (const slot of this.#threads.slots) {
      if (slot.state !== 'ready' || slot.terminating) continue;
      if (this.#limits.isolation === 'call') {
        if (slot.request === undefined) best ??= slot;
        else if (call.nested && slot.request === call.request) return slot;
      } else if (best === undefined || slot.calls.size < best.calls.size) best = slot;
    }
    return best;
  }

  #run(slot: ThreadSlot, call: HostCall): void {
    const body = call.body ?? new Uint8Array(0);
    call.body = undefined;
    call.slot = slot;
    slot.request ??= call.request;
    slot.calls.set(call.id, call);
    this.#meter.watch(slot);
    const transfer = body.byteLength < TRANSFER_FROM_BYTES ? [] : [body.buffer as ArrayBuffer];
    this.#threads.run(slot, taskOf(call, body), transfer).then(
      (result) => this.#result(slot, call, result),
      (error: unknown) => this.#link.end(call, slot.condemned ?? this.#loss(error)),
    );
  }

  // ---- what threads say ----------------------------------------------------------------------------------------
  #result(slot: ThreadSlot, call: HostCall, result: unknown): void {
    slot.turned(performance.now());
    slot.drain();
    const end = endOf(call, result, slot.bodies.get(call.id), this.#limits.resultBytes);
    if (end === undefined) {
      this.#link.end(call, failure('internal_error', { detail: 'the thread returned no result' }));
      slot.terminate();
    } else if (end.frame.t === 'outcome' && call.frame.t === 'describe') {
      this.#broken(end.frame.outcome.status === 'error' ? (end.frame.outcome.failure as Failure) : failure('toolset_broken'));
    } else {
      this.#link.finish(call, end.frame, end.body);
    }
  }

  /** Neither the thread's own text nor its data: the message of a throw may hold what a tool knew. */
  #loss(error: unknown): Failure {
    if (lossCode(error) === 'heap_limit') return memoryLimit('heapMb', this.#limits.heapMb);
    return failure('worker_lost', { detail: 'the thread ended' });
  }

  #lossAtLoad(error: unknown): Failure {
    const why = this.#loss(error);
    return why.code === 'heap_limit' ? why : failure('toolset_broken', { detail: 'the thread ended while it loaded' });
  }

  #message(slot: ThreadSlot, message: FromThread): void {
    slot.turned(performance.now());
    if (message?.t === 'pong') return;
    const number = callOf(message);
    if (number === undefined) return slot.terminate();
    const call = slot.calls.get(number);
    // A late message of a call that has ended.
    if (call === undefined) return;
    let fits = false;
    if (message.t === 'body') {
      fits = message.body instanceof Uint8Array;
      if (fits) slot.bodies.set(call.id, message.body);
    } else if (message.t === 'notice') {
      fits = noticeFits(message.notice) && this.#link.notice({ t: 'notice', call: call.id, notice: message.notice });
    } else if (message.t === 'request' && call.requests < MAX_REQUESTS_PER_CALL) {
      call.requests += 1;
      const { request, ask, body } = message;
      fits = requestFits(request, ask, body) && this.#link.request(call, { t: 'request', call: call.id, request, ask }, body);
    }
    if (!fits) slot.terminate();
  }

  // ---- ends ----------------------------------------------------------------------------------------------------
  #broken(why: Failure): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#drainTimer);
    for (const call of this.#calls.values())
      this.#link.end(call, call.slot === undefined ? why : failure('worker_lost', { detail: why.detail ?? why.code }));
    this.#link.say({ t: 'broken', pool: this.#id, failure: why });
    void this.#threads.destroy().then(() => this.#link.say({ t: 'closed', pool: this.#id }));
  }

  async #destroy(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#drainTimer);
    const destroyed = this.#threads.destroy();
    for (const call of this.#calls.values()) this.#link.end(call, failure('worker_lost', { detail: 'the pool was closed' }));
    await destroyed;
    this.#link.say({ t: 'closed', pool: this.#id });
  }
}

function taskOf(call: HostCall, body: Uint8Array): ThreadTask {
  const frame = call.frame;
  switch (frame.t) {
    case 'call':
      return { t: 'call', call: frame.call, operation: frame.operation, context: frame.context, body };
    case 'egress':
      return { t: 'egress', call: frame.call, order: frame.order, body };
    case 'describe':
      return { t: 'describe' };
    default:
      return frame satisfies never;
  }
}
