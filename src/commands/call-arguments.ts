// `key=value` words to the arguments of a tool, typed by its input schema.
// Not responsible for checking them: what does not fit is sent as it is, and the tool's thread says what is wrong.
// Invariant: a string property gets exactly what was typed; nothing is guessed for it.
import type { Json, JsonObject } from '../shared/json.ts';
import { UsageError } from './command.ts';
import { isObject } from './mcp-client.ts';

export function parseArguments(words: readonly string[], inputSchema: JsonObject, base: JsonObject = {}): JsonObject {
  const properties = isObject(inputSchema['properties']) ? inputSchema['properties'] : {};
  const args = new Map<string, Json>(Object.entries(base));
  for (const [key, values] of grouped(words)) {
    args.set(key, typed(values, Object.hasOwn(properties, key) ? properties[key] : undefined));
  }
  // fromEntries makes own properties, `__proto__` included.
  return Object.fromEntries(args);
}

/** In the order of the words; a key may stand several times (for an array). */
function grouped(words: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const word of words) {
    const split = word.indexOf('=');
    if (split < 1) throw new UsageError(`'${word}' is no key=value`);
    const key = word.slice(0, split);
    groups.set(key, [...(groups.get(key) ?? []), word.slice(split + 1)]);
  }
  return groups;
}

function typed(values: readonly string[], schema: Json | undefined): Json {
  const types = typesOf(schema);
  const [only] = values;
  if (only !== undefined && values.length === 1) {
    if (!types.includes('array')) return value(only, types);
    const parsed = json(only);
    if (Array.isArray(parsed)) return parsed;
  }
  const items = typesOf(isObject(schema) ? schema['items'] : undefined);
  return values.map((each) => value(each, items));
}

function value(text: string, types: readonly string[]): Json {
  if (types.length === 0 || types.includes('string')) return text;
  const parsed = json(text);
  return parsed === undefined ? text : parsed;
}

/** Empty where the schema does not tell (no such property, a reference): then it is text. */
function typesOf(schema: Json | undefined): string[] {
  if (!isObject(schema)) return [];
  const { type } = schema;
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.filter((each) => typeof each === 'string');
  if (Object.hasOwn(schema, 'const')) return [jsonType(schema['const'])];
  if (Array.isArray(schema['enum'])) return schema['enum'].map(jsonType);
  const branches = schema['anyOf'] ?? schema['oneOf'];
  // One level is enough for what authors write (`Type.Optional`, unions of literals).
  return Array.isArray(branches)
    ? branches.flatMap((branch) => (isObject(branch) && !branch['anyOf'] ? typesOf(branch) : []))
    : [];
}

function jsonType(of: Json | undefined): string {
  if (of === null) return 'null';
  return Array.isArray(of) ? 'array' : typeof of;
}

function json(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
