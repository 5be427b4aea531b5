// What a handler may return, and the one way to return a full MCP result.
// Not responsible for turning it into bytes: the tools thread does that, after the handler has ended.
// Invariant: a plain object is never taken for a result; only `result()` makes one.
import type { Static, TSchema } from 'typebox';
import type { Json } from '../shared/json.ts';
import type { Content } from './content.ts';

export interface ResultParts {
  content?: Content[];
  structuredContent?: { [key: string]: Json };
  _meta?: { [key: string]: Json };
}

const RESULT = Symbol('leasehold.result');

/** Full control: MCP's CallToolResult without `isError` (failures are thrown). Built by `result()` only. */
export interface ToolResult {
  readonly [RESULT]: ResultParts;
}

export function result(parts: ResultParts): ToolResult {
  return Object.freeze({ [RESULT]: parts });
}

/** The parts of a value that `result()` built; undefined for every other value. @internal */
export function partsOf(value: unknown): ResultParts | undefined {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, RESULT) ? (value as ToolResult)[RESULT] : undefined;
}

/** With outputSchema: the value itself (structuredContent and its JSON as text). Without: text, content blocks or nothing. */
export type Returned<O> = O extends TSchema ? Static<O> | ToolResult : string | Content | Content[] | ToolResult | void;
