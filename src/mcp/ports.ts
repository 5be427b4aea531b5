// What the protocol needs from the rest of the server, handed to it by the composition root.
// Not responsible for anything running: types only.
// Invariant: the protocol decides shapes and codes; authority, limits and execution are behind these ports.
import type { PromptManifest, ResourceManifest, ToolManifest } from '../boundary/manifest.ts';
import type { OperationKind } from '../boundary/operation.ts';
import type { CallOutcome, ClientQuestion } from '../boundary/outcome.ts';
import type { Principal } from '../auth/principal.ts';
import type { Failure } from '../shared/errors.ts';

/** What a client told of itself in this request or session. */
export interface ClientFacts {
  readonly name?: string;
  readonly version?: string;
  readonly capabilities: { readonly [name: string]: unknown };
  readonly protocolVersion: string;
}

/** A line that a tool logged while it ran for a caller. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly logger: string;
  readonly message: string;
  readonly fields?: { readonly [name: string]: unknown };
}

/** One request of a verified caller. */
export interface Caller {
  readonly principal: Principal;
  readonly correlation: string;
  readonly traceparent: string;
  readonly tracestate?: string;
  readonly baggage?: string;
  readonly client: ClientFacts;
  /** Where the caller asked for the log messages of its request. */
  readonly log?: (line: LogLine) => void;
}

/** A tool as listed: `listing` is its `tools/list` entry as JSON text, `anyListing` another one for clients from 2026-07-28 on. */
export type ListedTool = Pick<ToolManifest, 'name' | 'inputSchema' | 'scopes'> & {
  readonly listing: string;
  readonly anyListing?: string;
};

/** `listing`: its entry in `prompts/list`. */
export type ListedPrompt = Pick<PromptManifest, 'name' | 'arguments' | 'scopes' | 'completes'> & { readonly listing: string };

/** `listing`: its entry in `resources/list` (with `uri`) or `resources/templates/list` (with `uriTemplate`). */
export type ListedResource = Pick<ResourceManifest, 'name' | 'uri' | 'uriTemplate' | 'scopes' | 'completes'> & {
  readonly listing: string;
  readonly variables: readonly string[];
};

/** What a caller may use, in lists ordered by name. */
export interface ToolsetView {
  readonly hash: string;
  readonly instructions: string | undefined;
  readonly tools: readonly ListedTool[];
  readonly prompts: readonly ListedPrompt[];
  readonly resources: readonly ListedResource[];
  /** What the tenant has at all: the capabilities that are told. */
  readonly has: { readonly prompts: boolean; readonly resources: boolean; readonly completions: boolean };
}

/** A result's JSON bytes, whole or as a stream (large ones are never joined in the supervisor). */
export type ResultBody = Uint8Array | (AsyncIterable<Uint8Array> & { cancel(): void });

/** What a client asks to have run. */
export interface Asked {
  readonly kind: OperationKind;
  /** As the client calls it: the name of a tool or prompt, the URI of a resource, a URI template to complete. */
  readonly name: string;
}

/**
 * How the client of a request can be asked something. `session` (2025 era): now, on the stream of the request. `rounds` (2026 era):
 * by ending the request with `input_required`; the client repeats it with `answers` and `state`.
 */
export type Asking =
  | {
      readonly era: 'session';
      /** Rejects never; `signal` takes the question back. The result is as the client sent it. */
      ask(question: ClientQuestion, signal: AbortSignal): Promise<{ readonly result: unknown } | { readonly failure: Failure }>;
    }
  | {
      readonly era: 'rounds';
      /** By key of a question, as the client sent them. */
      readonly answers: { readonly [key: string]: unknown } | undefined;
      readonly state: string | undefined;
    };

export interface OperationCall {
  readonly caller: Caller;
  readonly asked: Asked;
  /** JSON text of an object: see `Operation`; of tools and prompts as the client sent it. */
  readonly args: Uint8Array;
  /** Names and sizes of the first 128 arguments, where whoever read the message knows them already. */
  readonly argsShape?: readonly { readonly name: string; readonly bytes: number }[];
  /** Aborts when the client went away or cancelled. */
  readonly signal: AbortSignal;
  /** Absent: the client cannot be asked within this request. */
  readonly asking?: Asking;
  readonly progress?: (update: { progress: number; total?: number; message?: string }) => void;
}

export interface OperationResult {
  readonly outcome: CallOutcome;
  /** With `ok` only: see `CallOutcome`. */
  readonly body?: ResultBody;
}

export interface McpBackend {
  /** Undefined where the tenant has no toolset (yet). */
  toolset(caller: Principal): ToolsetView | undefined;
  /** The tool that the caller may use under this name. */
  tool(caller: Principal, name: string): ListedTool | undefined;
  /** Whether the caller has a resource of this URI: it may read it, and so may know that it changed. */
  readable(caller: Principal, uri: string): boolean;
  /** Settles exactly once; never rejects. What is unknown is `tool_unknown` (or its like), missing scopes `scope_insufficient`. */
  operate(call: OperationCall): Promise<OperationResult>;
}

export type { Failure, Principal };
