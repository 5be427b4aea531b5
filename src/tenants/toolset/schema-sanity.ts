// Whether a JSON Schema of a tool may be handed to clients: bounded, without references to elsewhere.
// Not responsible for validating with it: that happens in threads only.
// Invariant: walks the schema as data and without recursion; compiles nothing.

const DEPTH = 48;
const NODES = 20_000;

type JsonSchema = { readonly [key: string]: unknown };

/** MCP: arguments are an object, and up to 2025-11-25 a structured result is one too. */
export function isObjectSchema(schema: JsonSchema): boolean {
  return schema['type'] === 'object';
}

/** A reason, or undefined where all is well. */
export function schemaFault(schema: JsonSchema): string | undefined {
  let nodes = 0;
  const open: { value: unknown; depth: number }[] = [{ value: schema, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next;
    if (typeof value !== 'object' || value === null) continue;
    nodes += 1;
    if (nodes > NODES) return `has more than ${NODES} parts`;
    if (depth > DEPTH) return `is nested deeper than ${DEPTH} levels`;
    for (const [key, part] of Object.entries(value)) {
      if ((key === '$ref' || key === '$dynamicRef') && typeof part === 'string' && !part.startsWith('#')) {
        return 'refers to a schema outside itself ($ref)';
      }
      open.push({ value: part, depth: depth + 1 });
    }
  }
  return undefined;
}
