// The last events of one session's streams, so that a client whose connection broke can read on where it stopped.
// Not responsible for who may read them (the session's owner) or for sending. Lost with the process, as sessions are.
// Invariant: bounded per session and per tenant, oldest out first; an event belongs to one stream and is given out for that one only.

/** Bytes that all sessions of a tenant may keep together. */
export class ByteBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

interface StoredEvent {
  readonly stream: number;
  readonly seq: number;
  readonly message: string;
  readonly bytes: number;
}

export interface Position {
  readonly stream: number;
  readonly seq: number;
}

const EVENTS = 1000;
/** An event's own cost beside its text. */
const OVERHEAD = 64;
const ID = /^(\d{1,9})-(\d{1,9})$/;

export function eventId({ stream, seq }: Position): string {
  return `${stream}-${seq}`;
}

export function positionOf(id: string): Position | undefined {
  const [, stream, seq] = ID.exec(id) ?? [];
  return stream === undefined || seq === undefined ? undefined : { stream: Number(stream), seq: Number(seq) };
}

export class EventStore {
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  #events: StoredEvent[] = [];
  #bytes = 0;
  #seq = 0;

  constructor(maxBytes: number, budget: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /** A position of a stream without an event: everything later comes behind it. */
  mark(stream: number): Position {
    this.#seq += 1;
    return { stream, seq: this.#seq };
  }

  /** Keeps the message if it fits; its position is good either way. */
  push(stream: number, message: string): Position {
    const position = this.mark(stream);
    const bytes = OVERHEAD + Buffer.byteLength(message);
    if (bytes > this.#maxBytes) return position;
    while (this.#bytes + bytes > this.#maxBytes || this.#events.length >= EVENTS) this.#dropOldest();
    while (!this.#budget.take(bytes)) {
      if (this.#events.length === 0) return position;
      this.#dropOldest();
    }
    this.#bytes += bytes;
    this.#events.push({ ...position, message, bytes });
    return position;
  }

  /** What came on the same stream behind the position, as far as it is kept. */
  after({ stream, seq }: Position): readonly (Position & { readonly message: string })[] {
    return this.#events.filter((event) => event.stream === stream && event.seq > seq);
  }

  /** Whether a position was ever given out. */
  knows({ seq }: Position): boolean {
    return seq > 0 && seq <= this.#seq;
  }

  clear(): void {
    this.#budget.give(this.#bytes);
    this.#events = [];
    this.#bytes = 0;
  }

  #dropOldest(): void {
    const oldest = this.#events.shift();
    if (oldest === undefined) return;
    this.#bytes -= oldest.bytes;
    this.#budget.give(oldest.bytes);
  }
}
