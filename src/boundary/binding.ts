// Declared tools as data: the request that each kind makes, as an author writes it and as a loaded toolset has it.
// Not responsible for what makes sense in it (`shared/binding-check`) or for running it (`workers/bindings`).
// Invariant: nothing here is ever executed or compiled in the supervisor.
import { type Static, Type } from 'typebox';

const Mapping = Type.Union([Type.Array(Type.String()), Type.Record(Type.String(), Type.String())]);
const ResponseSchema = Type.Object(
  {
    select: Type.Optional(Type.String({ maxLength: 4096, description: 'JMESPath expression applied to the JSON response.' })),
    maxBytes: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);
const HeaderTemplates = Type.Record(Type.String(), Type.String({ maxLength: 4096 }));
const Path = Type.String({
  pattern: '^/',
  maxLength: 2048,
  description: 'RFC 6570 simple expansion: {name} is one path segment or a part of one.',
});
/** What every kind of declared tool has. */
const bound = {
  connection: Type.String({ minLength: 1, maxLength: 128 }),
  idempotent: Type.Optional(Type.Boolean({ description: 'The request may be repeated without harm, whatever it is.' })),
  idempotencyKey: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9-]{1,64}$',
      description: 'Header (such as Idempotency-Key) for a random key of the call, so that the request may be repeated.',
    }),
  ),
  scopesNeeded: Type.Optional(Type.Array(Type.String())),
  response: Type.Optional(ResponseSchema),
};
/** A declarative tool: the request it makes, as data. Executed in the egress thread only. */
export const RestBindingSchema = Type.Object(
  {
    kind: Type.Literal('rest'),
    ...bound,
    method: Type.Enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
    path: Path,
    query: Type.Optional(Mapping),
    headers: Type.Optional(HeaderTemplates),
    body: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Literal('rest'), Type.Record(Type.String(), Type.String())])),
  },
  { additionalProperties: false },
);
export type RestBinding = Static<typeof RestBindingSchema>;

const graphql = {
  kind: Type.Literal('graphql'),
  ...bound,
  document: Type.String({
    minLength: 1,
    maxLength: 32_768,
    description: 'GraphQL document with one query or mutation. Its variables are the arguments of the tool.',
  }),
  /** @default "/graphql" */
  path: Type.Optional(Path),
  headers: Type.Optional(HeaderTemplates),
};
export const GraphqlBindingSchema = Type.Object(graphql, { additionalProperties: false });
export type GraphqlBinding = Static<typeof GraphqlBindingSchema>;

/** JSON-RPC 2.0 over HTTP POST. */
export const JsonRpcBindingSchema = Type.Object(
  {
    kind: Type.Literal('jsonrpc'),
    ...bound,
    rpcMethod: Type.String({ minLength: 1, maxLength: 256, description: 'Method of the service.' }),
    params: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: 64,
        description: 'Arguments by position, in this order. Default: by name, all that stand nowhere else.',
      }),
    ),
    /** @default "/" */
    path: Type.Optional(Path),
    headers: Type.Optional(HeaderTemplates),
  },
  { additionalProperties: false },
);
export type JsonRpcBinding = Static<typeof JsonRpcBindingSchema>;

/** As an author declares it. */
export const BindingSchema = Type.Union([RestBindingSchema, GraphqlBindingSchema, JsonRpcBindingSchema]);
export type Binding = Static<typeof BindingSchema>;

/** What a GraphQL document says of itself, read once when the toolset is loaded. */
export const GraphqlOperationSchema = Type.Object(
  {
    type: Type.Enum(['query', 'mutation']),
    name: Type.Optional(Type.String()),
    /** Names without `$`; `required`: not null, and without a default. */
    variables: Type.Array(Type.Object({ name: Type.String(), required: Type.Boolean() }, { additionalProperties: false })),
  },
  { additionalProperties: false },
);
export type GraphqlOperation = Static<typeof GraphqlOperationSchema>;
/** Nothing after loading parses a document any more. */
export const LoadedGraphqlSchema = Type.Object(
  { ...graphql, operation: GraphqlOperationSchema },
  { additionalProperties: false },
);
export type LoadedGraphql = Static<typeof LoadedGraphqlSchema>;
/** A binding of a loaded toolset, as an egress thread runs it. */
export const LoadedBindingSchema = Type.Union([RestBindingSchema, LoadedGraphqlSchema, JsonRpcBindingSchema]);
export type LoadedBinding = Static<typeof LoadedBindingSchema>;
