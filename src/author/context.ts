// What a handler is given besides its arguments, as types, and `getContext()` for code anywhere below a handler.
// Not responsible for doing any of it: a tools thread puts the runtime behind the hook; outside a thread there is none.
// Invariant: nothing in a context is a credential, and everything it can do is asked of the supervisor.
import type { Static, TObject, TSchema } from 'typebox';
import type { Json } from '../shared/json.ts';
import type { Tool } from './tool.ts';

/** What a tool needs of a connection: scopes of the service behind it. */
export interface Need {
  scopes?: readonly string[];
}
export type Needs = { readonly [slot: string]: Need };

export interface ConnectionRequest {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  signal?: AbortSignal;
  /** Permits repeating a request that is not idempotent by its method. */
  idempotencyKey?: string;
}

/** A service behind a tool, without its credential. */
export interface Connection {
  /**
   * Signature of the global `fetch`, for this connection's origins; can be handed to a client library. A path is resolved against
   * the first origin. Resolves for every HTTP status that recovery did not consume.
   * @throws LeaseholdError for credential, transient (retries used up), denied and limit.
   */
  fetch(input: string | URL, init?: ConnectionRequest): Promise<Response>;
  /** `fetch`, a check of `ok`, and the body as JSON. @throws LeaseholdError class `upstream` where the status is not 2xx. */
  json<T = Json>(input: string | URL, init?: ConnectionRequest & { json?: Json }): Promise<T>;
}

/** Sealed rows of the tenant: at most 64 KiB a value. The memory of a thread is lost when it idles; this is not. */
export interface Store {
  get<T extends Json = Json>(key: string): Promise<T | undefined>;
  set(key: string, value: Json, options?: { ttlMs?: number }): Promise<void>;
  delete(key: string): Promise<void>;
}

export type Elicited<S extends TObject> = { action: 'accept'; content: Static<S> } | { action: 'decline' } | { action: 'cancel' };
/** A message for `ctx.sample`; shapes as in MCP's `SamplingMessage`. */
export interface SampleMessage {
  role: 'user' | 'assistant';
  content: { [key: string]: Json } | { [key: string]: Json }[];
}
/** The `params` of MCP's `sampling/createMessage`; further members of the protocol pass as they are. */
export interface SampleRequest {
  messages: SampleMessage[];
  maxTokens: number;
  systemPrompt?: string;
  temperature?: number;
  stopSequences?: string[];
  modelPreferences?: { [key: string]: Json };
  [key: string]: unknown;
}
/** MCP's `CreateMessageResult`. */
export interface Sampled {
  role: 'user' | 'assistant';
  content: { [key: string]: Json } | { [key: string]: Json }[];
  model: string;
  stopReason?: string;
}
export interface ClientRoot {
  uri: string;
  name?: string;
}
export type Log = Record<'debug' | 'info' | 'warn' | 'error', (message: string, fields?: { [key: string]: Json }) => void>;

export interface ToolContext<C extends Needs = {}> {
  readonly tenant: string;
  readonly subject: string;
  /** Of the caller's token. */
  readonly scopes: readonly string[];
  readonly client: { readonly name: string; readonly version: string } | undefined;
  /** `vars` of tenant.json: plain settings, never secrets. */
  readonly vars: { readonly [name: string]: Json };
  /** Correlation id: the same in every nested call, log line and audit record. */
  readonly requestId: string;
  /** Epoch milliseconds. */
  readonly deadline: number;
  /** Aborts with reason `cancelled`, `deadline`, `drained` or `input_required`. */
  readonly signal: AbortSignal;
  readonly connections: { readonly [K in keyof C]: Connection };
  readonly store: { readonly tenant: Store; readonly subject: Store };
  /** Lines for the author's log. A client that asked for log messages of its request reads them too (not those of `console`). */
  readonly log: Log;
  progress(update: { progress: number; total?: number; message?: string }): void;
  /** Says that a resource has changed: whoever of the tenant is subscribed to exactly this URI is told. */
  notifyResourceUpdated(uri: string): void;
  /** A tool of this tenant: typed by its definition, or Json by its name. Runs in the slot of this call. */
  call<I extends TObject, O extends TSchema>(tool: Tool<I, O>, args: Static<I>): Promise<Static<O>>;
  call(tool: string, args: { [key: string]: Json }): Promise<Json>;
  /**
   * Asks the user to fill in a form: a flat object of texts, numbers, booleans and choices. `key` is unique within the call; the
   * handler may be run again from its start to get the answer, and then gets what its earlier operations gave without doing them.
   * @throws LeaseholdError `elicit_unsupported` (the client cannot ask), `elicit_after_effect` (something was changed already).
   */
  elicit<S extends TObject>(key: string, request: { message: string; schema: S }): Promise<Elicited<S>>;
  /**
   * Asks the client's model. In the manner of `elicit`.
   * @deprecated MCP 2026-07-28 deprecates sampling: call a model's service through a connection.
   */
  sample(key: string, params: SampleRequest): Promise<Sampled>;
  /**
   * Asks for the folders that the client works in. In the manner of `elicit`. @param key @default 'roots'
   * @deprecated MCP 2026-07-28 deprecates roots: take paths as arguments.
   */
  roots(key?: string): Promise<ClientRoot[]>;
}

/** What a tools thread puts behind the API. @internal */
export interface Runtime {
  /** The context of the call that the running code belongs to. */
  context(): ToolContext<Record<string, Need>> | undefined;
}
/** @internal */
export const RUNTIME = Symbol.for('leasehold.runtime');

/** The current call's context, from anywhere below a handler. @throws Error outside a call. */
export function getContext(): ToolContext<Record<string, Need>> {
  const runtime = (globalThis as { [RUNTIME]?: Runtime })[RUNTIME];
  const context = runtime?.context();
  if (context === undefined) {
    throw new Error('getContext() was called outside a tool call. Call it inside a handler or in what a handler calls.');
  }
  return context;
}
