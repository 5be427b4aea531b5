// Path templates of declared tools: RFC 6570 level 1 (`{name}`), parsed into segments.
// Not responsible for expanding them (`workers/bindings/path`).
// Invariant: the fixed part of a parsed template is already what a URL parser makes of it, and has no `.`, `..` or empty segment.

/** Fixed text, or the name of an argument. */
export type TemplatePart = { readonly text: string } | { readonly name: string };
export interface PathTemplate {
  /** One list per segment; the first segment is what follows the leading slash. A last empty one is a trailing slash. */
  readonly segments: readonly (readonly TemplatePart[])[];
  readonly names: readonly string[];
}
export type ParsedTemplate =
  | { readonly ok: true; readonly template: PathTemplate }
  | { readonly ok: false; readonly reason: string };

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
/** RFC 3986 pchar without percent-encodings that stand for what must not be there. */
const TEXT = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*$/;
const SMUGGLED = /%(?:2e|2f|5c|00|0a|0d|25)/i;

export function parsePathTemplate(path: string): ParsedTemplate {
  if (!path.startsWith('/')) return refused('must begin with "/"');
  const segments: TemplatePart[][] = [];
  const names: string[] = [];
  const texts = path.slice(1).split('/');
  for (const [index, text] of texts.entries()) {
    if (text === '' && index < texts.length - 1) return refused('has an empty segment ("//")');
    const parts = parseSegment(text);
    if (typeof parts === 'string') return refused(parts);
    for (const part of parts) if ('name' in part) names.push(part.name);
    segments.push(parts);
  }
  return { ok: true, template: { segments, names } };
}

function parseSegment(segment: string): TemplatePart[] | string {
  if (/^\.{1,2}(?:;|$)/.test(segment)) return `has the segment "${segment}"`;
  const parts: TemplatePart[] = [];
  for (const piece of segment.split(/(\{[^{}]*\})/)) {
    if (piece === '') continue;
    if (piece.startsWith('{')) {
      const name = piece.slice(1, -1);
      if (!NAME.test(name)) return `has "${piece}"; only {name} is understood, without operators or modifiers`;
      parts.push({ name });
    } else if (/[{}]/.test(piece)) return 'has a brace without its partner';
    else if (!TEXT.test(piece)) return `has a character that must be percent-encoded, or is not part of a path, in "${piece}"`;
    else if (SMUGGLED.test(piece)) return `has an encoded dot, slash, backslash, percent sign or control character in "${piece}"`;
    else parts.push({ text: piece });
  }
  return parts;
}

function refused(reason: string): ParsedTemplate {
  return { ok: false, reason };
}
