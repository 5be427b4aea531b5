// What of a bundle a call runs: a tool, a prompt, a resource, or the completion of an argument of one of the latter two.
// Not responsible for its arguments (the body of the call) or for whether it exists (each side looks it up).
// Invariant: `name` is the key in the toolset, never what a client calls it (a resource's URI).
import { type Static, Type } from 'typebox';
import type { FailureCode } from '../shared/errors.ts';

export const OPERATION_KINDS = ['tool', 'prompt', 'resource', 'complete_prompt', 'complete_resource'] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

/**
 * The body of the call is JSON text. `tool`, `prompt`: the arguments object. `resource`: `{ "uri": "…" }`.
 * `complete_*`: `{ "argument": "…", "value": "…", "given": { … } }`, with the other arguments as far as they are known.
 */
export const OperationSchema = Type.Object(
  { kind: Type.Enum([...OPERATION_KINDS]), name: Type.String({ maxLength: 128 }) },
  { additionalProperties: false },
);
/** How it is told that there is none of that name. */
export const UNKNOWN_OPERATION: Readonly<Record<OperationKind, FailureCode>> = {
  tool: 'tool_unknown',
  prompt: 'prompt_unknown',
  resource: 'resource_unknown',
  complete_prompt: 'prompt_unknown',
  complete_resource: 'resource_unknown',
};

export type Operation = Readonly<Static<typeof OperationSchema>>;
