// The schemas that a user may be asked by: a flat object of primitives (MCP elicitation, form mode), and answers to them.
// Not responsible for asking, nor for schemas of tools, which may be any JSON Schema.
// Invariant: only keywords of the protocol pass, none of which a pattern or a reference, so an answer is checked in linear time.
import type { Json, JsonObject } from './json.ts';

const FIELDS = 64;
const CHOICES = 256;
const TEXT = 4096;
const FIELD_NAME = /^[^\0]{1,128}$/;
const ANY = ['type', 'title', 'description', 'default'] as const;
const KEYWORDS: { readonly [type: string]: ReadonlySet<string> } = {
  string: new Set([...ANY, 'minLength', 'maxLength', 'format', 'enum', 'enumNames', 'oneOf']),
  number: new Set([...ANY, 'minimum', 'maximum']),
  integer: new Set([...ANY, 'minimum', 'maximum']),
  boolean: new Set(ANY),
  array: new Set([...ANY, 'items', 'minItems', 'maxItems']),
};
const FORMATS: { readonly [format: string]: (text: string) => boolean } = {
  email: (text) => text.length <= 320 && text.indexOf('@') > 0 && !text.endsWith('@') && !/\s/.test(text),
  uri: (text) => URL.canParse(text),
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)),
  'date-time': (text) => /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}/.test(text) && !Number.isNaN(Date.parse(text)),
};

export interface FormSchema {
  readonly type: 'object';
  readonly properties: { readonly [name: string]: JsonObject };
  readonly required?: readonly string[];
}

/** The schema as it goes to a client, or (text) what of it cannot be asked. Enums that TypeBox leaves untyped get their type. */
export function formSchema(schema: unknown): FormSchema | string {
  if (!isObject(schema) || schema['type'] !== 'object' || !isObject(schema['properties'])) {
    return 'the schema must be an object schema, such as Type.Object({ … })';
  }
  const entries = Object.entries(schema['properties']);
  if (entries.length > FIELDS) return `the schema has more than ${FIELDS} fields`;
  const properties: [string, JsonObject][] = [];
  for (const [name, field] of entries) {
    if (!FIELD_NAME.test(name) || name === '__proto__') return 'the name of a field is not valid';
    const known = isObject(field) ? knownField(field) : 'is not a schema';
    if (typeof known === 'string') return `the field "${name}" ${known}`;
    properties.push([name, known]);
  }
  const required = schema['required'];
  if (
    required !== undefined &&
    !(isTexts(required) && required.every((name) => Object.hasOwn(schema['properties'] as object, name)))
  ) {
    return '`required` names a field that is not there';
  }
  const form = { type: 'object', properties: Object.fromEntries(properties) } as const;
  return required === undefined || required.length === 0 ? form : { ...form, required };
}

function knownField(field: JsonObject): JsonObject | string {
  const typed = withType(field);
  const { type, format } = typed;
  const keywords = typeof type === 'string' && Object.hasOwn(KEYWORDS, type) ? KEYWORDS[type] : undefined;
  if (keywords === undefined) return 'is not a text, number, integer, boolean or choice; a form is flat';
  const odd = Object.keys(typed).find((keyword) => !keywords.has(keyword));
  if (odd !== undefined) return `has the keyword \`${odd}\`, which a form does not know`;
  if (format !== undefined && !(typeof format === 'string' && Object.hasOwn(FORMATS, format))) {
    return `has a format that a form does not know; known: ${Object.keys(FORMATS).join(', ')}`;
  }
  if (type === 'array') {
    const choices = isObject(typed['items']) ? choicesOf(typed['items']) : undefined;
    if (choices === undefined)
      return 'is a list of something else than choices; use items with `enum`, or `anyOf` of titled constants';
  } else if ((typed['enum'] !== undefined || typed['oneOf'] !== undefined) && choicesOf(typed) === undefined) {
    return 'has choices that are not texts, or too many';
  }
  const wrong = typed['default'] === undefined ? undefined : fieldFault(typed, typed['default']);
  return wrong === undefined ? typed : `has a default that ${wrong}`;
}

