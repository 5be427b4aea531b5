// From a parsed file and its schema to problems that name the JSON path, the reason and what was probably meant.
// Not responsible for parsing (`jsonc`). Invariant: values are never quoted; one problem per place.
import type { Static, TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { nearest } from '../shared/nearest.ts';
import type { Problem } from '../shared/problem.ts';
import type { Locate } from './jsonc.ts';

const MOST = 20;

/** A compiled check of one kind of file. Compiled at the first use. */
export class FileCheck<S extends TSchema> {
  readonly #schema: S;
  #validator: Validator | undefined;

  constructor(schema: S) {
    this.#schema = schema;
  }

  check(value: unknown, file: string, locate: Locate): { value: Static<S> } | { problems: Problem[] } {
    this.#validator ??= Compile(this.#schema as TSchema) as Validator;
    if (this.#validator.Check(value)) return { value: value as Static<S> };
    const places = new Map<string, Problem>();
    for (const error of this.#validator.Errors(value)) {
      for (const found of explain(error, this.#schema)) {
        if (places.size >= MOST || places.has(found.pointer)) continue;
        places.set(found.pointer, {
          file,
          ...locate(found.pointer),
          reason: `${shown(found.pointer)} ${found.reason}`,
          ...(found.hint === undefined ? {} : { hint: found.hint }),
        });
      }
    }
    return { problems: places.size > 0 ? [...places.values()] : [{ file, reason: 'does not have the expected form' }] };
  }
}

interface Explained {
  readonly pointer: string;
  readonly reason: string;
  readonly hint?: string;
}
type SchemaError = ReturnType<Validator['Errors']>[number];

function explain(error: SchemaError, schema: TSchema): Explained[] {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    // The parent's `additionalProperties` says the same with the names known beside it.
    case 'boolean':
    case 'anyOf':
      return error.keyword === 'anyOf' ? [{ pointer: error.instancePath, reason: 'has a form that is not known here' }] : [];
    case 'additionalProperties':
      return names(params['additionalProperties']).map((key) =>
        unknownKey(error.instancePath, key, known(schema, error.schemaPath)),
      );
    case 'required':
      return names(params['requiredProperties']).map((key) => ({
        pointer: `${error.instancePath}/${escape(key)}`,
        reason: 'is missing',
      }));
    case 'enum':
      return [
        {
          pointer: error.instancePath,
          reason: `must be one of ${names(params['allowedValues']).join(', ') || 'the known words'}`,
        },
      ];
    case 'const':
      return [{ pointer: error.instancePath, reason: `must be ${JSON.stringify(params['allowedValue'])}` }];
    default:
      return [{ pointer: error.instancePath, reason: error.message }];
  }
}

function unknownKey(at: string, key: string, keys: readonly string[]): Explained {
  const meant = nearest(key, keys);
  const pointer = `${at}/${escape(key)}`;
  return {
    pointer,
    reason: 'is not a known setting',
    hint:
      meant === undefined
        ? keys.length > 0
          ? `known here: ${keys.filter((name) => name !== '$schema').join(', ')}`
          : 'leave it out'
        : `did you mean "${meant}"?`,
  };
}

/** The properties of the object schema that a schema path leads to. */
function known(schema: TSchema, schemaPath: string): string[] {
  let at: unknown = schema;
  for (const part of schemaPath.split('/').slice(1)) {
    if (typeof at !== 'object' || at === null) return [];
    at = (at as Record<string, unknown>)[part.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  const properties = (at as { properties?: unknown } | undefined)?.properties;
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}

function names(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
function escape(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
function shown(pointer: string): string {
  return pointer === '' ? 'the file' : pointer;
}
