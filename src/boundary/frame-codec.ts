// Bytes of the pipe between the supervisor and a host: u32 header length, u32 body length (big-endian), JSON header, body.
// Not responsible for what a header means or whether its shape is right (`frame-checks`, the two switches), nor for bodies of
// more than one frame (`body-sender`).
// Invariant: no frame is larger than its limits in either direction; after a fault the decoder takes nothing more.
import type { Writable } from 'node:stream';
import { release } from '../shared/release.ts';

/** JSON text of a header, UTF-8. */
export const MAX_HEADER_BYTES = 65_536;
/** Body of one frame; longer bodies follow in `chunk` frames. */
export const MAX_BODY_BYTES = 65_536;
const PREFIX_BYTES = 8;
const SEGMENT_BYTES = 65_536;
/** Bodies from this size on are written from where they are instead of being copied into the batch. */
const OWN_SEGMENT_BYTES = 8192;
/** UTF-8 needs at most this many bytes for one UTF-16 unit. */
const UTF8_PER_UNIT = 3;
/** Segments kept for reuse; more exist only while the pipe is slower than its writers. */
const SPARE_SEGMENTS = 4;

/**
 * Collects the frames of one turn of the event loop and writes them at once. A frame is in the pipe's order from the moment
 * of `send`. `onDrain` is told when everything handed over so far has left the process.
 */
export class FrameWriter<Header extends object> {
  readonly #sink: Writable;
  readonly #onDrain: () => void;
  readonly #ready: Uint8Array[] = [];
  readonly #spare: Buffer[] = [];
  #segment: Buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES);
  #start = 0;
  #end = 0;
  #pending = 0;
  #scheduled = false;
  readonly #flushLater = () => this.flush();

  constructor(sink: Writable, onDrain: () => void = () => {}) {
    this.#sink = sink;
    this.#onDrain = onDrain;
  }

  /** Bytes that have not left the process. */
  get backlog(): number {
    return this.#pending + this.#sink.writableLength;
  }

  /**
   * False, and nothing is sent, where the header does not fit its limit or is not JSON. A body of 8 KiB or more is not copied:
   * it must not change any more.
   */
  send(header: Header, body?: Uint8Array): boolean {
    let text: string;
    try {
      text = JSON.stringify(header);
    } catch {
      return false;
    }
    const bodyBytes = body === undefined ? 0 : body.byteLength;
    if (text.length > MAX_HEADER_BYTES || bodyBytes > MAX_BODY_BYTES) return false;
    const copied = bodyBytes < OWN_SEGMENT_BYTES ? bodyBytes : 0;
    this.#reserve(PREFIX_BYTES + text.length * UTF8_PER_UNIT + copied);
    const segment = this.#segment;
    const at = this.#end;
    const headerBytes = segment.write(text, at + PREFIX_BYTES, 'utf8');
    if (headerBytes > MAX_HEADER_BYTES) return false;
    segment.writeUInt32BE(headerBytes, at);
    segment.writeUInt32BE(bodyBytes, at + 4);
    this.#end = at + PREFIX_BYTES + headerBytes;
    this.#pending += PREFIX_BYTES + headerBytes + bodyBytes;
    if (body !== undefined && bodyBytes > 0) {
      if (copied > 0) {
        segment.set(body, this.#end);
        this.#end += bodyBytes;
      } else {
        this.#cut();
        this.#ready.push(body);
      }
    }
    if (!this.#scheduled) {
      this.#scheduled = true;
      // The check phase comes after all I/O of this turn: one write for the frames of all sockets that became readable.
      setImmediate(this.#flushLater);
    }
    return true;
  }

  /** Writes what was collected, now. */
  flush(): void {
    this.#scheduled = false;
    if (this.#pending === 0) return;
    if (this.#sink.destroyed) {
      this.#ready.length = 0;
      this.#start = this.#end = this.#pending = 0;
      return;
    }
    this.#cut();
    const used = this.#segment;
    const whole = this.#start > SEGMENT_BYTES / 2;
    if (whole) this.#renew(SEGMENT_BYTES);
    const parts = this.#ready.splice(0);
    this.#pending = 0;
    const last = parts.length - 1;
    if (last > 0) this.#sink.cork();
    for (let i = 0; i < last; i += 1) this.#sink.write(parts[i]);
    this.#sink.write(parts[last], () => {
      if (whole && used.length === SEGMENT_BYTES && this.#spare.length < SPARE_SEGMENTS) this.#spare.push(used);
      this.#onDrain();
    });
    if (last > 0) this.#sink.uncork();
  }

  /** Ends the current run of the segment; the rest of the segment goes on being filled behind it. */
  #cut(): void {
    if (this.#end > this.#start) this.#ready.push(this.#segment.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#segment.length) return;
    this.#cut();
    this.#renew(Math.max(bytes, SEGMENT_BYTES));
  }

  #renew(bytes: number): void {
    this.#segment = (bytes === SEGMENT_BYTES ? this.#spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
    this.#start = 0;
    this.#end = 0;
  }
}

export type FrameFault = 'header_too_large' | 'body_too_large' | 'header_empty' | 'header_not_json';

/** A frame whose body has not come whole. */
interface Unfinished {
  readonly header: unknown;
  readonly body: Buffer;
  filled: number;
}

const NOTHING = Buffer.alloc(0);

/**
 * Takes the pipe's bytes in any pieces and gives whole frames. A body that came in one piece is a view into the received bytes,
 * one that came in several is put together once, in memory of its own; neither is written again. Holds back at most one frame.
 * What is pushed belongs to the decoder: a large piece of which nothing was given out is freed at once.
 */
export class FrameDecoder {
  readonly #onFrame: (header: unknown, body: Uint8Array) => void;
  /** Prefix and header of the next frame, as far as they have come. */
  #head: Buffer = NOTHING;
  #unfinished: Unfinished | undefined;
  /** A view into the chunk at hand was given out. */
  #viewed = false;
  #fault: FrameFault | undefined;
  #stopped = false;

