// The rules of a definition that types cannot hold everywhere (plain JavaScript, casts), each with a hint.
// Not responsible for names across files, schemas' meaning, or bindings: `check` and the supervisor see to those.
// Invariant: throws TypeError with one sentence that says what to write instead.

/** Words of neighbouring libraries, and ours. */
const OUR_WORD: ReadonlyMap<string, string> = new Map([
  ['execute', 'handler'],
  ['run', 'handler'],
  ['callback', 'handler'],
  ['parameters', 'inputSchema'],
  ['input', 'inputSchema'],
  ['arguments', 'argsSchema'],
  ['template', 'uriTemplate'],
  ['completions', 'complete'],
  ['read', 'handler'],
  ['schema', 'inputSchema'],
  ['args', 'inputSchema'],
  ['output', 'outputSchema'],
  ['returns', 'outputSchema'],
  ['timeout', 'timeoutMs'],
  ['url', 'path'],
  ['query', 'document'],
  ['rpcMethod', 'method'],
]);

export function requireKnown(of: string, definition: unknown, known: ReadonlySet<string>): asserts definition is object {
  if (typeof definition !== 'object' || definition === null) throw new TypeError(`${of}: the definition must be an object.`);
  for (const key of Object.keys(definition)) {
    if (known.has(key)) continue;
    const ours = OUR_WORD.get(key);
    if (ours !== undefined && known.has(ours)) throw new TypeError(`${of}: use \`${ours}\`, not \`${key}\`.`);
    if (key === 'name') throw new TypeError(`${of}: leave \`name\` out; it is named by its key in defineToolset({ … }).`);
    throw new TypeError(`${of}: unknown property \`${key}\`. Known: ${[...known].join(', ')}.`);
  }
}

export function requireText(of: string, definition: object, name: string): void {
  const value: unknown = (definition as Record<string, unknown>)[name];
  if (typeof value !== 'string' || value === '') throw new TypeError(`${of}: \`${name}\` must be a text that is not empty.`);
}

export function requireSchemas(of: string, definition: { inputSchema?: unknown; outputSchema?: unknown }): void {
  const { inputSchema, outputSchema } = definition;
  if (inputSchema !== undefined && (!isObject(inputSchema) || (inputSchema as { type?: unknown }).type !== 'object')) {
    throw new TypeError(`${of}: \`inputSchema\` must be an object schema, such as Type.Object({ … }).`);
  }
  if (outputSchema !== undefined && !isObject(outputSchema)) {
    throw new TypeError(`${of}: \`outputSchema\` must be a schema, such as Type.Object({ … }).`);
  }
}

/** Each completion belongs to an argument, and is a list or a function. */
export function requireCompletions(of: string, complete: unknown, names: readonly string[]): void {
  if (complete === undefined) return;
  if (!isObject(complete)) throw new TypeError(`${of}: \`complete\` must be an object of lists or functions.`);
  for (const [name, completion] of Object.entries(complete)) {
    if (!names.includes(name)) throw new TypeError(`${of}: \`complete.${name}\` completes nothing; known: ${names.join(', ')}.`);
    if (typeof completion !== 'function' && !Array.isArray(completion)) {
      throw new TypeError(`${of}: \`complete.${name}\` must be a list of texts or a function.`);
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
