// What a running tool asks of the supervisor, and what it is answered.
// Not responsible for deciding: `tenants/dispatch` answers each by policy, with the context of the call that asked.
// Invariant: a request names its connection, tool or key; it never carries a credential, and a reply never does.
import { type Static, Type } from 'typebox';
import { ASK_KEY_PATTERN, ASK_KINDS } from './ask.ts';
import { FailureSchema } from './outcome.ts';

const Headers = Type.Record(Type.String({ maxLength: 256 }), Type.String({ maxLength: 16_384 }));

/** Body: the request's body bytes (may be empty). Reply: `http` + the response body. */
export const FetchRequestSchema = Type.Object(
  {
    op: Type.Literal('fetch'),
    connection: Type.String({ maxLength: 128 }),
    /** Absolute, or a path that is resolved against the connection's first origin. */
    url: Type.String({ maxLength: 8192 }),
    method: Type.String({ maxLength: 16 }),
    headers: Headers,
    idempotencyKey: Type.Optional(Type.String({ maxLength: 256 })),
  },
  { additionalProperties: false },
);
/** Body: the arguments as JSON. Reply: the body of the nested call's outcome (a CallToolResult without `_meta`). */
export const NestedCallSchema = Type.Object(
  { op: Type.Literal('call'), tool: Type.String({ maxLength: 128 }) },
  { additionalProperties: false },
);
/** Body of `set`: the value as JSON. Reply to `get`: the value as JSON, or an empty body where there is none. */
export const StoreRequestSchema = Type.Object(
  {
    op: Type.Literal('store'),
    scope: Type.Enum(['tenant', 'subject']),
    action: Type.Enum(['get', 'set', 'delete']),
    key: Type.String({ minLength: 1, maxLength: 512 }),
    ttlMs: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);
/**
 * Asks the client. Body: the `params` of `elicitation/create` (form mode), `sampling/createMessage` or `roots/list` as JSON.
 * Reply: the client's result as JSON. No reply comes where the run is abandoned to ask.
 */
export const AskRequestSchema = Type.Object(
  { op: Type.Literal('ask'), kind: Type.Enum([...ASK_KINDS]), key: Type.String({ pattern: ASK_KEY_PATTERN }) },
  { additionalProperties: false },
);
export const HostRequestSchema = Type.Union([FetchRequestSchema, NestedCallSchema, StoreRequestSchema, AskRequestSchema]);
export type HostRequest = Static<typeof HostRequestSchema>;
export type FetchRequest = Static<typeof FetchRequestSchema>;
export type StoreRequest = Static<typeof StoreRequestSchema>;
export type AskRequest = Static<typeof AskRequestSchema>;

/** Status line and headers of an upstream's answer, after recovery, with nothing of the credential in it. */
export const HttpHeadSchema = Type.Object(
  { status: Type.Integer({ minimum: 100, maximum: 599 }), headers: Headers, url: Type.String({ maxLength: 8192 }) },
  { additionalProperties: false },
);
export type HttpHead = Static<typeof HttpHeadSchema>;

export const HostReplySchema = Type.Union([
  Type.Object({ status: Type.Literal('ok'), http: Type.Optional(HttpHeadSchema) }, { additionalProperties: false }),
  Type.Object({ status: Type.Literal('error'), failure: FailureSchema }, { additionalProperties: false }),
]);
export type HostReply = Static<typeof HostReplySchema>;

/** One-way: progress and log lines for the client, log lines for the author, word of a changed resource for who subscribed to it. */
export const NoticeSchema = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('progress'),
      progress: Type.Number(),
      total: Type.Optional(Type.Number()),
      message: Type.Optional(Type.String({ maxLength: 4096 })),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      kind: Type.Literal('log'),
      level: Type.Enum(['debug', 'info', 'warn', 'error']),
      message: Type.String({ maxLength: 8192 }),
      fields: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
      /** It came through `console`: for the author alone. */
      console: Type.Optional(Type.Literal(true)),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    { kind: Type.Literal('resource_updated'), uri: Type.String({ minLength: 1, maxLength: 2048 }) },
    { additionalProperties: false },
  ),
]);
export type Notice = Static<typeof NoticeSchema>;
