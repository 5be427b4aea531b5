// `x-mcp-header` in a tool's input schema: which arguments clients mirror into `Mcp-Param-*` headers (2026-07-28, Streamable HTTP).
// Not responsible for comparing headers with arguments (`mcp/param-check`) or for telling the author (`toolset/merge`).
// Invariant: walks the schema as data; where it finds no fault, every annotation stands on a primitive at a path of `properties` only.

export interface ParamHeader {
  /** In lower case, without `Mcp-Param-`. */
  readonly name: string;
  /** Of the annotated argument, from the root. */
  readonly path: readonly string[];
  readonly type: 'string' | 'integer' | 'boolean';
}

type JsonSchema = { readonly [key: string]: unknown };

export const PARAM_HEADER = 'x-mcp-header';
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const DEPTH = 48;
/** Most annotations of one tool: each is looked at in every call. */
const MOST = 32;
/** Keywords whose members are schemas by name. */
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);
/** Keywords whose value is data, not a schema. */
const DATA = new Set(['const', 'default', 'enum', 'examples', 'required']);

function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null;
}

interface Place {
  readonly schema: unknown;
  /** Undefined where a step of the way is not a key of `properties`. */
  readonly path: readonly string[] | undefined;
  readonly depth: number;
}

/** What counts of a schema: all annotations, or none where one of them is wrong. */
export function declaredHeaders(inputSchema: JsonSchema): readonly ParamHeader[] {
  const found = paramHeaders(inputSchema);
  return typeof found === 'string' ? [] : found;
}

/** All annotations, or half a sentence that says what is wrong with one. */
export function paramHeaders(inputSchema: JsonSchema): readonly ParamHeader[] | string {
  const found: ParamHeader[] = [];
  const open: Place[] = [{ schema: inputSchema, path: [], depth: 0 }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { depth, path, schema } = place;
    if (!isObject(schema) || depth > DEPTH) continue;
    if (Object.hasOwn(schema, PARAM_HEADER) && !Array.isArray(schema)) {
      const header = annotation(schema, path);
      if (typeof header === 'string') return header;
      if (found.some(({ name }) => name === header.name)) return `names the ${PARAM_HEADER} "${header.name}" twice`;
      if (found.length === MOST) return `has more than ${MOST} arguments with ${PARAM_HEADER}`;
      found.push(header);
    }
    for (const [key, part] of Object.entries(schema)) {
      if (DATA.has(key) || !isObject(part)) continue;
      if (!MAPS.has(key)) open.push({ schema: part, path: undefined, depth: depth + 1 });
      else {
        for (const [name, child] of Object.entries(part)) {
          open.push({ schema: child, path: key === 'properties' ? path?.concat(name) : undefined, depth: depth + 1 });
        }
      }
    }
  }
  return found;
}

function annotation(schema: JsonSchema, path: readonly string[] | undefined): ParamHeader | string {
  const name = schema[PARAM_HEADER];
  const { type } = schema;
  if (typeof name !== 'string' || !TOKEN.test(name)) return `has an ${PARAM_HEADER} that is no name of a header`;
  if (path === undefined || path.length === 0) return `has the ${PARAM_HEADER} "${name}" elsewhere than on a plain argument`;
  if (type !== 'string' && type !== 'integer' && type !== 'boolean') {
    return `has the ${PARAM_HEADER} "${name}" on an argument that is no string, integer or boolean`;
  }
  return { name: name.toLowerCase(), path, type };
}
