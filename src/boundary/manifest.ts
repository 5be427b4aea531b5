// What a tools thread says of the bundle it loaded: names, schemas, annotations and bindings, as data.
// Not responsible for judging it: the supervisor treats a manifest as untrusted input (size, depth, names, uniqueness).
// Invariant: nothing here is ever executed or compiled in the supervisor, schemas and patterns included.
import { type Static, Type } from 'typebox';
import { TOOL_NAME_PATTERN } from '../shared/ids.ts';
import { BindingSchema } from './binding.ts';
import { URI_CHARACTERS, URI_PATTERN } from '../shared/uri-template.ts';

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

export const IconSchema = Type.Object(
  {
    src: Type.String({ pattern: '^(?:https://|data:image/)', maxLength: 65_536 }),
    mimeType: Type.Optional(Type.String({ maxLength: 256 })),
    sizes: Type.Optional(Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 })),
    theme: Type.Optional(Type.Enum(['light', 'dark'])),
  },
  { additionalProperties: false },
);
const Icons = Type.Optional(Type.Array(IconSchema, { maxItems: 16 }));

/** What tools, prompts and resources have in common. */
const common = {
  name: Type.String({ pattern: TOOL_NAME_PATTERN }),
  title: Type.Optional(Text),
  description: Text,
  icons: Icons,
  scopes: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 64 })),
  timeoutMs: Type.Optional(Type.Integer({ minimum: 1 })),
  /** Connection slots that the handler uses, with the upstream scopes it needs. */
  connections: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({ scopes: Type.Optional(Type.Array(Type.String())) }, { additionalProperties: false }),
    ),
  ),
  /** Its toolset wants a fresh realm for each call. */
  isolation: Type.Optional(Type.Literal('call')),
  /** File of the tenant that defines it, relative to the tenant's folder. */
  file: Type.String({ maxLength: 1024 }),
};
const Name = Type.String({ minLength: 1, maxLength: 128 });
/** Arguments or variables that a handler completes. */
const Completes = Type.Optional(Type.Array(Name, { maxItems: 64 }));

export const ToolManifestSchema = Type.Object(
  {
    ...common,
    inputSchema: JsonSchemaObject,
    outputSchema: Type.Optional(JsonSchemaObject),
    annotations: Type.Optional(AnnotationsSchema),
    binding: Type.Optional(BindingSchema),
  },
  { additionalProperties: false },
);
export type ToolManifest = Static<typeof ToolManifestSchema>;

const PromptArgumentSchema = Type.Object(
  { name: Name, title: Type.Optional(Text), description: Type.Optional(Text), required: Type.Optional(Type.Boolean()) },
  { additionalProperties: false },
);
export const PromptManifestSchema = Type.Object(
  { ...common, arguments: Type.Array(PromptArgumentSchema, { maxItems: 64 }), completes: Completes },
  { additionalProperties: false },
);
export type PromptManifest = Static<typeof PromptManifestSchema>;

const ContentAnnotationsSchema = Type.Object(
  {
    audience: Type.Optional(Type.Array(Type.Enum(['user', 'assistant']), { maxItems: 2 })),
    priority: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    lastModified: Type.Optional(Type.String({ maxLength: 64 })),
  },
  { additionalProperties: false },
);
/** Has either `uri` or `uriTemplate`. */
export const ResourceManifestSchema = Type.Object(
  {
    ...common,
    uri: Type.Optional(Type.String({ pattern: URI_PATTERN, maxLength: URI_CHARACTERS })),
    uriTemplate: Type.Optional(Type.String({ pattern: URI_PATTERN, maxLength: URI_CHARACTERS })),
    mimeType: Type.Optional(Type.String({ maxLength: 256 })),
    annotations: Type.Optional(ContentAnnotationsSchema),
    size: Type.Optional(Type.Integer({ minimum: 0 })),
    completes: Completes,
  },
  { additionalProperties: false },
);
export type ResourceManifest = Static<typeof ResourceManifestSchema>;

const MOST = { maxItems: 1000 };
export const ManifestSchema = Type.Object(
  {
    instructions: Type.Optional(Text),
    tools: Type.Array(ToolManifestSchema, MOST),
    prompts: Type.Optional(Type.Array(PromptManifestSchema, MOST)),
    resources: Type.Optional(Type.Array(ResourceManifestSchema, MOST)),
  },
  { additionalProperties: false },
);
export type Manifest = Static<typeof ManifestSchema>;
