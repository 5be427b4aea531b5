// One life of a pool inside one host: from `open` to `closed`, `broken` or the death of the host.
// Not responsible for starting the next life (`lazy-pool`).
// Invariant: an assignment is given once, so a warm spare serves one tenant and never another.
import { callStream, poolStream, PoolWindow } from '../boundary/body-sender.ts';
import { MAX_BODY_BYTES } from '../boundary/frame-codec.ts';
import type { Assignment, FromHost, PoolLimits, ToHost } from '../boundary/frames.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { NumberMap } from '../shared/number-map.ts';
import type { OutOfMemory } from './fatal-report.ts';
import { RequestRoom } from './held-requests.ts';
import type { HostLink } from './host-link.ts';
import type { LinkedCall } from './linked-call.ts';

/** How long the threads of a pool may take to end after its drain. */
const CLOSE_MS = 2000;
const MIB = 1_048_576;

export type PoolEnd = 'closed' | 'broken' | 'host_lost';
export interface PoolListener {
  opened(): void;
  late(detail: string): void;
  used(usage: PoolUsage): void;
  ended(how: PoolEnd, why: Failure | undefined): void;
}
/** What the threads of a pool use: CPU time since the last word, and what they hold now. */
export type PoolUsage = Pick<Extract<FromHost, { t: 'usage' }>, 'cpuUs' | 'threads' | 'heapBytes'>;
export type Beginning = Extract<ToHost, { t: 'describe' | 'call' | 'egress' }>;

export class LinkedPool {
  readonly id: number;
  readonly link: HostLink;
  /** Long bodies from this pool that have come and are not read. */
  readonly window = new PoolWindow();
  /** Bodies of requests from this pool that are collected or not answered. */
  readonly requestRoom = new RequestRoom();
  readonly calls = new NumberMap<LinkedCall>();
  listener: PoolListener | undefined;
  /** Threads are up, with or without an assignment. */
  booted = false;
  /** Numbers of its threads in the host, those that are ending among them. */
  threads: readonly number[] = [];
  readonly #heapBytes: number;
  #tenant: string | undefined;
  #state: 'serving' | 'closing' | 'ended' = 'serving';
  #closed: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(id: number, link: HostLink, limits: PoolLimits) {
    this.id = id;
    this.link = link;
    this.#heapBytes = limits.heapMb * MIB;
  }

  /** Whom it serves; undefined for a spare. */
  get tenant(): string | undefined {
    return this.#tenant;
  }
  get serving(): boolean {
    return this.#state === 'serving' && this.link.usable;
  }
  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Whether this is its thread, and holds more than it may: one that holds less may be the victim of others. */
  exhausted({ thread, heapBytes }: OutOfMemory): boolean {
    return this.threads.includes(thread) && heapBytes > this.#heapBytes;
  }

  assign(assignment: Assignment, body: Uint8Array): void {
    if (this.#state !== 'serving' || this.#tenant !== undefined) return;
    this.#tenant = assignment.tenant;
    const frame = { t: 'assign', pool: this.id, assignment } as const;
    if (this.link.process.sender.send(frame, poolStream(this.id), body)) return;
    this.fail(failure('toolset_broken', { detail: 'vars are larger than 64 KiB' }));
  }

  /** Registers a call and sends its frame. Never ends the call from within. */
  begin(call: LinkedCall, frame: Beginning, body: Uint8Array | undefined): void {
    this.calls.set(call.id, call);
    this.link.register(call);
    if (body !== undefined && body.byteLength > MAX_BODY_BYTES) call.sendsLong();
    if (this.link.process.sender.send(frame, callStream(call.id), body)) return;
    queueMicrotask(() => this.link.lose(call, failure('arguments_too_large', { detail: 'context of the call' })));
  }

  /** Running calls get `drainMs`. Resolves when the threads are gone. */
  close(drainMs: number): Promise<void> {
    if (this.#state === 'ended') return Promise.resolve();
    if (this.#state === 'serving') {
      this.#state = 'closing';
      this.link.process.say({ t: 'close', pool: this.id, drainMs });
      this.#timer = setTimeout(() => this.link.stuck(this), drainMs + CLOSE_MS);
    }
    return new Promise((resolve) => this.#closed.push(resolve));
  }

  /** Gives the pool up: its calls end with `why`. */
  fail(why: Failure): void {
    if (this.#state === 'ended') return;
    this.link.process.say({ t: 'close', pool: this.id, drainMs: 0 });
    this.broken(why);
  }

  /** It serves nobody any more; its threads must end soon. */
  broken(why: Failure): void {
    if (this.#state === 'ended') return;
    this.end('broken', why);
    this.#timer = setTimeout(() => this.link.stuck(this), CLOSE_MS);
  }

  /** Its threads are gone. */
  closed(): void {
    this.end('closed', undefined);
    clearTimeout(this.#timer);
  }

  end(how: PoolEnd, why: Failure | undefined): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#timer);
    for (const call of this.calls.values()) this.link.lose(call, why ?? failure('worker_lost', { detail: how }));
    this.listener?.ended(how, why);
    for (const resolve of this.#closed.splice(0)) resolve();
  }
}
