// The esbuild plugin through which every resolve and every load of a build goes.
// Not responsible for deciding (`resolve`, `fence`): it translates between esbuild's words and ours.
// Invariant: no import is left to esbuild's own resolver. A refused require() is left unresolved, so that esbuild reports
// it, or lets it be where the code handles a failing require itself (then it fails in the tools thread, handled).
import { extname } from 'node:path';
import type { Loader, OnLoadResult, OnResolveArgs, OnResolveResult, Plugin } from 'esbuild-wasm';
import type { Fence, Place, Space } from './fence.ts';
import { Refusal } from './refusal.ts';
import type { Resolver } from './resolve.ts';
import type { Trail } from './trail.ts';

const SPACES: readonly Space[] = ['tenant', 'shared', 'npm'];
const LOADERS: { readonly [extension: string]: Loader } = {
  '.ts': 'ts',
  '.mts': 'ts',
  '.cts': 'ts',
  '.js': 'js',
  '.mjs': 'js',
  '.cjs': 'js',
  '.json': 'json',
};
const ENTRY = 'entry';

export interface Build {
  readonly fence: Fence;
  readonly resolver: Resolver;
  readonly trail: Trail;
  /** The module that requires all toolsets. */
  readonly entry: string;
  /** Absolute folder against which the entry's imports are resolved. */
  readonly tenant: string;
}

export function fencePlugin(build: Build): Plugin {
  /** Places by esbuild's name of the module (`space:name`): the only modules that can be loaded. */
  const places = new Map<string, Place>();
  const tenantRoot = build.fence.roots[0];
  if (tenantRoot === undefined) throw new Error('a build has a tenant');

  function resolve(args: OnResolveArgs): OnResolveResult | undefined {
    if (args.kind === 'entry-point') return { path: ENTRY, namespace: ENTRY };
    const fromEntry = args.namespace === ENTRY;
    const importer = fromEntry
      ? { root: tenantRoot as Place['root'], path: `${build.tenant}/toolsets`, name: 'toolsets' }
      : places.get(`${args.namespace}:${args.importer}`);
    if (importer === undefined) return undefined;
    const importerId = `${args.namespace}:${args.importer}`;
    try {
      const type = args.with['type'];
      if (Object.keys(args.with).length > (type === 'json' ? 1 : 0)) {
        throw new Refusal('has an import attribute that tools do not have', 'only { type: "json" } is known');
      }
      const found = build.resolver.resolve(args.path, importer, args.kind.startsWith('require'));
      if (found.kind === 'provided') return { path: found.name, external: true };
      if (found.kind === 'empty') return { path: found.name, namespace: 'empty' };
      const { place } = found;
      if (LOADERS[extname(place.path)] === undefined) throw new Refusal(NOT_CODE, NOT_CODE_HINT);
      const id = `${place.root.space}:${place.name}`;
      places.set(id, place);
      build.trail.arrive(id, fromEntry ? undefined : importerId);
      return { path: place.name, namespace: place.root.space, ...(found.pure ? { sideEffects: false } : {}) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      build.trail.refuse(importerId, args.path, error);
      // A require() or import() may stand in a try block; esbuild knows. URLs it would resolve itself, so they end here.
      const handled = args.kind === 'require-call' || args.kind === 'dynamic-import';
      return handled && !/^(?:[a-zA-Z][a-zA-Z0-9+.-]*:|\/\/)/.test(args.path)
        ? undefined
        : { errors: [{ text: unresolvedText(args.path) }] };
    }
  }

  function load(space: Space, name: string): OnLoadResult {
    const place = places.get(`${space}:${name}`);
    if (place === undefined) return { errors: [{ text: 'This module was never resolved.' }] };
    try {
      return { contents: build.fence.read(place), loader: LOADERS[extname(place.path)] ?? 'js' };
    } catch (error) {
      if (!(error instanceof Refusal)) return { errors: [{ text: `"${name}" cannot be read` }] };
      return {
        errors: [{ text: `"${name}" ${error.message}`, ...(error.hint === undefined ? {} : { notes: [{ text: error.hint }] }) }],
      };
    }
  }

  return {
    name: 'fence',
    setup(api) {
      api.onResolve({ filter: /.*/ }, resolve);
      api.onLoad({ filter: /.*/, namespace: ENTRY }, () => ({ contents: build.entry, loader: 'js' }));
      api.onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
      for (const space of SPACES) api.onLoad({ filter: /.*/, namespace: space }, (args) => load(space, args.path));
      // Nothing else may ever be loaded: esbuild's own `file` and `dataurl` included.
      api.onLoad({ filter: /.*/ }, (args) => ({ errors: [{ text: `"${args.path}" is not part of the estate` }] }));
    },
  };
}

/** esbuild's own words, so that `problems` finds the reason in the trail whoever reported it. */
function unresolvedText(specifier: string): string {
  return `Could not resolve "${specifier}"`;
}

const NOT_CODE = 'is neither TypeScript, JavaScript nor JSON';
const NOT_CODE_HINT = 'tools are made of .ts, .js and .json files; put text into a .json file or a string';
