// What a tools thread says of the bundle it loaded: names, schemas, annotations and bindings, as data.
// Not responsible for judging it: the supervisor treats a manifest as untrusted input (size, depth, names, uniqueness).
// Invariant: nothing here is ever executed or compiled in the supervisor, schemas and patterns included.
import { type Static, Type } from 'typebox';
import { TOOL_NAME_PATTERN } from '../shared/ids.ts';

const Text = Type.String({ maxLength: 16_384 });
const JsonSchemaObject = Type.Record(Type.String(), Type.Unknown());

export const AnnotationsSchema = Type.Object(
  {
    title: Type.Optional(Text),
    readOnlyHint: Type.Optional(Type.Boolean()),
    destructiveHint: Type.Optional(Type.Boolean()),
    idempotentHint: Type.Optional(Type.Boolean()),
    openWorldHint: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

const Mapping = Type.Union([Type.Array(Type.String()), Type.Record(Type.String(), Type.String())]);
const ResponseSchema = Type.Object(
  {
    select: Type.Optional(Type.String({ maxLength: 4096, description: 'JMESPath expression applied to the JSON response.' })),
    maxBytes: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);
/** A declarative tool: the request it makes, as data. Executed in the egress thread only. */
export const RestBindingSchema = Type.Object(
  {
    kind: Type.Literal('rest'),
    connection: Type.String({ minLength: 1, maxLength: 128 }),
    method: Type.Enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
    path: Type.String({
      pattern: '^/',
      maxLength: 2048,
      description: 'RFC 6570 simple expansion: {name} is one path segment or a part of one.',
    }),
    query: Type.Optional(Mapping),
    headers: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 4096 }))),
    body: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Literal('rest'), Type.Record(Type.String(), Type.String())])),
    idempotent: Type.Optional(Type.Boolean()),
    scopesNeeded: Type.Optional(Type.Array(Type.String())),
    response: Type.Optional(ResponseSchema),
  },
  { additionalProperties: false },
);
export const BindingSchema = Type.Union([RestBindingSchema]);
export type RestBinding = Static<typeof RestBindingSchema>;
export type Binding = Static<typeof BindingSchema>;

export const ToolManifestSchema = Type.Object(
  {
    name: Type.String({ pattern: TOOL_NAME_PATTERN }),
    title: Type.Optional(Text),
    description: Text,
    inputSchema: JsonSchemaObject,
    outputSchema: Type.Optional(JsonSchemaObject),
    annotations: Type.Optional(AnnotationsSchema),
    scopes: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 64 })),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1 })),
    /** Connection slots that the handler uses, with the upstream scopes it needs. */
    connections: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object({ scopes: Type.Optional(Type.Array(Type.String())) }, { additionalProperties: false }),
      ),
    ),
    binding: Type.Optional(BindingSchema),
    /** File of the tenant that defines it, relative to the tenant's folder. */
    file: Type.String({ maxLength: 1024 }),
  },
  { additionalProperties: false },
);
export type ToolManifest = Static<typeof ToolManifestSchema>;

export const ManifestSchema = Type.Object(
  { instructions: Type.Optional(Text), tools: Type.Array(ToolManifestSchema, { maxItems: 1000 }) },
  { additionalProperties: false },
);
export type Manifest = Static<typeof ManifestSchema>;
