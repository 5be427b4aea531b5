// What the supervisor asks of an egress thread, and what comes back.
// Not responsible for recovery (refresh, retry, breaker): `connections/egress-call` reads the outcome and decides.
// Invariant: one lease per request; an egress outcome tells whether the request may have reached the upstream.
import { type Static, Type } from 'typebox';
import { LoadedBindingSchema } from './binding.ts';
import { FetchRequestSchema, HttpHeadSchema } from './host-request.ts';
import { FailureSchema } from './outcome.ts';

/** A credential for one request to one origin: what to add to it, and when that stops being good. Never logged, never kept. */
export const LeaseSchema = Type.Object(
  {
    id: Type.String(),
    headers: Type.Record(Type.String(), Type.String()),
    /** Query parameters, unencoded. */
    query: Type.Optional(Type.Record(Type.String(), Type.String())),
    /** Milliseconds from arrival, by the monotonic clock of the egress host. */
    expiresInMs: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);
export type Lease = Static<typeof LeaseSchema>;

/** Where a connection may go. */
export const OriginPolicySchema = Type.Object(
  {
    origins: Type.Array(Type.String()),
    /** Of these origins, the ones that the operator allowed to resolve to private addresses. */
    privateOrigins: Type.Array(Type.String()),
    maxResponseBytes: Type.Integer({ minimum: 1 }),
  },
  { additionalProperties: false },
);
export type OriginPolicy = Static<typeof OriginPolicySchema>;

/** `binding`: run a declared tool; body = its arguments as JSON. `fetch`: what tool code asked; body = request body. */
export const EgressWorkSchema = Type.Union([
  Type.Object(
    /** `objectsOnly`: see `CallContext`. */
    {
      kind: Type.Literal('binding'),
      tool: Type.String(),
      objectsOnly: Type.Optional(Type.Literal(true)),
      /** For tools that declare a header for it; the same however often the request is sent. */
      idempotencyKey: Type.Optional(Type.String({ maxLength: 64 })),
    },
    { additionalProperties: false },
  ),
  Type.Object({ kind: Type.Literal('fetch'), request: FetchRequestSchema }, { additionalProperties: false }),
]);
export type EgressWork = Static<typeof EgressWorkSchema>;

export const EgressOrderSchema = Type.Object(
  {
    work: EgressWorkSchema,
    policy: OriginPolicySchema,
    lease: Type.Optional(LeaseSchema),
    traceparent: Type.String(),
    tracestate: Type.Optional(Type.String()),
    baggage: Type.Optional(Type.String()),
    /** Milliseconds left until the deadline of the call. */
    timeoutMs: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);
export type EgressOrder = Static<typeof EgressOrderSchema>;
/** W3C Trace Context and Baggage, well formed. */
export type TraceContext = Pick<EgressOrder, 'traceparent' | 'tracestate' | 'baggage'>;

/** A scope token of RFC 6749, section 3.3. */
export const SCOPE_PATTERN = '^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$';

/**
 * `ok`: body = response body (fetch, any HTTP status that is no row below) or CallToolResult JSON (binding).
 * `sent`: the request may have reached the upstream, so an unsafe one must not be repeated.
 */
export const EgressOutcomeSchema = Type.Union([
  Type.Object({ status: Type.Literal('ok'), http: HttpHeadSchema, sent: Type.Boolean() }, { additionalProperties: false }),
  Type.Object(
    { status: Type.Literal('credential_rejected'), http: HttpHeadSchema, sent: Type.Boolean() },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      /** 403 with `insufficient_scope` (RFC 6750, section 3.1): the credential is good for less. */
      status: Type.Literal('scope_insufficient'),
      http: HttpHeadSchema,
      sent: Type.Boolean(),
      /** What the upstream says it wants; may be empty. */
      scopes: Type.Array(Type.String({ pattern: SCOPE_PATTERN, maxLength: 256 }), { maxItems: 32 }),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      status: Type.Literal('transient'),
      http: Type.Optional(HttpHeadSchema),
      retryAfterMs: Type.Optional(Type.Integer({ minimum: 0 })),
      sent: Type.Boolean(),
      /** Lost or held up on our side: it says nothing about the upstream. */
      local: Type.Optional(Type.Literal(true)),
      detail: Type.String({ maxLength: 4096 }),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    { status: Type.Literal('upstream_error'), http: Type.Optional(HttpHeadSchema), sent: Type.Boolean(), failure: FailureSchema },
    { additionalProperties: false },
  ),
  Type.Object({ status: Type.Literal('denied'), sent: Type.Boolean(), failure: FailureSchema }, { additionalProperties: false }),
]);
export type EgressOutcome = Static<typeof EgressOutcomeSchema>;

/** What an egress pool is opened with (JSON body of `open`): the declared tools of one tenant, by name. */
export const EgressToolsSchema = Type.Record(
  Type.String(),
  Type.Object({
    inputSchema: Type.Record(Type.String(), Type.Unknown()),
    outputSchema: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    binding: LoadedBindingSchema,
  }),
);
export type EgressTools = Static<typeof EgressToolsSchema>;
