// From an import as written to a file inside the wall, to a module that the tools thread provides, or to a refusal.
// Not responsible for the wall itself (`fence`) or for package.json (`packages`).
// Invariant: never falls back on a search of its own (no NODE_PATH, no tsconfig paths, no parent folders of the estate).
import { builtinModules } from 'node:module';
import { dirname, extname, join, relative, sep } from 'node:path';
import type { BundleOrder } from '../../src/boundary/bundling.ts';
import { ALLOWED_BUILTINS, insteadOfBuiltin, PROVIDED_MODULES } from '../../src/shared/allowed-builtins.ts';
import { FENCE_HINT, type Fence, type Place } from './fence.ts';
import { type Package, Packages } from './packages.ts';
import { Refusal } from './refusal.ts';

export type Resolved =
  | { readonly kind: 'file'; readonly place: Place; readonly pure: boolean }
  | { readonly kind: 'provided'; readonly name: string }
  /** A module that its package replaces with nothing (`"browser": {"fs": false}`). */
  | { readonly kind: 'empty'; readonly name: string };

const TYPESCRIPT_OF: { readonly [extension: string]: string } = { '.js': '.ts', '.mjs': '.mts', '.cjs': '.cts' };
const OWN_EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.cjs', '.json'];
const LIBRARY_EXTENSIONS = ['.js', '.mjs', '.cjs', '.json'];
const builtins = new Set(builtinModules.map((name) => name.replace(/^node:/, '')));

export class Resolver {
  readonly #fence: Fence;
  readonly #packages: Packages;
  readonly #runtime: BundleOrder['runtime'];

  constructor(fence: Fence, runtime: BundleOrder['runtime']) {
    this.#runtime = runtime;
    this.#fence = fence;
    this.#packages = new Packages(fence);
  }

  /** Throws `Refusal`. `required`: by `require()`, not `import`. */
  resolve(specifier: string, importer: Place, required: boolean): Resolved {
    if (PROVIDED_MODULES.includes(specifier)) return { kind: 'provided', name: specifier };
    const within = this.#packages.around(importer);
    const replaced = within && this.#packages.replacement(within, this.#key(specifier, importer, within));
    if (replaced === false) return { kind: 'empty', name: specifier };
    if (within !== undefined && typeof replaced === 'string') return this.#inPackage(replaced, within, importer, required);
    return this.#plain(specifier, importer, within, required);
  }

  #plain(specifier: string, importer: Place, within: Package | undefined, required: boolean): Resolved {
    if (specifier.startsWith('node:')) return this.#builtin(specifier.slice(5));
    if (/^\.{1,2}(?:\/|$)/.test(specifier)) return this.#file(join(dirname(importer.path), specifier), importer, within);
    if (/^(?:\/|\\|[a-zA-Z][a-zA-Z0-9+.-]*:|\.)/.test(specifier)) {
      throw new Refusal('is neither a relative path nor a package', FENCE_HINT);
    }
    if (builtins.has(specifier)) return this.#builtin(specifier);
    if (specifier.startsWith('#')) return this.#internal(specifier, importer, within, required);
    return this.#bare(specifier.replace(/\/$/, ''), importer, required);
  }

  #bare(specifier: string, importer: Place, required: boolean): Resolved {
    const [, name, rest] = /^((?:@[^/\\%]+\/)?[^./\\%@][^/\\%]*)(\/.*)?$/.exec(specifier) ?? [];
    if (name === undefined) throw new Refusal('is no name of a package');
    if (name === 'leasehold' || name === 'typebox') {
      throw new Refusal('is a part that tools cannot use', `tools have ${PROVIDED_MODULES.join(', ')}`);
    }
    const found = this.#packages.find(name, importer);
    if (found === undefined) {
      throw new Refusal("is not in the estate's node_modules", `npm install ${name} in the folder of the estate`);
    }
    // Native parts and Node builds are found by Node itself, in the host that may read them.
    if (this.#runtime === 'node') return { kind: 'provided', name: specifier };
    for (const path of this.#packages.entries(found, `.${rest ?? ''}`, required)) {
      const place = this.#candidates(path, LIBRARY_EXTENSIONS);
      if (place === undefined) continue;
      // The entry itself may have a replacement in `browser` ({"./node.js": "./browser.js"}).
      const instead = this.#packages.replacement(found, `./${relative(found.dir, place.path).replaceAll(sep, '/')}`);
      if (instead === false) return { kind: 'empty', name: specifier };
      if (instead === undefined) return { kind: 'file', place, pure: found.json['sideEffects'] === false };
      return this.#file(join(found.dir, instead), place, found);
    }
    throw new Refusal(`has no file for this import in ${found.name}`, 'a library that runs in browsers or workers is needed');
  }

  #builtin(name: string): Resolved {
    return this.#runtime === 'node' ? { kind: 'provided', name: `node:${name}` } : builtin(name);
  }

  #internal(specifier: string, importer: Place, within: Package | undefined, required: boolean): Resolved {
    if (within === undefined) throw new Refusal('is a package-internal name; tools have none', 'use a relative path');
    for (const target of this.#packages.internal(within, specifier, required)) {
      return this.#inPackage(target, within, importer, required);
    }
    throw new Refusal(`is not among the imports of ${within.name}`);
  }

  #inPackage(target: string, within: Package, importer: Place, required: boolean): Resolved {
    if (target.startsWith('.')) return this.#file(join(within.dir, target), importer, within);
    return this.#plain(target, importer, within, required);
  }

  #file(path: string, importer: Place, within: Package | undefined): Resolved {
    if (within !== undefined && path !== within.dir && !path.startsWith(within.dir + sep))
      throw new Refusal('leads out of its package', FENCE_HINT);
    const place = this.#candidates(path, importer.root.space === 'npm' ? LIBRARY_EXTENSIONS : OWN_EXTENSIONS);
    if (place === undefined) throw new Refusal('does not exist');
    return { kind: 'file', place, pure: within?.json['sideEffects'] === false };
  }

  #candidates(path: string, extensions: readonly string[]): Place | undefined {
    const exact = this.#fence.find(path);
    if (exact !== undefined) return exact;
    const extension = extname(path);
    const typescript = extensions === OWN_EXTENSIONS ? TYPESCRIPT_OF[extension] : undefined;
    const tries = [
      ...(typescript === undefined ? [] : [path.slice(0, -extension.length) + typescript]),
      ...extensions.map((ending) => path + ending),
    ];
    if (this.#fence.isFolder(path)) {
      if (extensions === LIBRARY_EXTENSIONS) tries.push(...this.#packages.folderMains(path));
      tries.push(...extensions.map((ending) => join(path, `index${ending}`)));
    }
    for (const candidate of tries) {
      const place = this.#fence.find(candidate);
      if (place !== undefined) return place;
    }
    return undefined;
  }

  /** How package.json `browser` would name what is imported: a package as written, a file as `./path`. */
  #key(specifier: string, importer: Place, within: Package): string {
    if (!specifier.startsWith('.')) return specifier.replace(/^node:/, '');
    return `./${relative(within.dir, join(dirname(importer.path), specifier)).replaceAll(sep, '/')}`;
  }
}

function builtin(name: string): Resolved {
  if (ALLOWED_BUILTINS.includes(name)) return { kind: 'provided', name: `node:${name}` };
  throw new Refusal('is a Node built-in that tools do not have', insteadOfBuiltin(name));
}
