// The journal of a run between two requests: sealed, and carried by the client as MCP's `requestState`.
// Not responsible for the key (the vault's) or for what a journal means (`journal`).
// Invariant: opens only for the tenant, issuer, subject, operation and arguments that it was made for, within its time, and for
// the bundle that was running; whatever else comes is one and the same refusal.
import { createHash } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import type { HostReply } from '../../boundary/host-request.ts';
import type { ClientQuestion } from '../../boundary/outcome.ts';
import type { OperationCall } from '../../mcp/ports.ts';
import { type Failure, failure } from '../../shared/errors.ts';
import type { StateSeal } from '../../vault/stores.ts';
import type { Entry } from './journal.ts';

/** A question may be answered for this long. */
const LIFE_MS = 600_000;
/** Characters of the sealed text. */
export const STATE_CHARACTERS = 49_152;
/** Sealed bytes that these characters hold. */
export const STATE_BYTES = (STATE_CHARACTERS / 4) * 3;

/** Body: `t` where it is text, else `b` in base64. */
type Written = readonly [path: string, at: number, digest: string, reply?: HostReply, t?: string | null, b?: string];
interface State {
  readonly v: 1;
  readonly bundle: string;
  /** Correlation of the request that was suspended. */
  readonly of: string;
  /** Epoch milliseconds. */
  readonly until: number;
  readonly entries: readonly Written[];
  readonly connect?: Connecting;
}

/** What the client was asked to have its user connect. */
export interface Connecting {
  /** As they were asked, to be asked again while they are open. */
  readonly requests: { readonly [key: string]: ClientQuestion };
  /** Addresses of the pages. */
  readonly urls: readonly string[];
  /** A run came upon it: whether it is enough now, only the run can tell. */
  readonly onTheWay: boolean;
}

/** What a state says of the run that it was made of. */
export interface Suspended {
  readonly of: string;
  readonly entries: readonly Entry[];
  readonly connect?: Connecting;
}

/** What a state is bound to, and the way in and out of it. */
export class SealedState {
  readonly #states: StateSeal;
  readonly #call: OperationCall;
  readonly #bundle: string;
  readonly #now: () => number;
  #place: readonly string[] | undefined;

  /** @param now epoch milliseconds */
  constructor(states: StateSeal, call: OperationCall, bundle: string, now: () => number = Date.now) {
    this.#now = now;
    this.#states = states;
    this.#call = call;
    this.#bundle = bundle;
  }

  /** Undefined where it is larger than a client should carry. */
  seal(entries: readonly Entry[], connect?: Connecting): string | undefined {
    const state: State = {
      v: 1,
      bundle: this.#bundle,
      of: this.#call.caller.correlation,
      until: this.#now() + LIFE_MS,
      entries: entries.map(written),
      ...(connect === undefined ? {} : { connect }),
    };
    const plain = Buffer.from(JSON.stringify(state));
    if (plain.length > STATE_BYTES) return undefined;
    const sealed = this.#states.seal(this.#call.caller.principal.tenant, this.#path(), plain);
    const text = Buffer.from(sealed).toString('base64url');
    return text.length > STATE_CHARACTERS ? undefined : text;
  }

  open(text: string): Suspended | Failure {
    if (text.length > STATE_CHARACTERS) return failure('state_invalid');
    const sealed = Buffer.from(text, 'base64url');
    // The decoder skips what it does not know: a changed text must not pass for the same state.
    if (sealed.toString('base64url') !== text) return failure('state_invalid');
    const plain = this.#states.open(this.#call.caller.principal.tenant, this.#path(), sealed);
    if (plain === undefined) return failure('state_invalid');
    const state = JSON.parse(Buffer.from(plain).toString('utf8')) as State;
    if (state.until < this.#now()) return failure('state_invalid');
    if (state.bundle !== this.#bundle) {
      const message = 'The tools of the tenant have changed since the question was asked. Call again without requestState.';
      return failure('state_invalid', { message });
    }
    const { of, entries, connect } = state;
    return { of, entries: entries.map(read), ...(connect === undefined ? {} : { connect }) };
  }

  #path(): readonly string[] {
    const { caller, asked, args } = this.#call;
    const { issuer, subject } = caller.principal;
    this.#place ??= [issuer, subject, asked.kind, asked.name, digestOfArguments(args)];
    return this.#place;
  }
}

/** The same for the same arguments, however a client writes them down. */
function digestOfArguments(args: Uint8Array): string {
  let text = Buffer.from(args.buffer, args.byteOffset, args.byteLength).toString('utf8');
  try {
    text = JSON.stringify(sorted(JSON.parse(text)));
  } catch {
    // Not JSON, or nested too deep to be written again: its own text names it well enough.
  }
  return createHash('sha256').update(text).digest('base64url');
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).map(([key, member]) => [key, sorted(member)] as const);
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function written({ path, at, digest, reply, body }: Entry): Written {
  if (reply === undefined) return [path, at, digest];
  if (body === undefined) return [path, at, digest, reply];
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return isUtf8(bytes)
    ? [path, at, digest, reply, bytes.toString('utf8')]
    : [path, at, digest, reply, null, bytes.toString('base64')];
}

function read([path, at, digest, reply, text, base64]: Written): Entry {
  if (reply === undefined) return { path, at, digest };
  if (typeof text === 'string') return { path, at, digest, reply, body: Buffer.from(text) };
  return base64 === undefined ? { path, at, digest, reply } : { path, at, digest, reply, body: Buffer.from(base64, 'base64') };
}
