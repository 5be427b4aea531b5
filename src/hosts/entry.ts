// Where the entries of a host process and of its threads lie, and what each must be able to read: in source form (`.ts`, run by
// type stripping) and in built form (`dist/`, `.js`) alike.
// Not responsible for starting anything (`spawn-host`).
// Invariant: links with their targets (a permission on one does not cover the other), and nothing of any estate or data folder.
import { existsSync, realpathSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PoolKind } from '../boundary/thread-messages.ts';

const self = fileURLToPath(import.meta.url);
const extension = extname(self);
/** Holds `src/` and `workers/`: the repository, or `dist/` of the package. */
const root = dirname(dirname(dirname(self)));

/** The package has one file per entry, with everything inside but Piscina, which starts a worker file of its own. */
const built = extension === '.js';

/** Packages that the threads load, beside Piscina's own worker. */
const THREAD_PACKAGES: Record<PoolKind, readonly string[]> = built
  ? { tools: ['piscina'], egress: ['piscina'] }
  : { tools: ['piscina', 'typebox'], egress: ['piscina', 'typebox', 'undici', '@jmespath-community/jmespath'] };
const SOURCES = ['src/boundary', 'src/shared', 'src/author', 'src/index.ts', 'workers'];

export interface HostEntry {
  readonly hostEntry: string;
  readonly threadEntry: string;
  /** Files and folders. */
  readonly hostReads: readonly string[];
  readonly threadReads: readonly string[];
}

/** Other entries than the product's, for tests of the machinery itself. Absolute paths. */
export interface EntryOverride {
  readonly host?: string;
  readonly tools?: string;
  readonly egress?: string;
}

export function findEntry(kind: PoolKind, override: EntryOverride = {}): HostEntry {
  const threadEntry = realpathSync(override[kind] ?? join(root, 'workers', kind + extension));
  const hostEntry = realpathSync(override.host ?? join(root, 'workers', `host${extension}`));
  const own = built ? [] : SOURCES.map((path) => join(root, path));
  const threadReads = [...own, ...scopes(root), ...THREAD_PACKAGES[kind].flatMap(packageFolder)];
  // An entry of the package is one file; in source form, and in tests, it has others beside it.
  threadReads.push(built && override[kind] === undefined ? threadEntry : dirname(threadEntry));
  const hostReads = [...threadReads, built && override.host === undefined ? hostEntry : dirname(hostEntry)];
  return { hostEntry, threadEntry, hostReads: existing(hostReads), threadReads: existing(threadReads) };
}

function existing(paths: Iterable<string>): string[] {
  return [...new Set([...paths].filter((path) => existsSync(path)).flatMap((path) => [path, realpathSync(path)]))];
}

/** The `package.json` files that decide how a module of ours is read. */
function scopes(folder: string): string[] {
  const found: string[] = [];
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, 'package.json');
    if (existsSync(file)) {
      found.push(file);
      return found;
    }
    if (at === dirname(at)) return found;
  }
}

/** Where a package is looked up from here, as Node does; in an estate with links that is not where it lies. */
function packageFolder(name: string): string[] {
  for (let at = dirname(self); ; at = dirname(at)) {
    const folder = join(at, 'node_modules', name);
    if (existsSync(folder)) return [folder];
    if (at === dirname(at)) return [];
  }
}
