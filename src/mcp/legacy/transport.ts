// An SDK transport straight on our own exchanges: no HTTP of the SDK's, no second parse, no shared instance between clients.
// Not responsible for which requests are allowed (`leg`) or what answers them (`handlers`).
// Invariant: the SDK sees numbers that we chose as request ids, never the client's; so an id of 0, a huge one or one that is used
// twice cannot confuse it, and the client's id is echoed as it was written.
import type { Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { type Answer, type Message, text } from '../answer.ts';
import type { Envelope } from '../envelope.ts';
import type { Inbound } from '../inbound.ts';
import type { SessionStreams } from './streams.ts';

/** A request that the SDK has and whose exchange waits. */
export interface Pending {
  readonly id: string;
  readonly inbound: Inbound;
  readonly envelope: Envelope;
  readonly answer: Answer;
  /** Headers of the answer: name, value … */
  readonly headers?: readonly string[];
  /** The whole answer, left here by a handler so that the SDK never sees a result's bytes. True: the handler sent it. */
  result?: Message | true;
}

export class DirectTransport implements Transport {
  readonly sessionId: string;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: <T extends JSONRPCMessage>(message: T) => void;
  readonly #most: number;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  readonly #streams: SessionStreams;

  constructor(sessionId: string, most: number, streams: SessionStreams) {
    this.sessionId = sessionId;
    this.#most = most;
    this.#streams = streams;
  }

  get busy(): boolean {
    return this.#pending.size > 0 || this.#streams.open;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Gives a request to the SDK. False where the session has too many under way. */
  request(pending: Pending, method: string, params: Record<string, unknown> | undefined): boolean {
    if (this.#pending.size >= this.#most) return false;
    const id = this.#next;
    this.#next += 1;
    this.#pending.set(id, pending);
    const message: Record<string, unknown> = { jsonrpc: '2.0', id, method };
    if (params !== undefined) message['params'] = params;
    this.onmessage?.(message as JSONRPCMessage);
    return true;
  }

  notification(method: string, params: Record<string, unknown> | undefined): void {
    const message: Record<string, unknown> = { jsonrpc: '2.0', method };
    if (params !== undefined) message['params'] = params;
    this.onmessage?.(message as JSONRPCMessage);
  }

  /** The client's answer to a request of the SDK's server; one that answers nothing is dropped there. */
  response(message: object): void {
    this.onmessage?.(message as JSONRPCMessage);
  }

  /** The client cancels its request of this id (JSON text): its handler's signal aborts, its exchange ends without an answer. */
  cancel(id: string): void {
    for (const [own, pending] of this.#pending) {
      if (pending.id !== id) continue;
      this.#pending.delete(own);
      this.notification('notifications/cancelled', { requestId: own });
      pending.answer.abandon();
    }
  }

  pendingOf(own: unknown): Pending | undefined {
    return typeof own === 'number' ? this.#pending.get(own) : undefined;
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if ('id' in message && !('method' in message)) this.#answer(message);
    else this.#notify(JSON.stringify(message), options?.relatedRequestId);
    return Promise.resolve();
  }

  #answer(message: JSONRPCMessage & { id?: unknown }): void {
    const own = message.id;
    const pending = this.pendingOf(own);
    if (pending === undefined) return;
    this.#pending.delete(own as number);
    if (pending.result === true) return;
    pending.answer.send(200, pending.result ?? withId(message, pending.id), pending.headers);
  }

  #notify(message: string, related: unknown): void {
    if (related !== undefined) this.pendingOf(related)?.answer.notify(message);
    else this.#streams.tell(message);
  }

  close(): Promise<void> {
    for (const pending of this.#pending.values()) pending.answer.abandon();
    this.#pending.clear();
    this.#streams.close();
    this.onclose?.();
    return Promise.resolve();
  }
}

/** The SDK's small answers (initialize, ping, errors) with the client's own id. */
function withId(message: JSONRPCMessage, id: string): Message {
  const { jsonrpc: _version, id: _own, ...rest } = message as unknown as Record<string, unknown>;
  return text(`{"jsonrpc":"2.0","id":${id},${JSON.stringify(rest).slice(1)}`);
}
