// Package look-up: node_modules folders inside the wall, package.json `exports`, `imports`, `browser`, `module` and `main`.
// Not responsible for relative files (`resolve`).
// Invariant: what a package names must lie in that package's own folder; conditions prefer builds that need no Node.
import { realpathSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { exports as resolveExports, imports as resolveImports } from 'resolve.exports';
import type { Fence, Place } from './fence.ts';
import { Refusal } from './refusal.ts';

const PACKAGE_JSON_BYTES = 1024 * 1024;

export interface Package {
  readonly dir: string;
  readonly name: string;
  readonly json: { readonly [key: string]: unknown };
}

/** `worker` before `browser`, where a package has both: there is no DOM in a tools thread. `node` is left out on purpose. */
function conditions(required: boolean): string[] {
  return ['worker', 'browser', 'module', required ? 'require' : 'import'];
}

export class Packages {
  readonly #fence: Fence;
  readonly #read = new Map<string, Package | undefined>();

  constructor(fence: Fence) {
    this.#fence = fence;
  }

  /** The package around a file of a library; undefined for the tenant's own and shared files. */
  around(place: Place): Package | undefined {
    if (place.root.space !== 'npm') return undefined;
    for (let dir = dirname(place.path); dir.length > place.root.dir.length; dir = dirname(dir)) {
      const found = this.#at(dir);
      // A nested package.json without a name (`{"type":"module"}`) does not end the package.
      if (found?.json['name'] !== undefined) return found;
      if (basename(dirname(dir)) === 'node_modules') return found;
    }
    return undefined;
  }

  /** Finds `name` from the importer outwards, as Node does, but never beyond the estate's node_modules. */
  find(name: string, importer: Place): Package | undefined {
    for (const folder of this.#folders(importer)) {
      const dir = join(folder, name);
      if (!this.#fence.isFolder(dir)) continue;
      const real = realpathSync.native(dir);
      if (this.#fence.place(real)?.root.space !== 'npm') {
        throw new Refusal('is a package that is linked in from outside the node_modules of the estate', 'install it as a copy');
      }
      const found = this.#at(real);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Paths to try for a package's entry (`.`) or subpath (`./x`), best first. */
  entries(of: Package, subpath: string, required: boolean): string[] {
    if (of.json['exports'] !== undefined) {
      return this.#inside(
        of,
        quietly(() => resolveExports(of.json, subpath, { unsafe: true, conditions: conditions(required) })),
      );
    }
    if (subpath !== '.') return this.#inside(of, [subpath]);
    return this.#inside(of, [...mains(of), './index']);
  }

  /** Main files of a folder of a library that has a package.json of its own. */
  folderMains(dir: string): string[] {
    const found = this.#at(dir);
    return found === undefined ? [] : this.#inside(found, mains(found));
  }

  /** `#name` of package.json `imports`: paths of the package or names of packages. */
  internal(of: Package, name: string, required: boolean): string[] {
    return quietly(() => resolveImports(of.json, name, { unsafe: true, conditions: conditions(required) }));
  }

  /** What package.json `browser` puts in place of a module: another one, nothing (`false`), or no word on it (undefined). */
  replacement(of: Package, key: string): string | false | undefined {
    const map = of.json['browser'];
    if (typeof map !== 'object' || map === null) return undefined;
    for (const form of [key, `${key}.js`, `${key}/index.js`]) {
      const value: unknown = Object.hasOwn(map, form) ? (map as Record<string, unknown>)[form] : undefined;
      if (value === false || typeof value === 'string') return value;
    }
    return undefined;
  }

  *#folders(importer: Place): Generator<string> {
    if (importer.root.space === 'npm') {
      for (let dir = dirname(importer.path); dir.length > importer.root.dir.length; dir = dirname(dir)) {
        yield basename(dir) === 'node_modules' ? dir : join(dir, 'node_modules');
      }
    }
    for (const root of this.#fence.roots) if (root.space === 'npm') yield root.dir;
  }

  #inside(of: Package, targets: readonly string[]): string[] {
    return targets.map((target) => {
      const path = join(of.dir, target);
      if (path !== of.dir && !path.startsWith(of.dir + sep)) {
        throw new Refusal(`names a file outside its own folder in its package.json`, 'this package cannot be bundled');
      }
      return path;
    });
  }

  #at(dir: string): Package | undefined {
    if (this.#read.has(dir)) return this.#read.get(dir);
    const found = this.#parse(dir);
    this.#read.set(dir, found);
    return found;
  }

  #parse(dir: string): Package | undefined {
    const place = this.#fence.find(join(dir, 'package.json'));
    if (place === undefined) return undefined;
    const text = this.#fence.read(place);
    if (text.length > PACKAGE_JSON_BYTES) return undefined;
    try {
      const json: unknown = JSON.parse(text.toString('utf8'));
      if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
      const record = json as { readonly [key: string]: unknown };
      return { dir, name: typeof record['name'] === 'string' ? record['name'] : basename(dir), json: record };
    } catch {
      return undefined;
    }
  }
}

function mains(of: Package): string[] {
  return [of.json['browser'], of.json['module'], of.json['main']].filter((field) => typeof field === 'string');
}

function quietly(resolve: () => string[] | void): string[] {
  try {
    return resolve() ?? [];
  } catch {
    return [];
  }
}
