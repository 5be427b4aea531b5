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
  ['schema', 'inputSchema'],
  ['args', 'inputSchema'],
  ['output', 'outputSchema'],
  ['returns', 'outputSchema'],
  ['timeout', 'timeoutMs'],
  ['url', 'path'],
]);

export function requireKnown(of: string, definition: unknown, known: ReadonlySet<string>): asserts definition is object {
  if (typeof definition !== 'object' || definition === null) throw new TypeError(`${of}: the definition must be an object.`);
  for (const key of Object.keys(definition)) {
    if (known.has(key)) continue;
    const ours = OUR_WORD.get(key);
    if (ours !== undefined && known.has(ours)) throw new TypeError(`${of}: use \`${ours}\`, not \`${key}\`.`);
    if (key === 'name')
      throw new TypeError(`${of}: leave \`name\` out; a tool is named by its key in defineToolset({ tools: { … } }).`);
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

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
