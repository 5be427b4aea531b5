// One call under way in a host, as the supervisor holds it. One small class per kind of call says what its end means.
// Not responsible for frames (`host-link`).
// Invariant: exactly one of the ends (`outcome`, `egressed`, `described`, `lost`) is told, and never from within `begin`.
import { callStream, requestStream } from '../boundary/body-sender.ts';
import type { EgressOutcome } from '../boundary/egress.ts';
import type { CancelReason } from '../boundary/frames.ts';
import type { HostReply, HostRequest, Notice } from '../boundary/host-request.ts';
import type { CallOutcome } from '../boundary/outcome.ts';
import { MAX_BODY_BYTES } from '../boundary/frame-codec.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { HeldRequests } from './held-requests.ts';
import type { HostLink } from './host-link.ts';
import type { LinkedPool } from './linked-pool.ts';
import type { ActiveCall, Body } from './pool.ts';

/** From `kill` to the end of the call; a thread that takes longer cannot be terminated. */
export const TERMINATE_MS = 500;

/** A call's kind overrides what a host may say of it; the rest is a bad frame. */
export abstract class LinkedCall implements ActiveCall {
  readonly pool: LinkedPool;
  readonly id: number;
  /** Largest body of its end, and of one of its requests. */
  readonly maxBytes: number;
  readonly maxRequestBytes: number;
  /** Epoch milliseconds: its caller ends it then. */
  readonly deadline: number;
  ended = false;
  /** Long bodies towards the host, and of requests from it. */
  readonly #leaving: string[] = [];
  readonly arriving: string[] = [];
  readonly held: HeldRequests;
  #fence: NodeJS.Timeout | undefined;

  constructor(pool: LinkedPool, maxBytes: number, maxRequestBytes: number, deadline: number) {
    this.pool = pool;
    this.deadline = deadline;
    this.id = pool.link.nextId();
    this.maxBytes = maxBytes;
    this.maxRequestBytes = maxRequestBytes;
    this.held = new HeldRequests(pool.requestRoom, maxRequestBytes);
  }

  outcome(_outcome: CallOutcome, _body: Body | undefined): boolean {
    return false;
  }
  egressed(_outcome: EgressOutcome, _body: Body | undefined): boolean {
    return false;
  }
  described(_body: Body): boolean {
    return false;
  }
  request(_request: number, _ask: HostRequest, _body: Uint8Array): boolean {
    return false;
  }
  notice(_notice: Notice): boolean {
    return false;
  }
  /** The call ended without a result of its thread. */
  abstract lost(why: Failure): void;

  get #link(): HostLink {
    return this.pool.link;
  }

  reply(request: number, reply: HostReply, body?: Body): void {
    if (this.ended) {
      if (body !== undefined && !(body instanceof Uint8Array)) body.cancel();
      return;
    }
    this.held.give(request);
    const frame = { t: 'reply', call: this.id, request, reply } as const;
    const sender = this.#link.process.sender;
    const stream = requestStream(this.id, request);
    const streamed = body !== undefined && !(body instanceof Uint8Array);
    if (streamed || (body !== undefined && body.byteLength > MAX_BODY_BYTES)) this.#leaving.push(stream);
    const sent = streamed ? sender.sendFrom(frame, stream, body) : sender.send(frame, stream, body);
    if (sent) return;
    if (streamed) body.cancel();
    const why = failure('upstream_invalid', { detail: 'the head of the reply is larger than a frame may be' });
    sender.send({ ...frame, reply: { status: 'error', failure: why } }, stream, undefined);
  }

  cancel(reason: CancelReason): void {
    if (!this.ended) this.#link.process.say({ t: 'cancel', call: this.id, reason });
  }

  kill(): void {
    if (this.ended || this.#fence !== undefined) return;
    const process = this.#link.process;
    process.say({ t: 'kill', call: this.id });
    if (!process.ready) {
      // A host that is still starting has begun nothing, and cannot answer in time.
      this.#link.settle(this);
      this.lost(failure('worker_lost', { detail: 'killed before it began' }));
      return;
    }
    this.#fence = setTimeout(() => this.#link.stuck(this.pool), TERMINATE_MS);
  }

  /** The arguments did not fit one frame. */
  sendsLong(): void {
    this.#leaving.push(callStream(this.id));
  }

  /** Called by the link when the call has ended. */
  release(): void {
    this.ended = true;
    clearTimeout(this.#fence);
    this.held.giveAll();
    for (const stream of this.#leaving) this.#link.process.sender.drop(stream);
  }
}
