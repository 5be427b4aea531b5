// Checks the arguments of a tool against its input schema and fills in defaults: one function for code tools and declared ones.
// Not responsible for failures' codes or public texts: it says where (JSON pointer) and why, in words an agent can act on.
// Invariant: no coercion; defaults come from the plain `default` keyword, whether the schema was built by TypeBox or read as JSON.
import type { Json, JsonObject } from '../src/shared/json.ts';
import { isTooDeep, JSON_DEPTH } from './json-depth.ts';
import { createSchemaCheck, type JsonSchema, type Mismatch } from './schema-check.ts';

export type CheckedArguments = { readonly ok: true; readonly value: JsonObject } | Mismatch;
export type ArgumentCheck = (args: unknown) => CheckedArguments;

/**
 * Compiles the schema once; the returned check costs no allocation beyond the defaults it fills in (in place, top down).
 * @throws Error where the schema cannot be compiled (a bad pattern, an endless reference).
 */
export function createArgumentCheck(schema: JsonSchema): ArgumentCheck {
  const fill = defaultsOf(schema, 0);
  const check = createSchemaCheck(schema);
  return (args) => {
    if (!isObject(args)) return { ok: false, path: '', reason: 'must be an object' };
    fill?.(args);
    return check(args) ?? { ok: true, value: args };
  };
}

/** JSON text of arguments to a value; an empty text is no arguments. */
export function parseArguments(text: Uint8Array): { readonly ok: true; readonly value: unknown } | Mismatch {
  if (text.byteLength === 0) return { ok: true, value: {} };
  if (isTooDeep(text)) return { ok: false, path: '', reason: `must not be nested deeper than ${JSON_DEPTH} levels` };
  try {
    const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
    return { ok: true, value: JSON.parse(bytes.toString('utf8')) };
  } catch {
    return { ok: false, path: '', reason: 'must be valid JSON' };
  }
}

type Fill = (value: unknown) => void;

/** Nothing is returned for a schema without defaults, so that most tools pay nothing. */
function defaultsOf(schema: unknown, depth: number): Fill | undefined {
  if (!isObject(schema) || depth > JSON_DEPTH) return undefined;
  const fills = [defaultsOfProperties(schema, depth), defaultsOfItems(schema, depth)].filter((fill) => fill !== undefined);
  return fills.length < 2 ? fills[0] : (value) => fills.forEach((fill) => fill(value));
}

function defaultsOfProperties(schema: JsonObject, depth: number): Fill | undefined {
  if (!isObject(schema['properties'])) return undefined;
  const steps: { key: string; make: (() => Json) | undefined; fill: Fill | undefined }[] = [];
  for (const [key, property] of Object.entries(schema['properties'])) {
    if (key === '__proto__') continue; // an assignment to it would not make a property
    const make = isObject(property) ? makerOf(property['default']) : undefined;
    const fill = defaultsOf(property, depth + 1);
    if (make ?? fill) steps.push({ key, make, fill });
  }
  if (steps.length === 0) return undefined;
  return (value) => {
    if (!isObject(value)) return;
    for (const { key, make, fill } of steps) {
      if (!Object.hasOwn(value, key)) {
        if (make === undefined) continue;
        value[key] = make();
      }
      fill?.(value[key]);
    }
  };
}

function defaultsOfItems(schema: JsonObject, depth: number): Fill | undefined {
  const fill = defaultsOf(schema['items'], depth + 1);
  if (fill === undefined) return undefined;
  return (value) => {
    if (Array.isArray(value)) value.forEach(fill);
  };
}

/** A fresh value each time: a tool may change what it was given. */
function makerOf(value: Json | undefined): (() => Json) | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null) return () => value;
  const text = JSON.stringify(value);
  return () => JSON.parse(text) as Json;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
