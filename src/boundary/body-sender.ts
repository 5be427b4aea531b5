// Sends bodies that may be longer than one frame: first frame with `more`, then chunks, taking turns between all bodies.
// Not responsible for what the frames mean. From a host, bodies move within credit; to a host they are bounded by admission
// (argument and upstream limits, slots per tenant) and by the backlog of the pipe, so they need none.
// Invariant: one slow consumer holds back its own body, and at most its own tenant's; never the pipe.
import { type FrameWriter, MAX_BODY_BYTES } from './frame-codec.ts';

/** Bytes of one body that a host may have sent and the supervisor not yet consumed. */
export const BODY_WINDOW_BYTES = 262_144;
/** The same over all long bodies of one pool. */
export const POOL_WINDOW_BYTES = 1_048_576;
/** Chunks wait while more than this has not left the process: what matters now (small frames) stays behind little. */
const BACKLOG_BYTES = 262_144;

/** Names of streams in `chunk` and `credit`. */
export function callStream(call: number): string {
  return `${call}`;
}
export function requestStream(call: number, request: number): string {
  return `${call}.${request}`;
}
export function poolStream(pool: number): string {
  return `pool.${pool}`;
}

/** What all long bodies of one pool have under way together. */
export class PoolWindow {
  outstanding = 0;
}

export interface ChunkHeader {
  t: 'chunk';
  stream: string;
  more?: true;
  lost?: true;
}

class Outgoing<Header> {
  header: Header | undefined;
  readonly stream: string;
  readonly window: PoolWindow | undefined;
  readonly queue: Uint8Array[] = [];
  /** Of the first entry of the queue. */
  offset = 0;
  /** False while a source may still give more. */
  whole: boolean;
  outstanding = 0;
  /** Called once when the queue has run empty and the body is not whole. */
  wanted: (() => void) | undefined;

  constructor(header: Header, stream: string, window: PoolWindow | undefined, whole: boolean) {
    this.header = header;
    this.stream = stream;
    this.window = window;
    this.whole = whole;
  }

  get sent(): boolean {
    return this.whole && this.queue.length === 0;
  }
}

export class BodySender<Header extends object> {
  readonly #writer: FrameWriter<Header | ChunkHeader>;
  readonly #bodies = new Map<string, Outgoing<Header>>();

  /** `pump` must be called when the writer has drained. */
  constructor(writer: FrameWriter<Header | ChunkHeader>) {
    this.#writer = writer;
  }

  /**
   * Sends a frame with its body, in one frame where it fits. False where the header does not fit. The bytes must not change.
   * With a window, the body is under credit.
   */
  send(header: Header, stream: string, body: Uint8Array | undefined, window?: PoolWindow): boolean {
    if (body === undefined || body.byteLength <= MAX_BODY_BYTES) return this.#writer.send(header, body);
    const outgoing = new Outgoing(header, stream, window, true);
    outgoing.queue.push(body);
    return this.#begin(outgoing);
  }

