// JMESPath expressions of declared tools: compiled once, applied to parsed JSON.
// Not responsible for time: an expression that takes too long ends with its thread. The supervisor compiles none: only egress
// threads and `leasehold check` do.
// Invariant: never throws; the result is JSON (the library would hand out `constructor` of an object as a function).
import { compile, type JSONValue, TreeInterpreter } from '@jmespath-community/jmespath';
import type { Json } from './json.ts';

/** Longest expression. */
export const SELECT_CHARACTERS = 4096;

export type Select = (
  value: Json,
) => { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly reason: string };

/** @throws Error with the parser's reason where the expression is none. */
export function compileSelect(expression: string): Select {
  if (expression.length > SELECT_CHARACTERS) throw new Error(`longer than ${SELECT_CHARACTERS} characters`);
  const tree = compile(expression);
  return (value) => {
    try {
      const selected: unknown = TreeInterpreter.search(tree, value as JSONValue);
      return { ok: true, value: typeof selected === 'function' || selected === undefined ? null : (selected as Json) };
    } catch (error) {
      return { ok: false, reason: (error instanceof Error ? error.message : 'failed').slice(0, 400) };
    }
  };
}
