// Reads what a file imports: static imports and re-exports, `import()`, `require()` and inline import types, from a real parse.
// Not responsible for judging them (`check.ts`).
// Invariant: a specifier that is not a literal is reported as such, never skipped.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

export interface Import {
  /** As written; undefined where it is computed. */
  readonly specifier: string | undefined;
  /** Nothing of it is left after type stripping. */
  readonly typeOnly: boolean;
  readonly line: number;
}

export interface SourceFile {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly lines: number;
  readonly opensWithComment: boolean;
  readonly imports: readonly Import[];
  /** Messages of the parser. */
  readonly errors: readonly string[];
}

function readImports(path: string, source: string): SourceFile {
  const parsed = parseSync(path, source, { lang: 'ts', sourceType: 'module' });
  const lineAt = (offset: number) => source.slice(0, offset).split('\n').length;
  const imports: Import[] = [];
  for (const one of parsed.module.staticImports) {
    // `import './x.ts'` has no entries and runs; `import {} from` is the same thing.
    const typeOnly = one.entries.length > 0 && one.entries.every((entry) => entry.isType);
    imports.push({ specifier: one.moduleRequest.value, typeOnly, line: lineAt(one.start) });
  }
  for (const one of parsed.module.staticExports) {
    const from = one.entries.find((entry) => entry.moduleRequest !== null)?.moduleRequest;
    if (from)
      imports.push({ specifier: from.value, typeOnly: one.entries.every((entry) => entry.isType), line: lineAt(one.start) });
  }
  const literal = (node: { type: string; value?: unknown } | undefined) =>
    node?.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined;
  new Visitor({
    ImportExpression: (node) => {
      imports.push({ specifier: literal(node.source), typeOnly: false, line: lineAt(node.start) });
    },
    CallExpression: (node) => {
      if (node.callee.type !== 'Identifier' || node.callee.name !== 'require') return;
      imports.push({ specifier: literal(node.arguments[0]), typeOnly: false, line: lineAt(node.start) });
    },
    TSImportType: (node) => {
      imports.push({ specifier: literal(node.source), typeOnly: true, line: lineAt(node.start) });
    },
  }).visit(parsed.program);
  const body = source.startsWith('#!') ? source.slice(source.indexOf('\n') + 1) : source;
  return {
    path,
    lines: source.split('\n').length - (source.endsWith('\n') ? 1 : 0),
    opensWithComment: /^(?:\/\/ ?\S|\/\*\*?\s*\S)/.test(body),
    imports,
    errors: parsed.errors.map((error) => error.message),
  };
}

/** All TypeScript and JavaScript files below the folders `roots` of `root`, sorted by path. */
export function readSources(root: string, roots: readonly string[]): SourceFile[] {
  const files: SourceFile[] = [];
  for (const top of roots) {
    for (const entry of readdirSync(join(root, top), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.[cm]?[jt]s$/.test(entry.name)) continue;
      const file = join(entry.parentPath, entry.name);
      const path = file.slice(root.length + 1).replaceAll('\\', '/');
      if (path.split('/').includes('node_modules')) continue;
      files.push(readImports(path, readFileSync(file, 'utf8')));
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The file that a relative specifier means, relative to the root. */
export function resolveRelative(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier));
}

/** `@scope/name/sub` -> `@scope/name`; `node:` built-ins stay whole. */
export function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] as string);
}
