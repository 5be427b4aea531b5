// Content blocks of an author as JSON text: of a tool's result, of a prompt's messages. Bytes become base64 here.
// Not responsible for results around them. Invariant: what passes is a content block of MCP; nothing is guessed by shape.
import { type TSchema, Type } from 'typebox';
import { createSchemaCheck, type Mismatch, type SchemaCheck } from '../schema-check.ts';

const Uri = Type.String({ minLength: 1 });
const AnnotationsSchema = Type.Optional(
  Type.Object({
    audience: Type.Optional(Type.Array(Type.Enum(['user', 'assistant']))),
    priority: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    lastModified: Type.Optional(Type.String()),
  }),
);
const Meta = Type.Optional(Type.Record(Type.String(), Type.Unknown()));
const IconsSchema = Type.Optional(
  Type.Array(
    Type.Object({
      src: Type.String({ pattern: '^(?:https://|data:image/)' }),
      mimeType: Type.Optional(Type.String()),
      sizes: Type.Optional(Type.Array(Type.String())),
      theme: Type.Optional(Type.Enum(['light', 'dark'])),
    }),
  ),
);
function block<P extends Record<string, TSchema>>(properties: P) {
  return Type.Object({ ...properties, annotations: AnnotationsSchema, _meta: Meta });
}
const Mime = Type.Optional(Type.String());
const Text = Type.Optional(Type.String());

export const BlockSchema = Type.Union([
  block({ type: Type.Literal('text'), text: Type.String() }),
  block({ type: Type.Enum(['image', 'audio']), data: Type.String(), mimeType: Type.String() }),
  block({
    type: Type.Literal('resource_link'),
    uri: Uri,
    name: Type.String(),
    title: Text,
    description: Text,
    mimeType: Mime,
    size: Type.Optional(Type.Number({ minimum: 0 })),
    icons: IconsSchema,
  }),
  block({
    type: Type.Literal('resource'),
    resource: Type.Union([
      Type.Object({ uri: Uri, mimeType: Mime, text: Type.String() }),
      Type.Object({ uri: Uri, mimeType: Mime, blob: Type.String() }),
    ]),
  }),
]);
let check: SchemaCheck | undefined;

/** The array of blocks as JSON text, or where it is none. Throws for what has no JSON (cycles, BigInt). */
export function blocksJson(blocks: readonly unknown[]): string | Mismatch {
  const text = JSON.stringify(blocks.map(withBase64));
  check ??= createSchemaCheck(Type.Array(BlockSchema));
  return check(JSON.parse(text)) ?? text;
}

/** The same block, its bytes as base64. */
export function withBase64(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('data' in value && value.data instanceof Uint8Array) return { ...value, data: base64(value.data) };
  if (!('resource' in value) || typeof value.resource !== 'object' || value.resource === null) return value;
  const { resource } = value;
  if (!('blob' in resource) || !(resource.blob instanceof Uint8Array)) return value;
  return { ...value, resource: { ...resource, blob: base64(resource.blob) } };
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
