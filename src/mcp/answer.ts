// How the protocol answers one HTTP exchange, whatever carries it: one message, or notifications and then one message.
// Not responsible for HTTP: `server/http-answer` implements it.
// Invariant: at most one `send`, `accepted` or `abandon` takes effect; after the client went away nothing goes out.
import type { ResultBody } from './ports.ts';

/** One JSON-RPC message as text around bytes that nobody parses. */
export interface Message {
  readonly head: string;
  readonly body?: ResultBody;
  readonly tail: string;
}

export interface Answer {
  /** Aborts when the client goes away before the answer was sent. */
  readonly signal: AbortSignal;
  /** Whether the client takes an event stream. */
  readonly streams: boolean;
  /** Whether the client went away. */
  readonly gone: boolean;
  /** `event`: the id of the event, on a stream that can be resumed. The answer. Status and headers (name, value, name, value …) are lost where a stream has begun. */
  send(status: number, message: Message, headers?: readonly string[], event?: string): void;
  /** A notification before the answer; begins an event stream. Dropped where the client reads too slowly. */
  notify(message: string, event?: string): void;
  /** Begins an event stream with an empty event, to which a client can come back after `retryMs`. */
  prime(event: string, retryMs: number): void;
  /** Begins an event stream that stays open until `abandon` or the client ends it. */
  open(): void;
  /** An answer without a body: 202 for a notification that was taken, 204 for a session that was ended. */
  empty(status: 202 | 204): void;
  /** Ends the exchange without an answer (the request was cancelled, the stream is over). */
  abandon(): void;
}

export function text(message: string): Message {
  return { head: message, tail: '' };
}
