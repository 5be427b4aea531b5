// A keep-alive HTTP/1.1 connection that sends prepared bytes and reads one whole answer after the other.
// Not responsible for HTTP in general: answers have a Content-Length or are chunked, nothing else; one request at a time.
// Invariant: cheap enough (a few µs an answer) that the generator is never what is measured; an answer that it does not
// understand ends the run, it is never counted.
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

const HEAD_END = Buffer.from('\r\n\r\n');

export class WireConnection {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #length = 0;
  /** Bytes of the whole answer, once its head said so; -1 while unknown, -2 when chunked. */
  #expected = -1;
  #headLength = 0;
  #status = 0;
  #settle: ((answer: Answer) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.#fail?.(error));
    socket.on('close', () => this.#fail?.(new Error('the server closed the connection')));
  }

  static async open(url: URL): Promise<WireConnection> {
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    return new WireConnection(socket);
  }

  send(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#fail = undefined;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#expected === -1) this.#readHead();
    if (this.#expected >= 0 && this.#length >= this.#expected) this.#finish(this.#join().subarray(this.#headLength));
    else if (this.#expected === -2 && chunk.subarray(-5).equals(LAST_CHUNK.subarray(-Math.min(5, chunk.length)))) {
      const whole = this.#join().subarray(this.#headLength);
      if (whole.length >= 5 && whole.subarray(-5).equals(LAST_CHUNK)) this.#finish(unchunk(whole));
    }
  }

  #readHead(): void {
    const bytes = this.#join();
    const end = bytes.indexOf(HEAD_END);
    if (end === -1) return;
    const head = bytes.toString('latin1', 0, end);
    this.#headLength = end + 4;
    this.#status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length !== undefined) this.#expected = this.#headLength + Number(length);
    else if (/\r\ntransfer-encoding: *chunked/i.test(head)) this.#expected = -2;
    else if (this.#status === 202 || this.#status === 204) this.#expected = this.#headLength;
    else this.#fail?.(new Error(`an answer without a length: ${head.slice(0, 200)}`));
  }

  #join(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#length)];
    return this.#chunks[0] as Buffer;
  }

  #finish(body: Buffer): void {
    const settle = this.#settle;
    this.#chunks = [];
    this.#length = 0;
    this.#expected = -1;
    this.#settle = undefined;
    settle?.({ status: this.#status, body });
  }
}

const LAST_CHUNK = Buffer.from('0\r\n\r\n');

function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (size === 0) return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}
