// What a call can run in this thread, whatever its kind: its arguments checked, its code called, its result made bytes.
// Not responsible for the life of the call (`call-run`, `tools-thread`).
import type { Need, ToolContext } from '../../src/author/context.ts';
import type { Mismatch } from '../schema-check.ts';
import type { Answer } from './result.ts';

export type Checked = { readonly ok: true; readonly value: object } | Mismatch;

export interface AnswerLimits {
  readonly resultBytes: number;
  /** See `CallContext`. */
  readonly objectsOnly: boolean;
}

export interface Runnable {
  readonly name: string;
  /** Slots that the author's code may use. */
  readonly connections: { readonly [slot: string]: Need };
  /** The arguments as the author's code gets them. Never throws for a value. */
  check(args: unknown): Checked;
  /** Calls the author's code. Throws what it throws. */
  invoke(args: object, ctx: ToolContext): unknown;
  /** Never throws. */
  answer(returned: unknown, limits: AnswerLimits): Answer;
}
