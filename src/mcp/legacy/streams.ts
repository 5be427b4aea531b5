// The streams of one session: one per request that streams, and the standing one that a GET opens.
// Not responsible for who may open them (the session's owner) or for what is sent.
// Invariant: every event's id is unique in the session and names its stream; what comes back with an id gets that stream and no other.
import type { Answer, Message } from '../answer.ts';
import type { Inbound } from '../inbound.ts';
import { ifAllowed } from '../standing.ts';
import { type EventStore, eventId, type Position, positionOf } from './event-store.ts';
import { ResumableAnswer, RETRY_MS } from './resumable-answer.ts';

const STANDING = 0;

export class SessionStreams {
  readonly #store: EventStore;
  readonly #requests = new Map<number, ResumableAnswer>();
  #next = STANDING + 1;
  #standing: { readonly answer: Answer; readonly inbound: Inbound } | undefined;
  /** Behind which nothing of the standing stream was sent yet. */
  #told: Position = { stream: STANDING, seq: 0 };
  /** Whether the session's revision has empty events. */
  priming = false;

  constructor(store: EventStore) {
    this.#store = store;
  }

  /** Whether somebody listens on the standing stream. */
  get open(): boolean {
    return this.#standing !== undefined;
  }

  /** `tooLarge`: the answer where a result cannot be kept for a client that is away. */
  wrap(carrier: Answer, tooLarge: () => Message): ResumableAnswer {
    const stream = this.#next;
    this.#next += 1;
    const ended = (): void => void this.#requests.delete(stream);
    const answer = new ResumableAnswer(carrier, { stream, store: this.#store, priming: this.priming, tooLarge, ended });
    this.#requests.set(stream, answer);
    return answer;
  }

  /** Takes the exchange as the standing stream, or as the rest of the one that `lastEvent` is of. Half a sentence where it cannot. */
  attach(answer: Answer, inbound: Inbound, lastEvent: string | undefined): string | undefined {
    if (lastEvent === undefined) return this.#stand(answer, inbound, this.#told);
    const position = positionOf(lastEvent);
    if (position === undefined || !this.#store.knows(position)) return 'Last-Event-ID is of no stream of this session';
    if (position.stream !== STANDING) {
      this.#resume(answer, position);
      return undefined;
    }
    // The client knows better than we that its connection is gone.
    this.#standing?.answer.abandon();
    this.#standing = undefined;
    return this.#stand(answer, inbound, position);
  }

  /** A message that belongs to no request. Kept for a client that comes (back) later. */
  tell(message: string): void {
    const standing = this.#standing;
    if (standing === undefined) {
      // Said once is enough for who was not there.
      if (!this.#store.after(this.#told).some((event) => event.message === message)) this.#store.push(STANDING, message);
      return;
    }
    const position = this.#store.push(STANDING, message);
    this.#told = position;
    ifAllowed(
      standing.inbound,
      () => standing.answer.notify(message, eventId(position)),
      () => this.#drop(),
    );
  }

  /** Ends the standing stream where its credential would not be let in any more. */
  recheck(): void {
    if (this.#standing !== undefined)
      ifAllowed(
        this.#standing.inbound,
        () => {},
        () => this.#drop(),
      );
  }

  close(): void {
    for (const answer of this.#requests.values()) answer.end();
    this.#drop();
    this.#store.clear();
  }

  #stand(answer: Answer, inbound: Inbound, from: Position): string | undefined {
    if (this.#standing !== undefined) return 'The session has a stream already';
    const standing = { answer, inbound };
    this.#standing = standing;
    answer.open();
    if (this.priming) answer.prime(eventId(from.seq === 0 ? this.#store.mark(STANDING) : from), RETRY_MS);
    for (const event of this.#store.after(from)) {
      answer.notify(event.message, eventId(event));
      this.#told = event;
    }
    const left = (): void => {
      if (this.#standing === standing) this.#standing = undefined;
    };
    answer.signal.addEventListener('abort', left, { once: true });
    return undefined;
  }

  #resume(answer: Answer, position: Position): void {
    const request = this.#requests.get(position.stream);
    if (request !== undefined) {
      request.resume(answer, position);
      return;
    }
    // Its request has ended: what is kept is all there is.
    answer.open();
    for (const event of this.#store.after(position)) answer.notify(event.message, eventId(event));
    answer.abandon();
  }

  #drop(): void {
    this.#standing?.answer.abandon();
    this.#standing = undefined;
  }
}
