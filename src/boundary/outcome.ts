// What a call ends with: data, never a thrown error.
// Not responsible for encoding it for a client: the codec of the client's revision does that.
// Invariant: exactly one outcome per call; `ok` comes with a body (bytes of a JSON object), the others with none.
import { Type } from 'typebox';
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
    limit: Type.Optional(Type.String({ maxLength: 64 })),
    toolCode: Type.Optional(Type.String({ maxLength: 128 })),
    data: Type.Optional(Type.Unknown()),
    detail: Type.Optional(Type.String({ maxLength: 4 * TEXT })),
  },
  { additionalProperties: false },
);

/** A request of the protocol to a client: `elicitation/create`, `sampling/createMessage` or `roots/list`. */
export interface ClientQuestion {
  readonly method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list';
  readonly params: { readonly [name: string]: unknown };
}

/** How a host says that a call ended. It never says `input_required`: the supervisor abandons a run, not the run itself. */
export const OutcomeSchema = Type.Union([
  Type.Object(
    { status: Type.Literal('ok'), meta: Type.Optional(Type.Record(Type.String(), Type.Unknown())) },
    { additionalProperties: false },
  ),
  Type.Object({ status: Type.Literal('error'), failure: FailureSchema }, { additionalProperties: false }),
]);

/**
 * `ok`: the body is the UTF-8 JSON text of a result of its operation (a `CallToolResult` and so on) without `_meta`, `isError` and
 * `resultType`, beginning with `{"`; `meta` is the author's `_meta`.
 */
export type HostOutcome =
  | { readonly status: 'ok'; readonly meta?: Record<string, unknown> }
  | { readonly status: 'error'; readonly failure: Failure };

/** `input_required`: the run was abandoned to ask; the next one begins with `state` and the answers, under the same keys. */
export type CallOutcome =
  | HostOutcome
  | { readonly status: 'input_required'; readonly requests: Readonly<Record<string, ClientQuestion>>; readonly state: string };
