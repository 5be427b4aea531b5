// What a call ends with: data, never a thrown error.
// Not responsible for encoding it for a client: the codec of the client's revision does that.
// Invariant: exactly one outcome per call; `ok` comes with a body (bytes of a JSON object), the others with none.
import { type Static, Type } from 'typebox';
import { FAILURES, type Failure, type FailureCode } from '../shared/errors.ts';

const TEXT = 4096;
export const FailureSchema = Type.Object(
  {
    code: Type.Enum(Object.keys(FAILURES) as [FailureCode, ...FailureCode[]]),
    message: Type.Optional(Type.String({ maxLength: TEXT })),
    path: Type.Optional(Type.String({ maxLength: TEXT })),
    reason: Type.Optional(Type.String({ maxLength: TEXT })),
    retryAfterMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000 })),
    url: Type.Optional(Type.String({ maxLength: TEXT })),
    toolCode: Type.Optional(Type.String({ maxLength: 128 })),
    data: Type.Optional(Type.Unknown()),
    detail: Type.Optional(Type.String({ maxLength: 4 * TEXT })),
  },
  { additionalProperties: false },
);

/** An MCP `elicitation/create` request in form mode, by the author's key (unique within the call). */
export const InputRequestSchema = Type.Object(
  {
    message: Type.String({ maxLength: TEXT }),
    /** JSON Schema of a flat object. */
    schema: Type.Record(Type.String(), Type.Unknown()),
  },
  { additionalProperties: false },
);
export type InputRequest = Static<typeof InputRequestSchema>;

export const OutcomeSchema = Type.Union([
  Type.Object(
    { status: Type.Literal('ok'), meta: Type.Optional(Type.Record(Type.String(), Type.Unknown())) },
    { additionalProperties: false },
  ),
  Type.Object(
    { status: Type.Literal('input_required'), requests: Type.Record(Type.String({ maxLength: 128 }), InputRequestSchema) },
    { additionalProperties: false },
  ),
  Type.Object({ status: Type.Literal('error'), failure: FailureSchema }, { additionalProperties: false }),
]);

/**
 * `ok`: the body is the UTF-8 JSON text of a `CallToolResult` without `_meta`, `isError` and `resultType`, beginning with `{"`;
 * `meta` is the author's `_meta`. `input_required`: the run was abandoned to ask the user.
 */
export type CallOutcome =
  | { readonly status: 'ok'; readonly meta?: Record<string, unknown> }
  | { readonly status: 'input_required'; readonly requests: Record<string, InputRequest> }
  | { readonly status: 'error'; readonly failure: Failure };
