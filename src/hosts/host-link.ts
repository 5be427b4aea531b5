// What is under way in one host process: its pools, calls and long bodies, and the exhaustive switch over what the host says.
// Not responsible for the process itself (`host-process`), nor for when a pool is started again (`lazy-pool`).
// Invariant: numbers are never used twice; a frame for what is settled or unknown is dropped and counted; when the process
// dies, every call ends once and every long body breaks off.
import { callStream, requestStream } from '../boundary/body-sender.ts';
import type { EgressOutcome } from '../boundary/egress.ts';
import type { FromHost, PoolLimits } from '../boundary/frames.ts';
import type { CallOutcome } from '../boundary/outcome.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { NumberMap } from '../shared/number-map.ts';
import type { OutOfMemory } from './fatal-report.ts';
import { type Heartbeat, HostProcess } from './host-process.ts';
import { IncomingBody } from './incoming-body.ts';
import { type Collected, IncomingRequest } from './incoming-request.ts';
import type { LinkedCall } from './linked-call.ts';
import { LinkedPool } from './linked-pool.ts';
import type { Body } from './pool.ts';
import type { SpawnedHost } from './spawn-host.ts';

/** What a call may take beyond its deadline to be ended: the grace of a cancel, and of a kill. */
const LATE_MS = 2000;
const FENCED = 'fenced: a thread could not be terminated';

export interface LinkEvents {
  ready(): void;
  /** `tenants` had work in it, or one of them ended it; those of a fence have been told before. */
  died(reason: string, tenants: readonly string[]): void;
  said(text: string): void;
  /** A thread of this tenant cannot be ended. */
  fenced(tenants: readonly string[]): void;
  /** Its last pool ended. */
  empty(): void;
}
type Ending = Extract<FromHost, { t: 'outcome' | 'egressed' | 'described' }>;
type Chunks = { push(bytes: Uint8Array, last: boolean): boolean | void };

export class HostLink {
  readonly process: HostProcess;
  /** No new calls: a thread in there cannot be ended. */
  fenced = false;
  /** Frames for calls that had ended. */
  dropped = 0;
  readonly #events: LinkEvents;
  readonly #pools = new Map<number, LinkedPool>();
  readonly #calls = new NumberMap<LinkedCall>();
  readonly #bodies = new Map<string, IncomingBody>();
  readonly #requests = new Map<string, Chunks>();
  #lastId = 0;
  #fenceTimer: NodeJS.Timeout | undefined;

  constructor(host: SpawnedHost, heartbeat: Heartbeat, events: LinkEvents) {
    this.#events = events;
    this.process = new HostProcess(host, heartbeat, {
      ready: () => events.ready(),
      frame: (frame, body) => this.#frame(frame, body),
      died: (reason, memory) => this.#died(reason, memory),
      said: (text) => events.said(text),
    });
  }

