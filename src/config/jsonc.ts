// JSON with comments and trailing commas, read into a plain value that remembers where each part stands.
// Not responsible for what the value must look like (`validate`).
// Invariant: bounded in size and depth; no key twice, no `__proto__`; a problem never quotes what stands in the file.
import { createScanner, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { Problem } from '../shared/problem.ts';

const DEPTH = 64;

/** Where in the file the part at a JSON pointer stands (or the closest part around it); lines and columns from 1. */
export type Locate = (pointer: string) => { line: number; column: number };
export type Parsed =
  | { readonly ok: true; readonly value: unknown; readonly locate: Locate }
  | { readonly ok: false; readonly problem: Problem };

export function parseJsonc(text: string, file: string): Parsed {
  const source = text.replace(/^\uFEFF/, '');
  const bad = (offset: number, reason: string): Parsed => ({ ok: false, problem: { file, ...position(source, offset), reason } });
  const deep = tooDeepAt(source);
  if (deep !== undefined) return bad(deep, `is nested deeper than ${DEPTH} levels`);
  const errors: ParseError[] = [];
  const root = parseTree(source, errors, { allowTrailingComma: true });
  const first = errors[0];
  if (first !== undefined)
    return bad(first.offset, `is not valid JSON: ${ERRORS[printParseErrorCode(first.error)] ?? 'something is wrong here'}`);
  if (root === undefined) return bad(0, 'is empty; the smallest content is {}');
  const wrong: { offset: number; reason: string }[] = [];
  const value = toValue(root, wrong);
  const found = wrong[0];
  if (found !== undefined) return bad(found.offset, found.reason);
  return { ok: true, value, locate: (pointer) => position(source, nodeAt(root, pointer).offset) };
}

const ERRORS: { readonly [code: string]: string } = {
  InvalidSymbol: 'a word that is no value',
  PropertyNameExpected: 'a name in double quotes is missing',
  ValueExpected: 'a value is missing',
  ColonExpected: 'a colon is missing',
  CommaExpected: 'a comma is missing',
  CloseBraceExpected: 'a closing } is missing',
  CloseBracketExpected: 'a closing ] is missing',
  EndOfFileExpected: 'something stands after the end',
};

/** The parser recurses, so depth is counted first. */
function tooDeepAt(source: string): number | undefined {
  const scanner = createScanner(source, true);
  let depth = 0;
  while (scanner.getPosition() < source.length) {
    scanner.scan();
    // Of all tokens, only these are one such character; a string has its quotes.
    const token = scanner.getTokenLength() === 1 ? source[scanner.getTokenOffset()] : undefined;
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    if (depth > DEPTH) return scanner.getTokenOffset();
  }
  return undefined;
}

function toValue(node: Node, wrong: { offset: number; reason: string }[]): unknown {
  if (node.type === 'array') return (node.children ?? []).map((child) => toValue(child, wrong));
  if (node.type !== 'object') return node.value;
  const object: Record<string, unknown> = {};
  for (const property of node.children ?? []) {
    const [key, value] = property.children ?? [];
    if (key === undefined || value === undefined) continue;
    const name = String(key.value);
    if (name === '__proto__') wrong.push({ offset: key.offset, reason: 'has a key that is not allowed' });
    else if (Object.hasOwn(object, name)) wrong.push({ offset: key.offset, reason: `has the key "${name}" twice` });
    else object[name] = toValue(value, wrong);
  }
  return object;
}

/** The node at a JSON pointer; where the last part is a property, its name rather than its value. */
function nodeAt(root: Node, pointer: string): Node {
  let node = root;
  let shown = root;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (node.type === 'array') {
      const child = node.children?.[Number(name)];
      if (child === undefined) break;
      node = shown = child;
    } else {
      const [key, value] = node.children?.find((property) => property.children?.[0]?.value === name)?.children ?? [];
      if (key === undefined || value === undefined) break;
      node = value;
      shown = key;
    }
  }
  return shown;
}

function position(source: string, offset: number): { line: number; column: number } {
  const before = source.slice(0, offset);
  const line = before.split('\n').length;
  return { line, column: offset - before.lastIndexOf('\n') };
}
