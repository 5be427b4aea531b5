// The host's end of the pipe: the exhaustive switch over what the supervisor says, and the frames that go back.
// Not responsible for threads (`host-pool`) or for putting long bodies together (`body-assembly`).
// Invariant: `calls` holds every call that was begun and has not ended; ending it is the only way out, and sends the one end.
import type { Socket } from 'node:net';
import { BodySender, type ChunkHeader, callStream, poolStream, requestStream } from '../../src/boundary/body-sender.ts';
import { FrameDecoder, FrameWriter, MAX_BODY_BYTES } from '../../src/boundary/frame-codec.ts';
import type { FromHost, ToHost } from '../../src/boundary/frames.ts';
import type { HostStart } from '../../src/boundary/host-start.ts';
import { ownBytes } from '../../src/boundary/thread-messages.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import { NumberMap } from '../../src/shared/number-map.ts';
import { BodyAssembly } from './body-assembly.ts';
import { cancelFailure, failedEgress, failedRun, HostCall } from './host-call.ts';
import { HostPool } from './host-pool.ts';

/** Notices are dropped while more than this has not left the process: a flood of log lines must not grow the host. */
const NOTICE_BACKLOG_BYTES = 4_194_304;
type Assigning = Extract<ToHost, { t: 'open' | 'assign' }>;

export class SupervisorLink {
  readonly #start: HostStart;
  readonly #pipe: Socket;
  readonly #die: () => void;
  readonly #decoder = new FrameDecoder((header, body) => this.#frame(header as ToHost, body));
  readonly #writer: FrameWriter<FromHost | ChunkHeader>;
  readonly #sender: BodySender<FromHost>;
  readonly #assembly = new BodyAssembly();
  readonly #pools = new Map<number, HostPool>();
  readonly #calls = new NumberMap<HostCall>();

  constructor(start: HostStart, pipe: Socket, die: () => void) {
    this.#start = start;
    this.#pipe = pipe;
    this.#die = die;
    this.#writer = new FrameWriter(pipe, () => this.#sender.pump());
    this.#sender = new BodySender(this.#writer);
  }

