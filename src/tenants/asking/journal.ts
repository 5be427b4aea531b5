// What a run has done so far, operation by operation, so that the next one can be given the same without doing it again.
// Not responsible for asking (`rounds`) or for carrying it between requests (`sealed-state`).
// Invariant: an operation is named by the path of its call, its number in it and a digest of what it is; a call gets its recorded
// results in the order in which it got them first, so a handler that decides by them asks for the same again.
import { createHash } from 'node:crypto';
import type { HostReply, HostRequest } from '../../boundary/host-request.ts';
import type { Replied } from '../code-run.ts';

/** An operation that was done; without a reply: one that waited for an answer when the run was abandoned. */
export interface Entry {
  /** Numbers of the calls above, each with a dot before it; empty for the client's own call. */
  readonly path: string;
  readonly at: number;
  readonly digest: string;
  readonly reply?: HostReply;
  readonly body?: Uint8Array;
}

const DIGEST_CHARACTERS = 22;
/** What an entry takes besides its body, roughly. */
const ENTRY_BYTES = 64;

export function digestOf(ask: HostRequest, body: Uint8Array): string {
  const hash = createHash('sha256').update(JSON.stringify(ask)).update('\0').update(body);
  return hash.digest('base64url').slice(0, DIGEST_CHARACTERS);
}

/** One call of the tree: its operations under way, and those that are known from the run before. */
export class Track {
  readonly path: string;
  /** By number: `ask` waits for the client, `call` for another tool, `replay` for its turn; `live` is being done. */
  readonly open = new Map<number, { readonly digest: string; readonly kind: 'ask' | 'call' | 'replay' | 'live' }>();
  readonly #known = new Map<number, Entry>();
  readonly #order: number[] = [];
  readonly #waiting = new Map<number, (inTurn: boolean) => void>();
  #given = 0;
  #issued = 0;

  constructor(path: string, known: readonly Entry[]) {
    this.path = path;
    for (const entry of known) {
      this.#known.set(entry.at, entry);
      if (entry.reply !== undefined) this.#order.push(entry.at);
    }
  }

  /** The number of an operation that begins. */
  issue(): number {
    this.#issued += 1;
    return this.#issued - 1;
  }

  known(at: number): Entry | undefined {
    return this.#known.get(at);
  }

  /** Resolves when everything that the call got before `at` was given to it; false where that will never be. */
  turn(at: number, digest: string): Promise<boolean> {
    const place = this.#order.indexOf(at);
    const behind = place === -1 ? this.#order.length : place;
    if (this.#given >= behind) return Promise.resolve(true);
    this.open.set(at, { digest, kind: 'replay' });
    return new Promise((resolve) => {
      this.#waiting.set(at, (inTurn) => {
        this.open.delete(at);
        resolve(inTurn);
      });
    });
  }

  /** The next recorded result is on its way to the call. */
  gave(): void {
    this.#given += 1;
    const next = this.#order[this.#given];
    for (const [at, go] of this.#waiting) {
      if (next !== undefined && at !== next) continue;
      this.#waiting.delete(at);
      go(true);
    }
  }

  /** Ends all waiting: the call does not do what it did before. False where nothing waited. */
  giveUp(): boolean {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const go of waiting) go(false);
    return waiting.length > 0;
  }
}

/** Bounded: beyond `mostBytes` nothing is kept, and the journal says that it is full. */
export class Journal {
  readonly #mostBytes: number;
  #entries: Entry[];
  #bytes = 0;
  full = false;

  constructor(entries: readonly Entry[], mostBytes: number) {
    this.#mostBytes = mostBytes;
    this.#entries = entries.filter((entry) => entry.reply !== undefined);
    for (const entry of this.#entries) this.#bytes += sizeOf(entry);
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  add(entry: Omit<Entry, 'reply' | 'body'>, { reply, body }: Replied): void {
    if (this.full) return;
    if (body !== undefined && !(body instanceof Uint8Array)) return this.#fill();
    // A copy: the bytes may be a part of a frame that is many times as large.
    const added: Entry = body === undefined ? { ...entry, reply } : { ...entry, reply, body: Uint8Array.from(body) };
    this.#bytes += sizeOf(added);
    if (this.#bytes > this.#mostBytes) this.#fill();
    else this.#entries.push(added);
  }

  /** The call of this path has its result; what it did on the way is of no use any more. */
  drop(path: string): void {
    const kept = this.#entries.filter((entry) => entry.path !== path && !entry.path.startsWith(`${path}.`));
    if (kept.length === this.#entries.length) return;
    this.#entries = kept;
    this.#bytes = kept.reduce((sum, entry) => sum + sizeOf(entry), 0);
  }

  #fill(): void {
    this.full = true;
    this.#entries = [];
  }
}

function sizeOf({ path, body }: Entry): number {
  return ENTRY_BYTES + path.length + (body?.length ?? 0);
}
