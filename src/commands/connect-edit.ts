// Sets one entry in the text of a JSON file that may have comments and trailing commas.
// Not responsible for reading or writing it. Pure.
// Invariant: of the text that was there not a byte changes, but for members of that entry; what is not valid is refused.
import { isDeepStrictEqual } from 'node:util';
import { applyEdits, type Edit, modify, parse, type ParseError, printParseErrorCode } from 'jsonc-parser';
import type { Json, JsonObject } from '../shared/json.ts';
import { ENTRY_MEMBERS } from './connect-clients.ts';
import { isObject } from './mcp-client.ts';

export interface Entry {
  /** The member that holds servers by name. */
  readonly servers: string;
  readonly name: string;
  readonly value: JsonObject;
}
/** `same`: it stands there already. `refused`: half a sentence. */
export type Edited = { readonly text: string } | 'same' | { readonly refused: string };

const BYTE_ORDER_MARK = '\uFEFF';

export function withEntry({ servers, name, value }: Entry, given: string): Edited {
  const mark = given.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : '';
  const text = given.trim() === mark ? '{}\n' : given.slice(mark.length);
  const fault = faultOf(text);
  if (fault !== undefined) return { refused: fault };
  const root: unknown = parse(text);
  if (!isObject(root)) return { refused: 'holds no JSON object' };
  const all = root[servers] ?? {};
  if (!isObject(all)) return { refused: `has a '${servers}' that is no object` };
  const present = all[name];
  if (!isObject(present)) return { text: mark + set(text, [servers, name], value) };
  // Member by member: what the user has added to the entry stays.
  const differing = ENTRY_MEMBERS.filter((key) => !isDeepStrictEqual(present[key], value[key]));
  if (differing.length === 0) return 'same';
  return { text: mark + differing.reduce((edited, key) => set(edited, [servers, name, key], value[key]), text) };
}

function faultOf(text: string): string | undefined {
  const errors: ParseError[] = [];
  parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first === undefined) return undefined;
  return `is not valid JSON (line ${text.slice(0, first.offset).split('\n').length}: ${printParseErrorCode(first.error)})`;
}

/** The library's own formatting would lay out the lines around the edit anew, so only what is inserted is laid out here. */
function set(text: string, path: string[], value: Json | undefined): string {
  return applyEdits(
    text,
    modify(text, path, value, {}).map((edit) => (edit.content === '' ? edit : laidOut(text, edit, path))),
  );
}

function laidOut(text: string, edit: Edit, path: readonly string[]): Edit {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const [, unit = '  '] = /\n([ \t]+)["/]/.exec(text) ?? [];
  const pretty = (value: Json, depth: number): string =>
    JSON.stringify(value, undefined, unit).replaceAll('\n', eol + unit.repeat(depth));
  // A value that takes the place of another one, or a new member: `"key":value`, behind a comma where it is not the first.
  if (edit.length > 0) return { ...edit, content: pretty(JSON.parse(edit.content) as Json, path.length) };
  const comma = edit.content.startsWith(',') ? ',' : '';
  const [[key, value] = ['', null]] = Object.entries(JSON.parse(`{${edit.content.slice(comma.length)}}`) as JsonObject);
  const depth = key === path.at(-1) ? path.length : 1;
  const after = text.slice(edit.offset);
  const end = comma !== '' || /^[ \t]*\r?\n/.test(after) ? '' : eol + unit.repeat(depth - 1);
  return { ...edit, content: `${comma}${eol}${unit.repeat(depth)}${JSON.stringify(key)}: ${pretty(value, depth)}${end}` };
}