  start(): void {
    this.#pipe.on('data', (chunk: Buffer) => {
      // The supervisor is trusted; a fault here is a defect, and the end of this process its only safe answer.
      if (this.#decoder.push(chunk) !== undefined) this.#die();
    });
    this.#writer.send({ t: 'ready', pid: process.pid, node: process.version });
  }

  #frame(frame: ToHost, body: Uint8Array): void {
    switch (frame.t) {
      case 'open':
      case 'assign':
        return this.#openOrAssign(frame, body);
      case 'close':
        return this.#pools.get(frame.pool)?.close(frame.drainMs);
      case 'describe':
      case 'call':
      case 'egress':
        return this.#begin(frame, body);
      case 'reply':
        return this.#reply(frame, body);
      case 'cancel': {
        const call = this.#calls.get(frame.call);
        if (call === undefined) this.#giveUp(frame.call, cancelFailure(frame.reason));
        else call.pool.cancel(call, frame.reason);
        return;
      }
      case 'kill': {
        const call = this.#calls.get(frame.call);
        if (call === undefined) this.#giveUp(frame.call, failure('worker_lost', { detail: 'killed before its result was read' }));
        else call.pool.kill(call);
        return;
      }
      case 'credit':
        if (!this.#sender.credit(frame.stream, frame.bytes)) this.#die();
        return;
      case 'chunk':
        return this.#assembly.chunk(frame, body);
      case 'ping':
        this.#writer.send({ t: 'pong', seq: frame.seq });
        return;
      default:
        frame satisfies never;
    }
  }

  /** A call that its thread is done with may still have its result under way, or waiting for credit: then it has not ended yet. */
  #giveUp(call: number, why: Failure): void {
    const unsent = this.#sender.drop(callStream(call));
    if (unsent === undefined) return;
    this.#writer.send(unsent.t === 'egressed' ? failedEgress(call, true, why) : failedRun(call, why));
  }

  #openOrAssign(frame: Assigning, body: Uint8Array): void {
    let pool = this.#pools.get(frame.pool);
    if (frame.t === 'open') {
      pool = new HostPool(frame.pool, this.#start, frame.limits, this);
      this.#pools.set(frame.pool, pool);
    }
    const assignment = frame.assignment;
    if (pool === undefined || assignment === undefined) return;
    const assign = (whole: Uint8Array) => pool.assign(assignment, ownBytes(whole));
    if (frame.more === undefined) assign(body);
    else this.#assembly.begin(poolStream(frame.pool), body, assign, () => {});
  }

  #begin(frame: Extract<ToHost, { t: 'describe' | 'call' | 'egress' }>, body: Uint8Array): void {
    const pool = this.#pools.get(frame.pool);
    const call = new HostCall(frame);
    if (pool === undefined) {
      // The pool ended while the frame was on its way.
      this.#sendEnd(call, failure('worker_lost', { detail: 'the pool had ended' }));
      return;
    }
    call.pool = pool;
    this.#calls.set(frame.call, call);
    pool.admit(call);
    if (frame.t === 'describe' || frame.more === undefined) {
      pool.dispatch(call, ownBytes(body));
      return;
    }
    const stream = callStream(frame.call);
    call.arriving.push(stream);
    const lost = () => this.end(call, failure('worker_lost', { detail: 'the arguments broke off' }));
    this.#assembly.begin(stream, body, (whole) => pool.dispatch(call, whole), lost);
  }

  #reply(frame: Extract<ToHost, { t: 'reply' }>, body: Uint8Array): void {
    const call = this.#calls.get(frame.call);
    if (call === undefined) return;
    if (frame.more === undefined) {
      call.pool.reply(call, frame.request, frame.reply, body.byteLength === 0 ? undefined : ownBytes(body));
      return;
    }
    const stream = requestStream(frame.call, frame.request);
    call.arriving.push(stream);
    const whole = (bytes: Uint8Array) => call.pool.reply(call, frame.request, frame.reply, bytes);
    const lost = () => {
      const broken = failure('upstream_unavailable', { detail: 'the body of the reply broke off' });
      call.pool.reply(call, frame.request, { status: 'error', failure: broken }, undefined);
    };
    this.#assembly.begin(stream, body, whole, lost);
  }

  // ---- what pools say ------------------------------------------------------------------------------------------
  say(frame: Extract<FromHost, { t: 'opened' | 'threads' | 'broken' | 'closed' | 'pool_error' | 'usage' }>): void {
    if (frame.t === 'closed') this.#pools.delete(frame.pool);
    this.#writer.send(frame);
  }

  /** False where the header is larger than a frame may be. */
  request(call: HostCall, frame: Extract<FromHost, { t: 'request' }>, body: Uint8Array | undefined): boolean {
    const stream = requestStream(frame.call, frame.request);
    if (body !== undefined && body.byteLength > MAX_BODY_BYTES) call.leaving.push(stream);
    return this.#sender.send(frame, stream, body, call.pool.window);
  }

  notice(frame: Extract<FromHost, { t: 'notice' }>): boolean {
    return this.#writer.backlog > NOTICE_BACKLOG_BYTES || this.#writer.send(frame);
  }

  /** Ends a call with what its thread returned. */
  finish(
    call: HostCall,
    frame: Extract<FromHost, { t: 'described' | 'outcome' | 'egressed' }>,
    body: Uint8Array | undefined,
  ): void {
    if (!this.#forget(call)) return;
    if (this.#sender.send(frame, callStream(call.id), body, call.pool.window)) return;
    this.#sendEnd(call, failure('result_too_large', { detail: 'metadata of the result' }));
  }

  /** Ends a call without a result. */
  end(call: HostCall, why: Failure): void {
    if (this.#forget(call)) this.#sendEnd(call, why);
  }

  #forget(call: HostCall): boolean {
    if (!this.#calls.delete(call.id)) return false;
    call.pool.release(call);
    for (const stream of call.arriving) this.#assembly.drop(stream);
    for (const stream of call.leaving) this.#sender.drop(stream);
    return true;
  }

  #sendEnd(call: HostCall, why: Failure): void {
    this.#writer.send(call.failed(why));
  }
}
