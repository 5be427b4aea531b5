// The answer of a connection, with the part of the Fetch API's `Response` that client libraries use.
// Not responsible for limits (the egress host has counted the bytes) or for statuses: every one arrives here.
// Invariant: the body is whole and in memory; it is read once, as the Fetch API has it.
import type { HttpHead } from '../../src/boundary/host-request.ts';
import { ToolHeaders } from './headers.ts';

const decoder = new TextDecoder();

export class ToolResponse {
  readonly status: number;
  readonly statusText = '';
  readonly url: string;
  readonly headers: ToolHeaders;
  readonly redirected = false;
  readonly type = 'basic';
  #bytes: Uint8Array;
  #used = false;
  #stream: ReadableStream<Uint8Array> | undefined;

  constructor(head: HttpHead, bytes: Uint8Array) {
    this.status = head.status;
    this.url = head.url;
    this.headers = new ToolHeaders(head.headers);
    this.#bytes = bytes;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  get bodyUsed(): boolean {
    return this.#used;
  }

  /** One chunk; null where there is none. */
  get body(): ReadableStream<Uint8Array> | null {
    if (this.#bytes.byteLength === 0) return null;
    this.#stream ??= new ReadableStream<Uint8Array>({
      pull: (controller) => {
        controller.enqueue(this.#take());
        controller.close();
      },
    });
    return this.#stream;
  }

  async text(): Promise<string> {
    return decoder.decode(this.#take());
  }

  async json(): Promise<unknown> {
    return JSON.parse(decoder.decode(this.#take()));
  }

  async bytes(): Promise<Uint8Array> {
    return this.#take();
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = this.#take();
    return bytes.slice().buffer as ArrayBuffer;
  }

  clone(): ToolResponse {
    if (this.#used) throw new TypeError('The body has been read already.');
    return new ToolResponse(
      { status: this.status, url: this.url, headers: Object.fromEntries(this.headers) },
      this.#bytes.slice(),
    );
  }

  get [Symbol.toStringTag](): string {
    return 'Response';
  }

  #take(): Uint8Array {
    if (this.#used) throw new TypeError('The body has been read already.');
    this.#used = true;
    const bytes = this.#bytes;
    this.#bytes = new Uint8Array(0);
    return bytes;
  }
}
