// tools/*.binding.json as TypeBox schemas, one per kind: the source of types, checks and the JSON Schema for editors.
// Not responsible for reading files (`toolset/bindings`) or for what makes sense in a binding (`shared/binding-check`).
// Invariant: a tool's request is what `boundary/binding` has for its kind; unknown keys are refused.
import { type Static, type TProperties, Type } from 'typebox';
import { GraphqlBindingSchema, JsonRpcBindingSchema, RestBindingSchema } from '../boundary/binding.ts';
import { AnnotationsSchema, ToolManifestSchema } from '../boundary/manifest.ts';
import { TOOL_NAME_PATTERN } from '../shared/ids.ts';

const strict = { additionalProperties: false } as const;
const { description, inputSchema, outputSchema, scopes, timeoutMs, title } = ToolManifestSchema.properties;
const { method, path, query, headers, body, response, idempotent, idempotencyKey, scopesNeeded } = RestBindingSchema.properties;
const { document, ...graphql } = GraphqlBindingSchema.properties;
const { rpcMethod, params, ...jsonrpc } = JsonRpcBindingSchema.properties;

/** What every tool of a file has, whatever its kind. */
const common = {
  title,
  description,
  inputSchema: Type.Optional(inputSchema),
  outputSchema,
  annotations: Type.Optional(AnnotationsSchema),
  scopes,
  timeoutMs,
  response,
  idempotent,
  idempotencyKey,
  scopesNeeded,
};

function fileOf<K extends string, P extends TProperties>(kind: K, own: P) {
  return Type.Object(
    {
      $schema: Type.Optional(Type.String({ description: 'JSON Schema of this file, for editors.' })),
      kind: Type.Literal(kind),
      connection: Type.String({ minLength: 1, maxLength: 128 }),
      tools: Type.Record(Type.String({ pattern: TOOL_NAME_PATTERN }), Type.Object({ ...common, ...own }, strict), strict),
    },
    strict,
  );
}

export const BINDING_FILE_KINDS = {
  rest: fileOf('rest', { request: Type.Object({ method, path, query, headers, body }, strict) }),
  graphql: fileOf('graphql', { document, path: graphql.path, headers: graphql.headers }),
  jsonrpc: fileOf('jsonrpc', { rpcMethod, params, path: jsonrpc.path, headers: jsonrpc.headers }),
} as const;

export const BindingFileSchema = Type.Union(Object.values(BINDING_FILE_KINDS), { title: '*.binding.json' });
export type BindingFile = Static<(typeof BINDING_FILE_KINDS)[keyof typeof BINDING_FILE_KINDS]>;