  constructor(onFrame: (header: unknown, body: Uint8Array) => void) {
    this.#onFrame = onFrame;
  }

  /** No further frame is given out, not even of the bytes at hand. */
  stop(): void {
    this.#stopped = true;
    this.#head = NOTHING;
    this.#unfinished = undefined;
  }

  push(chunk: Buffer): FrameFault | undefined {
    let at = 0;
    this.#viewed = false;
    while (!this.#stopped) {
      if (this.#unfinished !== undefined) at = this.#fill(this.#unfinished, chunk, at);
      else if (at === chunk.length) break;
      else if (this.#head.length > 0) at = this.#growHead(chunk, at);
      else at = this.#begin(chunk, at, chunk, at);
      if (at < 0) break;
    }
    if (!this.#viewed) release(chunk);
    return this.#fault;
  }

  /**
   * Begins the frame whose head is at `headAt` of `head`; its body comes from `chunk`, behind the head where both are the same.
   * Gives the position in `chunk` up to which bytes were used, or -1 where more are needed first.
   */
  #begin(head: Buffer, headAt: number, chunk: Buffer, at: number): number {
    const left = head.length - headAt;
    const needed = this.#headBytes(head, headAt, left);
    if (this.#stopped) return -1;
    if (left < needed) {
      // A copy, so that a few bytes keep no whole read alive.
      this.#head = Buffer.from(head.subarray(headAt));
      return -1;
    }
    const headEnd = headAt + needed;
    let header: unknown;
    try {
      header = JSON.parse(head.toString('utf8', headAt + PREFIX_BYTES, headEnd));
    } catch {
      return this.#fail('header_not_json');
    }
    this.#head = NOTHING;
    const bodyBytes = head.readUInt32BE(headAt + 4);
    const bodyAt = head === chunk ? headEnd : at;
    const bodyEnd = bodyAt + bodyBytes;
    if (bodyEnd <= chunk.length) {
      if (bodyBytes > 0) this.#viewed = true;
      this.#onFrame(header, chunk.subarray(bodyAt, bodyEnd));
      return bodyEnd;
    }
    this.#unfinished = { header, body: Buffer.allocUnsafeSlow(bodyBytes), filled: 0 };
    return bodyAt;
  }

  /** Length of prefix and header, as far as it can be told from `left` bytes. */
  #headBytes(bytes: Buffer, at: number, left: number): number {
    if (left < PREFIX_BYTES) return PREFIX_BYTES;
    const headerBytes = bytes.readUInt32BE(at);
    if (headerBytes > MAX_HEADER_BYTES) return this.#fail('header_too_large');
    if (bytes.readUInt32BE(at + 4) > MAX_BODY_BYTES) return this.#fail('body_too_large');
    if (headerBytes === 0) return this.#fail('header_empty');
    return PREFIX_BYTES + headerBytes;
  }

  /** Takes no more of `chunk` than the head lacks: what follows it is not copied. */
  #growHead(chunk: Buffer, at: number): number {
    const lacks = this.#headBytes(this.#head, 0, this.#head.length) - this.#head.length;
    const end = Math.min(at + lacks, chunk.length);
    const head = Buffer.concat([this.#head, chunk.subarray(at, end)]);
    this.#head = head;
    if (head.length < this.#headBytes(head, 0, head.length)) return this.#stopped ? -1 : end;
    return this.#stopped ? -1 : this.#begin(head, 0, chunk, end);
  }

  #fill(frame: Unfinished, chunk: Buffer, at: number): number {
    const { body } = frame;
    const taken = chunk.copy(body, frame.filled, at);
    frame.filled += taken;
    if (frame.filled < body.length) return -1;
    this.#unfinished = undefined;
    this.#onFrame(frame.header, body);
    return at + taken;
  }

  #fail(fault: FrameFault): -1 {
    this.#fault = fault;
    this.stop();
    return -1;
  }
}