  /** The same for a body that is itself still arriving; it is read no faster than the pipe takes it. */
  sendFrom(header: Header, stream: string, source: AsyncIterable<Uint8Array>): boolean {
    const outgoing = new Outgoing(header, stream, undefined, false);
    if (!this.#begin(outgoing)) return false;
    void this.#read(outgoing, source);
    return true;
  }

  /** The consumer took bytes. False where they were not under way. */
  credit(stream: string, bytes: number): boolean {
    const outgoing = this.#bodies.get(stream);
    // The body may have been given up meanwhile.
    if (outgoing === undefined) return true;
    if (bytes > outgoing.outstanding) return false;
    outgoing.outstanding -= bytes;
    if (outgoing.window !== undefined) outgoing.window.outstanding -= bytes;
    if (outgoing.sent && outgoing.outstanding === 0) this.#bodies.delete(stream);
    this.pump();
    return true;
  }

  /** Gives the rest of a body up. The header where nothing of it had left: the other side does not know of it. */
  drop(stream: string): Header | undefined {
    const outgoing = this.#bodies.get(stream);
    if (outgoing === undefined) return undefined;
    this.#bodies.delete(stream);
    if (outgoing.window !== undefined) outgoing.window.outstanding -= outgoing.outstanding;
    outgoing.whole = true;
    outgoing.queue.length = 0;
    outgoing.wanted?.();
    this.pump();
    return outgoing.header;
  }

  pump(): void {
    let moved = true;
    while (moved && this.#writer.backlog < BACKLOG_BYTES) {
      moved = false;
      for (const outgoing of this.#bodies.values()) {
        if (this.#step(outgoing)) moved = true;
        if (this.#writer.backlog >= BACKLOG_BYTES) break;
      }
    }
  }

  #begin(outgoing: Outgoing<Header>): boolean {
    const first = outgoing.header;
    if (first === undefined) return false;
    // A first frame may have to wait for credit, so whether its header fits is found out now.
    try {
      if (Buffer.byteLength(JSON.stringify(first)) > MAX_BODY_BYTES - 16) return false;
    } catch {
      return false;
    }
    this.#bodies.set(outgoing.stream, outgoing);
    this.pump();
    return true;
  }

  #step(outgoing: Outgoing<Header>): boolean {
    const bytes = outgoing.queue[0];
    if (bytes === undefined) {
      outgoing.wanted?.();
      return false;
    }
    const window = outgoing.window;
    let size = Math.min(MAX_BODY_BYTES, bytes.byteLength - outgoing.offset);
    if (window !== undefined) {
      size = Math.min(size, BODY_WINDOW_BYTES - outgoing.outstanding, POOL_WINDOW_BYTES - window.outstanding);
      if (size <= 0) return false;
      outgoing.outstanding += size;
      window.outstanding += size;
    }
    const piece = bytes.subarray(outgoing.offset, outgoing.offset + size);
    outgoing.offset += size;
    if (outgoing.offset === bytes.byteLength) {
      outgoing.queue.shift();
      outgoing.offset = 0;
    }
    this.#emit(outgoing, piece);
    // Last in the order of turns now.
    this.#bodies.delete(outgoing.stream);
    if (!outgoing.sent || outgoing.outstanding > 0) this.#bodies.set(outgoing.stream, outgoing);
    return true;
  }

  #emit(outgoing: Outgoing<Header>, piece: Uint8Array): void {
    const first = outgoing.header;
    outgoing.header = undefined;
    if (first !== undefined) {
      this.#writer.send(outgoing.sent ? first : { ...first, more: true }, piece);
      return;
    }
    const stream = outgoing.stream;
    this.#writer.send(outgoing.sent ? { t: 'chunk', stream } : { t: 'chunk', stream, more: true }, piece);
  }

  async #read(outgoing: Outgoing<Header>, source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const bytes of source) {
        if (outgoing.whole) break;
        if (bytes.byteLength > 0) outgoing.queue.push(bytes);
        this.pump();
        if (outgoing.queue.length > 0) {
          await new Promise<void>((resolve) => {
            outgoing.wanted = resolve;
          });
          outgoing.wanted = undefined;
        }
      }
    } catch {
      // Must not look like a whole body on the other side.
      this.#lose(outgoing);
    }
    if (outgoing.whole) return;
    outgoing.whole = true;
    this.#finish(outgoing);
  }

  #lose(outgoing: Outgoing<Header>): void {
    if (outgoing.whole) return;
    outgoing.whole = true;
    this.#bodies.delete(outgoing.stream);
    const { header, stream } = outgoing;
    if (header !== undefined) this.#writer.send({ ...header, more: true });
    this.#writer.send({ t: 'chunk', stream, lost: true });
  }

  /** The end of a source whose last bytes went out with `more`. */
  #finish(outgoing: Outgoing<Header>): void {
    if (outgoing.queue.length > 0) {
      this.pump();
      return;
    }
    this.#bodies.delete(outgoing.stream);
    this.#emit(outgoing, new Uint8Array(0));
  }
}
