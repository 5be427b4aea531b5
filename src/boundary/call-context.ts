// The serialized context of a call: who, for whom, until when. It is the same in every nested call, one level deeper.
// Not responsible for authority: nothing in here opens anything; the supervisor decides by its own copy.
// Invariant: no credential, no token, no header of the client.
import { type Static, Type } from 'typebox';

export const CallContextSchema = Type.Object(
  {
    tenant: Type.String(),
    subject: Type.String(),
    scopes: Type.Array(Type.String()),
    client: Type.Optional(Type.Object({ name: Type.String(), version: Type.String() })),
    /** Correlation id: one per request of a client, the same in every nested call, log line and audit record. */
    requestId: Type.String(),
    /** W3C trace context, as `traceparent` (and `tracestate`) of the client or begun here. */
    traceparent: Type.String(),
    tracestate: Type.Optional(Type.String()),
    /** W3C Baggage of the client. */
    baggage: Type.Optional(Type.String()),
    /** 0 for the call of a client, one more for each level of nesting. */
    depth: Type.Integer({ minimum: 0 }),
    /** The caller takes `structuredContent` only where it is an object (MCP before 2026-07-28). */
    objectsOnly: Type.Optional(Type.Literal(true)),
    /** Epoch milliseconds. */
    deadline: Type.Number(),
  },
  { additionalProperties: false },
);
export type CallContext = Static<typeof CallContextSchema>;