  get usable(): boolean {
    return !this.fenced && !this.process.dead;
  }
  get pools(): number {
    return this.#pools.size;
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** Starts a pool without an assignment. */
  open(limits: PoolLimits): LinkedPool {
    const pool = new LinkedPool(this.nextId(), this, limits);
    this.#pools.set(pool.id, pool);
    this.process.say({ t: 'open', pool: pool.id, limits });
    return pool;
  }

  register(call: LinkedCall): void {
    this.#calls.set(call.id, call);
  }

  /** Takes a call out of all books; false where it had ended. */
  settle(call: LinkedCall): boolean {
    if (!this.#calls.delete(call.id)) return false;
    call.pool.calls.delete(call.id);
    call.release();
    for (const stream of call.arriving) this.#requests.delete(stream);
    this.#endFenced();
    return true;
  }

  #forget(pool: number): void {
    if (this.#pools.delete(pool) && this.#pools.size === 0) this.#events.empty();
  }

  #endFenced(): void {
    if (this.fenced && this.#calls.size === 0 && this.#bodies.size === 0) this.process.kill(FENCED);
  }

  lose(call: LinkedCall, why: Failure): void {
    if (this.settle(call)) call.lost(why);
  }

  /**
   * A thread of this pool does not end. Its own calls end now; the process is killed at once when no other call is in it, else
   * when the others have ended, and serves nobody new meanwhile.
   */
  stuck(pool: LinkedPool): void {
    if (this.process.dead) return;
    if (!this.fenced) {
      this.fenced = true;
      this.#fenceTimer = setTimeout(
        () => this.process.kill(FENCED),
        Math.max(0, this.#lastDeadline(pool) + LATE_MS - Date.now()),
      );
    }
    this.#events.fenced(pool.tenant === undefined ? [] : [pool.tenant]);
    this.#forget(pool.id);
    pool.end('host_lost', failure('worker_lost', { detail: 'the thread could not be terminated' }));
    this.#endFenced();
  }

  /** Of the calls of other pools; now, where there are none. Epoch milliseconds. */
  #lastDeadline(but: LinkedPool): number {
    let last = Date.now();
    for (const call of this.#calls.values()) if (call.pool !== but) last = Math.max(last, call.deadline);
    return last;
  }

  /** Tenants with calls under way; where there are none, all that have a pool. */
  #tenants(): string[] {
    const assigned = [...this.#pools.values()].filter(({ tenant }) => tenant !== undefined);
    const busy = assigned.filter(({ calls }) => calls.size > 0);
    return [...new Set((busy.length > 0 ? busy : assigned).map(({ tenant }) => tenant as string))];
  }

  /** False: the host said what it may not say. */
  #frame(frame: FromHost, body: Uint8Array): boolean {
    switch (frame.t) {
      case 'opened': {
        const pool = this.#pools.get(frame.pool);
        if (pool !== undefined) pool.booted = true;
        pool?.listener?.opened();
        return true;
      }
      case 'threads': {
        const pool = this.#pools.get(frame.pool);
        if (pool !== undefined) pool.threads = frame.ids;
        return true;
      }
      case 'broken':
        this.#pools.get(frame.pool)?.broken(frame.failure as Failure);
        return true;
      case 'closed':
        this.#pools.get(frame.pool)?.closed();
        this.#forget(frame.pool);
        return true;
      case 'pool_error':
        this.#pools.get(frame.pool)?.listener?.late(frame.detail);
        return true;
      case 'usage':
        this.#pools.get(frame.pool)?.listener?.used(frame);
        return true;
      case 'outcome':
      case 'egressed':
      case 'described':
        return this.#ending(frame, body);
      case 'request':
        return this.#request(frame, body);
      case 'notice': {
        const call = this.#calls.get(frame.call);
        if (call !== undefined) return call.notice(frame.notice);
        this.dropped += 1;
        return true;
      }
      case 'chunk':
        return this.#chunk(frame.stream, body, frame.more === undefined);
      case 'ready':
      case 'pong':
        return false;
      default:
        return frame satisfies never;
    }
  }

  /** Ends the call, whatever comes: a frame that does not fit its kind costs the host, but not the call its end. */
  #ending(frame: Ending, body: Uint8Array): boolean {
    const call = this.#calls.get(frame.call);
    if (call === undefined) {
      this.dropped += 1;
      return true;
    }
    const whole = this.#bodyOf(call, body, frame.more);
    this.settle(call);
    if (whole !== undefined && told(call, frame, whole)) return true;
    call.lost(failure('worker_lost', { detail: 'an end that does not fit the call' }));
    return false;
  }