/** `Type.Enum` has no type, and `Type.Union` of literals is an `anyOf` of constants: both are choices. */
function withType(field: JsonObject): JsonObject {
  if (field['type'] !== undefined) return field;
  const { anyOf, ...rest } = field;
  if (isTexts(field['enum'])) return { type: 'string', ...field };
  if (!Array.isArray(anyOf) || !anyOf.every((choice) => isObject(choice) && typeof choice['const'] === 'string')) return field;
  const choices = anyOf as { const: string; title?: Json }[];
  if (choices.every(({ title }) => title === undefined)) {
    return { type: 'string', ...rest, enum: choices.map((choice) => choice.const) };
  }
  const titled = choices.map((choice) => ({
    const: choice.const,
    title: typeof choice.title === 'string' ? choice.title : choice.const,
  }));
  return { type: 'string', ...rest, oneOf: titled };
}

/** The texts to choose from; undefined where the schema lists none, or badly. */
function choicesOf(schema: JsonObject): readonly string[] | undefined {
  const listed = schema['enum'];
  if (listed !== undefined) return isTexts(listed) && listed.length <= CHOICES ? listed : undefined;
  const titled = schema['oneOf'] ?? schema['anyOf'];
  if (!Array.isArray(titled) || titled.length > CHOICES) return undefined;
  const values = titled.map((choice) => (isObject(choice) ? choice['const'] : undefined));
  return isTexts(values) ? values : undefined;
}

export type FormAnswer =
  | { readonly ok: true; readonly value: JsonObject }
  | { readonly ok: false; readonly path: string; readonly reason: string };

/** What the user filled in, with the defaults of the fields that are missing. Fields that were not asked for are left out. */
export function readForm(form: FormSchema, content: unknown): FormAnswer {
  if (!isObject(content)) return { ok: false, path: '', reason: 'must be an object' };
  const value: JsonObject = {};
  for (const [name, field] of Object.entries(form.properties)) {
    const given = Object.hasOwn(content, name) ? content[name] : field['default'];
    if (given === undefined) {
      if (form.required?.includes(name)) return { ok: false, path: `/${name}`, reason: 'is required' };
      continue;
    }
    const wrong = fieldFault(field, given);
    if (wrong !== undefined) return { ok: false, path: `/${name}`, reason: wrong };
    value[name] = given;
  }
  return { ok: true, value };
}

function fieldFault(field: JsonObject, value: Json): string | undefined {
  switch (field['type']) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'must be true or false';
    case 'integer':
      return Number.isSafeInteger(value) ? rangeFault(field, value as number) : 'must be an integer';
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? rangeFault(field, value) : 'must be a number';
    case 'array':
      return listFault(field, value);
    default:
      return textFault(field, value);
  }
}

function rangeFault({ minimum, maximum }: JsonObject, value: number): string | undefined {
  if (typeof minimum === 'number' && value < minimum) return `must be at least ${minimum}`;
  return typeof maximum === 'number' && value > maximum ? `must be at most ${maximum}` : undefined;
}

function textFault(field: JsonObject, value: Json): string | undefined {
  if (typeof value !== 'string') return 'must be a text';
  const choices = choicesOf(field);
  if (choices !== undefined) return choices.includes(value) ? undefined : 'is none of the choices';
  const { minLength, maxLength, format } = field;
  if (typeof minLength === 'number' && value.length < minLength) return `must have at least ${minLength} characters`;
  const most = typeof maxLength === 'number' ? maxLength : TEXT * 16;
  if (value.length > most) return `must have at most ${most} characters`;
  return typeof format === 'string' && FORMATS[format]?.(value) === false ? `must be a ${format}` : undefined;
}

function listFault(field: JsonObject, value: Json): string | undefined {
  const choices = isObject(field['items']) ? choicesOf(field['items']) : undefined;
  if (!isTexts(value) || value.length > CHOICES || !value.every((one) => choices?.includes(one)))
    return 'must be a list of the choices';
  const { minItems, maxItems } = field;
  if (typeof minItems === 'number' && value.length < minItems) return `must have at least ${minItems} entries`;
  return typeof maxItems === 'number' && value.length > maxItems ? `must have at most ${maxItems} entries` : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string' && one.length <= TEXT);
}
