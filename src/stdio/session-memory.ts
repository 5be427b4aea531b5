// What a client has said to its session and a new session must be told again.
// Not responsible for telling it. Invariant: bounded; what the client took back is forgotten.
import { member, type Message, type Request } from './message.ts';

const MOST_SUBSCRIPTIONS = 1000;

export class SessionMemory {
  readonly #subscriptions = new Map<string, Request>();
  #level: Request | undefined;
  initialize: Request | undefined;
  /** Whether the client has sent `notifications/initialized`. */
  initialized = false;

  /** A new client begins: what an earlier one said is void. */
  begin(initialize: Request): void {
    this.initialize = initialize;
    this.initialized = false;
    this.#level = undefined;
    this.#subscriptions.clear();
  }

  note(message: Message): void {
    const uri = member(message, 'params', 'uri');
    if (message['method'] === 'notifications/initialized') this.initialized = true;
    else if (message['method'] === 'logging/setLevel') this.#level = message as Request;
    else if (typeof uri !== 'string') return;
    else if (message['method'] === 'resources/unsubscribe') this.#subscriptions.delete(uri);
    else if (message['method'] === 'resources/subscribe' && this.#subscriptions.size < MOST_SUBSCRIPTIONS) {
      this.#subscriptions.set(uri, message as Request);
    }
  }

  /** To be sent after `notifications/initialized`. Their answers are nobody's. */
  get requests(): Request[] {
    return [...(this.#level === undefined ? [] : [this.#level]), ...this.#subscriptions.values()];
  }
}