  /** Undefined where the body breaks its bounds. */
  #bodyOf(call: LinkedCall, first: Uint8Array, more: true | undefined): Body | undefined {
    if (more === undefined) return first;
    const stream = callStream(call.id);
    const incoming = new IncomingBody(
      {
        taken: (bytes) => this.process.say({ t: 'credit', stream, bytes }),
        cancelled: () => {
          this.#bodies.delete(stream);
          this.process.say({ t: 'cancel', call: call.id, reason: 'cancelled' });
          this.#endFenced();
        },
      },
      call.pool.window,
      call.maxBytes,
    );
    if (!incoming.push(first, false)) return undefined;
    this.#bodies.set(stream, incoming);
    return incoming;
  }

  #chunk(stream: string, bytes: Uint8Array, last: boolean): boolean {
    const body = this.#bodies.get(stream);
    if (body !== undefined) {
      if (last) this.#bodies.delete(stream);
      if (body.push(bytes, last)) {
        this.#endFenced();
        return true;
      }
      body.lose(failure('worker_lost', { detail: 'a body beyond its bounds' }));
      return false;
    }
    const request = this.#requests.get(stream);
    if (request === undefined) {
      this.dropped += 1;
      return true;
    }
    if (last) this.#requests.delete(stream);
    if (bytes.byteLength > 0) this.process.say({ t: 'credit', stream, bytes: bytes.byteLength });
    request.push(bytes, last);
    return true;
  }

  #request(frame: Extract<FromHost, { t: 'request' }>, body: Uint8Array): boolean {
    const call = this.#calls.get(frame.call);
    if (call === undefined) {
      this.dropped += 1;
      return true;
    }
    const stream = requestStream(call.id, frame.request);
    if (this.#requests.has(stream) || call.held.has(frame.request)) return false;
    if (frame.more === undefined) {
      if (call.held.take(frame.request, body.byteLength)) return call.request(frame.request, frame.ask, body);
      refuse(call, frame.request, 'no_room');
      return true;
    }
    const request = new IncomingRequest(frame.request, call.held, call.maxRequestBytes, (collected) => {
      if (call.ended) return;
      if (collected instanceof Uint8Array) call.request(frame.request, frame.ask, collected);
      else refuse(call, frame.request, collected);
    });
    this.#requests.set(stream, request);
    call.arriving.push(stream);
    return this.#chunk(stream, body, false);
  }

  #died(reason: string, memory: OutOfMemory | undefined): void {
    clearTimeout(this.#fenceTimer);
    const why = failure('worker_lost', { detail: `host: ${reason}` });
    const exhausted = memory === undefined ? undefined : [...this.#pools.values()].find((pool) => pool.exhausted(memory));
    const culprit = exhausted?.tenant;
    const tenants = this.fenced ? [] : culprit === undefined ? this.#tenants() : [culprit];
    this.fenced = true;
    for (const body of this.#bodies.values()) body.lose(why);
    this.#bodies.clear();
    this.#requests.clear();
    for (const pool of this.#pools.values()) {
      pool.end('host_lost', why);
      pool.closed();
    }
    this.#pools.clear();
    for (const call of this.#calls.values()) this.lose(call, why);
    this.#events.died(reason, tenants);
  }
}

/** Answers a request whose body was not kept. */
function refuse(call: LinkedCall, request: number, why: Exclude<Collected, Uint8Array>): void {
  const reason =
    why === 'too_large'
      ? failure('arguments_too_large', { detail: 'body of a request' })
      : failure('fanout_limit', {
          message: `The requests under way have reached ${call.held.limit} bytes together, the limit that follows from argumentsBytes.`,
        });
  call.reply(request, { status: 'error', failure: reason });
}

/** False where the frame is not of the call's kind, or a failed end has a body. */
function told(call: LinkedCall, frame: Ending, body: Body): boolean {
  switch (frame.t) {
    case 'outcome': {
      const outcome = frame.outcome as CallOutcome;
      if (outcome.status === 'ok') return call.outcome(outcome, body);
      return frame.more === undefined && call.outcome(outcome, undefined);
    }
    case 'egressed':
      return call.egressed(frame.outcome as EgressOutcome, body);
    case 'described':
      return call.described(body);
    default:
      return frame satisfies never;
  }
}
