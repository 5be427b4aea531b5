// A value of tenant code as plain JSON, for the small headers that carry it: log fields, error data, `_meta`.
// Not responsible for results and arguments, which travel as text.
// Invariant: never throws; what is no JSON, too long or too deep is undefined.
import type { Json } from '../../src/shared/json.ts';
import { isTooDeep } from '../json-depth.ts';

const encoder = new TextEncoder();

export function plainJson(value: unknown, maxCharacters: number): Json | undefined {
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined || text.length > maxCharacters || isTooDeep(encoder.encode(text))) return undefined;
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

export function isJsonObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
