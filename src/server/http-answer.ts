// Writes the answer of one exchange straight to its response: JSON, or an event stream from the first notification on.
// Not responsible for content: bytes of a result pass unread, with back-pressure.
// Invariant: one end per exchange; after the client is gone nothing is written and a body under way is given up; on a stream no byte
// of a body can begin a line, so a host that lies can spoil only this one event of its own tenant's client.
import type { ServerResponse } from 'node:http';
import type { Answer, Message } from '../mcp/answer.ts';
import type { ResultBody } from '../mcp/ports.ts';
import { release } from '../shared/release.ts';
import type { Accepted } from './accept.ts';
import { drained, oneLine } from './event-bytes.ts';
import type { Exchanges, OpenStream } from './exchanges.ts';
import { COMMON_HEADERS, CORRELATION_HEADER, JSON_HEADERS, STREAM_HEADERS } from './response-headers.ts';

/** Up to here one string is cheaper than several writes. */
const JOINED_BYTES = 4096;
/** Notifications are dropped while a client has this much unread. */
const UNREAD_BYTES = 1_048_576;
const EVENT = 'event: message\ndata: ';
function eventHead(id: string | undefined): string {
  return id === undefined ? EVENT : `id: ${id}\n${EVENT}`;
}

type BodyStream = Exclude<ResultBody, Uint8Array>;

export class HttpAnswer implements Answer, OpenStream {
  readonly streams: boolean;
  readonly #streamsOnly: boolean;
  readonly #response: ServerResponse;
  readonly #correlation: string;
  readonly #exchanges: Exchanges;
  readonly #stallMs: number;
  #controller: AbortController | undefined;
  #body: BodyStream | undefined;
  #state: 'waiting' | 'streaming' | 'ended' = 'waiting';
  #gone = false;

  constructor(response: ServerResponse, correlation: string, accepted: Accepted, exchanges: Exchanges, stallMs: number) {
    this.#response = response;
    this.#correlation = correlation;
    this.streams = accepted.stream;
    this.#streamsOnly = !accepted.json;
    this.#exchanges = exchanges;
    this.#stallMs = stallMs;
    exchanges.begin();
    response.once('close', () => this.#closed());
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#gone) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  send(status: number, message: Message, headers: readonly string[] = [], event?: string): void {
    const { body } = message;
    if (this.#gone || this.#state === 'ended') {
      if (body !== undefined && !(body instanceof Uint8Array)) body.cancel();
      return;
    }
    if (this.#streamsOnly && status === 200 && this.#state === 'waiting') this.#begin(false);
    const streaming = this.#state === 'streaming';
    this.#state = 'ended';
    if (body !== undefined && !(body instanceof Uint8Array)) void this.#pipe(status, message, body, headers, streaming);
    else if (streaming) this.#lastEvent(message, body, event);
    else this.#json(status, message, body, headers);
  }

  get gone(): boolean {
    return this.#gone;
  }

  prime(event: string, retryMs: number): void {
    if (this.#gone || this.#state === 'ended') return;
    if (this.#state === 'waiting') this.#begin(false);
    this.#response.write(`id: ${event}\nretry: ${retryMs}\ndata: \n\n`);
  }

  notify(message: string, event?: string): void {
    if (this.#gone || this.#state === 'ended') return;
    if (this.#state === 'waiting') this.#begin(false);
    if (this.#response.writableLength < UNREAD_BYTES) this.#response.write(`${eventHead(event)}${message}\n\n`);
  }

  open(): void {
    if (this.#gone || this.#state !== 'waiting') return;
    this.#begin(true);
    this.comment();
  }

  comment(): void {
    if (!this.#gone && this.#state === 'streaming' && !this.#response.writableNeedDrain) this.#response.write(': \n\n');
  }

  empty(status: 202 | 204): void {
    if (this.#gone || this.#state !== 'waiting') return;
    this.#state = 'ended';
    this.#head(status, status === 202 ? ['content-length', '0', ...COMMON_HEADERS] : COMMON_HEADERS);
    this.#response.end();
  }

  abandon(): void {
    if (this.#gone || this.#state === 'ended') return;
    if (this.#state === 'waiting') this.#begin(false);
    this.#state = 'ended';
    this.#response.end();
  }

  #head(status: number, headers: readonly string[]): void {
    if (this.#exchanges.draining) this.#response.shouldKeepAlive = false;
    this.#response.writeHead(status, [CORRELATION_HEADER, this.#correlation, ...headers]);
  }

  #begin(standing: boolean): void {
    this.#state = 'streaming';
    this.#head(200, STREAM_HEADERS);
    this.#exchanges.opened(this, standing);
  }

  #json(status: number, { head, tail }: Message, body: Uint8Array | undefined, headers: readonly string[]): void {
    const response = this.#response;
    if (body === undefined || body.length <= JOINED_BYTES) {
      const whole = body === undefined ? head + tail : head + utf8(body) + tail;
      this.#head(status, [...JSON_HEADERS, 'content-length', String(Buffer.byteLength(whole)), ...headers]);
      response.end(whole);
      return;
    }
    const whole = Buffer.concat([Buffer.from(head), body, Buffer.from(tail)]);
    this.#head(status, [...JSON_HEADERS, 'content-length', String(whole.length), ...headers]);
    response.end(whole);
  }

  /** One write: Node 24 loses what is written to a corked chunked response. */
  #lastEvent({ head, tail }: Message, body: Uint8Array | undefined, event: string | undefined): void {
    const begin = eventHead(event) + head;
    const end = `${tail}\n\n`;
    this.#response.end(body === undefined ? begin + end : Buffer.concat([Buffer.from(begin), oneLine(body), Buffer.from(end)]));
  }

  async #pipe(
    status: number,
    { head, tail }: Message,
    body: BodyStream,
    headers: readonly string[],
    streaming: boolean,
  ): Promise<void> {
    const response = this.#response;
    this.#body = body;
    try {
      if (!streaming) this.#head(status, [...JSON_HEADERS, ...headers]);
      response.write(streaming ? EVENT + head : head);
      for await (const chunk of body) {
        if (this.#gone) return;
        const line = streaming ? oneLine(chunk) : chunk;
        const written = (error: Error | null | undefined): void => {
          if (!error) release(line);
        };
        if (!response.write(line, written)) await drained(response, this.#stallMs);
      }
      if (!this.#gone) response.end(streaming ? `${tail}\n\n` : tail);
    } catch {
      // The rest will never come (its host died, or the client takes nothing): a cut connection is the one honest end.
      body.cancel();
      response.destroy();
    } finally {
      this.#body = undefined;
    }
  }

  #closed(): void {
    this.#gone = true;
    this.#state = 'ended';
    this.#exchanges.closed(this);
    this.#exchanges.end();
    this.#body?.cancel();
    if (!this.#response.writableFinished) this.#controller?.abort();
  }
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
