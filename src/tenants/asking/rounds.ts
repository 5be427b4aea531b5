// Asks the client of a request in the 2026 era: the run is abandoned, and the next request of the client runs it again with the
// answers, where every operation that was done gives what it gave before.
// Not responsible for carrying the journal (`sealed-state`) or for doing operations (`host-requests`).
// Invariant: nothing is done twice, and nothing is done in the place of something else: an operation that is not the one that was
// recorded ends all operations of the run. What was asked stays asked: an answer counts for the very question it was given to.
import type { AskRequest, HostRequest } from '../../boundary/host-request.ts';
import type { ClientQuestion } from '../../boundary/outcome.ts';
import type { OperationCall } from '../../mcp/ports.ts';
import { type Failure, failure, isFailure } from '../../shared/errors.ts';
import type { StateSeal } from '../../vault/stores.ts';
import { type Call, isUnsafe, type Root } from '../call-tree.ts';
import type { Replied } from '../code-run.ts';
import { digestOf, type Entry, Journal, Track } from './journal.ts';
import { canBeAsked, type Question, questionOf, readAnswer } from './question.ts';
import { type Connecting, SealedState, STATE_BYTES } from './sealed-state.ts';

/** What else a handler asks at the same time reaches us within this time. */
const GATHER_MS = 25;

const JOURNAL_FULL = failure('journal_full', {
  message: `The tool got more before its question to the user than can be kept until the answer (${STATE_BYTES} bytes).`,
});

interface Pending {
  readonly track: Track;
  readonly at: number;
  readonly call: Call;
  readonly question: Question;
  readonly resolve: (replied: Replied) => void;
}

/** What a request brings of the rounds before it. */
export interface RoundsBefore {
  readonly state: SealedState;
  readonly answers: { readonly [key: string]: unknown };
  /** Of the run before, in the order of their ends. */
  readonly known: readonly Entry[];
  readonly resumes: string | undefined;
  /** What was asked to be connected before the run can go on. */
  readonly connect: Connecting | undefined;
}

/** Undefined where the client can never be asked: then nothing is kept of what a run does. */
export function readRounds(states: StateSeal, call: OperationCall, bundle: string): RoundsBefore | Failure | undefined {
  const { asking, caller } = call;
  if (asking?.era !== 'rounds' || (asking.state === undefined && !canBeAsked(caller.client.capabilities))) return undefined;
  const state = new SealedState(states, call, bundle);
  const answers = asking.answers ?? {};
  if (asking.state === undefined) return { state, answers, known: [], resumes: undefined, connect: undefined };
  const before = state.open(asking.state);
  return 'code' in before ? before : { state, answers, known: before.entries, resumes: before.of, connect: before.connect };
}

function refused(reason: Failure): Replied {
  return { reply: { status: 'error', failure: reason } };
}

export class Rounds {
  /** Correlation of the request that this one goes on with. */
  readonly resumes: string | undefined;
  readonly #root: Root;
  readonly #state: SealedState;
  readonly #answers: { readonly [key: string]: unknown };
  readonly #known: readonly Entry[];
  readonly #journal: Journal;
  readonly #tracks = new Map<string, Track>();
  readonly #keys = new Set<string>();
  /** By key on the wire. */
  readonly #pending = new Map<string, Pending>();
  #timer: NodeJS.Timeout | undefined;
  #broken = false;

  constructor(root: Root, { state, answers, known, resumes }: RoundsBefore) {
    this.resumes = resumes;
    this.#root = root;
    this.#state = state;
    this.#answers = answers;
    this.#known = known;
    this.#journal = new Journal(known, STATE_BYTES);
  }

  /** One operation of a call. `perform` does it, for a nested call under the given path; it never rejects. */
  async operation(call: Call, ask: HostRequest, body: Uint8Array, perform: (path: string) => Promise<Replied>): Promise<Replied> {
    const track = this.#track(call.path);
    const at = track.issue();
    const digest = digestOf(ask, body);
    const known = track.known(at);
    if (this.#broken || (known !== undefined && known.digest !== digest)) return this.#mismatch(ask);
    if (known?.reply !== undefined) return this.#replay(track, ask, known, known.reply);
    if (ask.op === 'ask') return this.#ask(call, track, { path: track.path, at, digest }, ask, body);
    track.open.set(at, { digest, kind: ask.op === 'call' ? 'call' : 'live' });
    const path = `${track.path}.${at}`;
    const replied = await perform(path);
    track.open.delete(at);
    if (ask.op === 'call') {
      this.#tracks.delete(path);
      this.#journal.drop(path);
    }
    this.#journal.add({ path: track.path, at, digest }, replied);
    this.#gather();
    return replied;
  }

  async #replay(track: Track, ask: HostRequest, known: Entry, reply: Replied['reply']): Promise<Replied> {
    const turn = track.turn(known.at, known.digest);
    this.#gather();
    if (!(await turn)) return this.#mismatch(ask);
    track.gave();
    return known.body === undefined ? { reply } : { reply, body: known.body };
  }

