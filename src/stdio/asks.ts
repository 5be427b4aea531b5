// What the server asks of the client (elicitation, sampling, roots), so that each answer goes to the session that asked.
// Not responsible for sending. Invariant: an id is the server's own, unless the client still works on another request of that id:
// sessions that follow each other count from the same number.
import type { Json } from '../shared/json.ts';
import { idKey, isRequest, member, type Message, type RpcId } from './message.ts';

const MOST = 1000;
const NOBODY = {};

interface Ask {
  readonly session: object;
  /** As the server wrote it. */
  readonly id: RpcId;
}

export class Asks {
  /** By the id that the client knows. */
  readonly #open = new Map<string, Ask & { readonly known: RpcId }>();
  #renamed = 0;

  /** A message of the server as the client may have it. */
  toClient(session: object, message: Message): Message {
    if (isRequest(message)) {
      const { id } = message;
      const known = this.#open.has(idKey(id)) ? this.#newId() : id;
      if (this.#open.size >= MOST) this.#open.delete(this.#open.keys().next().value ?? '');
      this.#open.set(idKey(known), { session, id, known });
      return known === id ? message : { ...message, id: known };
    }
    const cancelled = message['method'] === 'notifications/cancelled' ? member(message, 'params', 'requestId') : undefined;
    const ask = cancelled === undefined ? undefined : this.#of(session, cancelled);
    if (ask === undefined) return message;
    // Its id stays taken: the client's answer may be on its way.
    this.#open.set(idKey(ask.known), { ...ask, session: NOBODY });
    return { ...message, params: { ...(message['params'] as Record<string, Json>), requestId: ask.known } };
  }

  /** An answer of the client as its session may have it; undefined where nobody of that session waits for it. */
  toServer(session: object | undefined, message: Message): Message | undefined {
    const key = idKey(message['id']);
    const ask = this.#open.get(key);
    this.#open.delete(key);
    return ask === undefined || ask.session !== session ? undefined : { ...message, id: ask.id };
  }

  /** Of a session that has ended: what the client need not go on with. They stay known, since it may answer all the same. */
  endedWith(session: object): RpcId[] {
    return [...this.#open.values()].filter((ask) => ask.session === session).map(({ known }) => known);
  }

  #of(session: object, id: Json): (Ask & { readonly known: RpcId }) | undefined {
    return [...this.#open.values()].find((ask) => ask.session === session && idKey(ask.id) === idKey(id));
  }

  #newId(): string {
    this.#renamed += 1;
    return `leasehold-stdio-${this.#renamed}`;
  }
}
