// The two errors of the author's API: the one an author throws, and the one the runtime throws out of `ctx`.
// Not responsible for what a caller finally reads: the failure table and the codec of the client's revision decide that.
// Invariant: only the runtime's own failures cross unchanged; a LeaseholdError made by other code carries none.
import {
  FAILURES,
  type Failure,
  type FailureClass,
  type FailureCode,
  type NextAction,
  nextAction,
  publicText,
} from '../shared/errors.ts';
import type { Json } from '../shared/json.ts';

export interface ToolErrorOptions {
  /** Your own word for it, at most 128 characters; callers can match on it. */
  code?: string;
  /** Tells the caller that the same call may succeed after this many milliseconds. */
  retryAfterMs?: number;
  data?: Json;
  cause?: unknown;
}

/** Thrown by an author: `message` reaches the model verbatim. Anything else thrown is masked as `tool_failed`. */
export class ToolError extends Error {
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly data: Json | undefined;

  constructor(message: string, options: ToolErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'ToolError';
    this.code = options.code;
    this.retryAfterMs = options.retryAfterMs;
    this.data = options.data;
  }
}

const genuine = new WeakMap<object, Failure>();

/** Thrown by the runtime out of `ctx`. Uncaught, it reaches the caller unchanged, next action included. Match on `code`. */
export class LeaseholdError extends Error {
  readonly code: string;
  readonly class: FailureClass;
  readonly nextAction: NextAction;

  /** @internal Thrown by the runtime; an author throws `ToolError`. */
  constructor(code: FailureCode, message: string, next: NextAction) {
    super(message);
    this.name = 'LeaseholdError';
    this.code = code;
    this.class = FAILURES[code].class;
    this.nextAction = next;
  }
}

/** @internal */
export function leaseholdError(failure: Failure): LeaseholdError {
  const error = new LeaseholdError(failure.code, publicText(failure), nextAction(failure));
  genuine.set(error, failure);
  return error;
}

/** The failure behind an error of the runtime; undefined for everything else, look-alikes included. @internal */
export function failureBehind(error: unknown): Failure | undefined {
  return typeof error === 'object' && error !== null ? genuine.get(error) : undefined;
}