  async #ask(
    call: Call,
    track: Track,
    place: Omit<Entry, 'reply' | 'body'>,
    ask: AskRequest,
    body: Uint8Array,
  ): Promise<Replied> {
    if (isUnsafe(call)) return refused(failure('elicit_after_effect'));
    const question = questionOf(ask, body, this.#root.caller.client.capabilities);
    if (isFailure(question)) return refused(question);
    const key = track.path === '' ? ask.key : `${track.path.slice(1)}/${ask.key}`;
    if (this.#keys.has(key)) return refused(failure('tool_failed', { detail: `The key "${key}" stands for two questions.` }));
    this.#keys.add(key);
    const answer = Object.hasOwn(this.#answers, key) ? readAnswer(question, this.#answers[key]) : undefined;
    if (answer === undefined || isFailure(answer)) {
      const { promise, resolve } = Promise.withResolvers<Replied>();
      this.#pending.set(key, { track, at: place.at, call, question, resolve });
      track.open.set(place.at, { digest: place.digest, kind: 'ask' });
      this.#gather();
      return promise;
    }
    if (!(await track.turn(place.at, place.digest))) return this.#mismatch(ask);
    const replied: Replied = { reply: { status: 'ok' }, body: Buffer.from(JSON.stringify(answer)) };
    this.#journal.add(place, replied);
    return replied;
  }

  #track(path: string): Track {
    let track = this.#tracks.get(path);
    if (track === undefined) {
      track = new Track(
        path,
        this.#known.filter((entry) => entry.path === path),
      );
      this.#tracks.set(path, track);
    }
    return track;
  }

  #mismatch(ask: HostRequest): Replied {
    this.#broken = true;
    return refused(failure('replay_mismatch', { detail: `in the place of another operation: ${ask.op}` }));
  }

  #gather(): void {
    if (this.#timer !== undefined || this.#root.over) return;
    // What has arrived is read first, however late the timer is.
    this.#timer = setTimeout(() => setImmediate(this.#gathered), GATHER_MS);
  }

  readonly #gathered = (): void => {
    this.#timer = undefined;
    if (!this.#root.over && this.#waits('')) this.#turnToClient();
  };

  /** Whether the call of this path, and all below it, can only go on when somebody answers. */
  #waits(path: string): boolean {
    const track = this.#tracks.get(path);
    if (track === undefined || track.open.size === 0) return false;
    for (const [at, { kind }] of track.open)
      if (kind === 'live' || (kind === 'call' && !this.#waits(`${path}.${at}`))) return false;
    return true;
  }

  #turnToClient(): void {
    // Everything waits, and some of it for a result whose turn never comes: the handler took another way than the first time.
    const stuck = [...this.#tracks.values()].filter((track) => track.giveUp());
    if (stuck.length > 0 || this.#pending.size === 0) return;
    if ([...this.#pending.values()].some(({ call }) => isUnsafe(call))) return this.#refuseAll(failure('elicit_after_effect'));
    const state = this.#journal.full ? undefined : this.#state.seal([...this.#journal.entries, ...this.#unfinished()]);
    if (state === undefined) return this.#refuseAll(JOURNAL_FULL);
    const requests: [string, ClientQuestion][] = [...this.#pending].map(([key, { question }]) => {
      const { method, params } = question;
      return [key, { method, params }];
    });
    this.#root.suspend({ status: 'input_required', requests: Object.fromEntries(requests), state });
  }

  #unfinished(): Entry[] {
    return [...this.#tracks.values()].flatMap(({ path, open }) => [...open].map(([at, { digest }]) => ({ path, at, digest })));
  }

  #refuseAll(reason: Failure): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { track, at, resolve } of pending) {
      track.open.delete(at);
      resolve(refused(reason));
    }
  }
}
