// Which modules a tool may import although they are not in its bundle: pure Node built-ins and what the tools thread provides.
// Not responsible for enforcing: the bundler refuses the others by name, the tools thread hands out exactly these.
// Invariant: nothing here reaches a file, a socket, another process, another thread or the environment.

/** Pure built-ins, without the `node:` prefix. */
export const ALLOWED_BUILTINS: readonly string[] = Object.freeze([
  'assert',
  'buffer',
  'events',
  'path',
  'punycode',
  'querystring',
  'string_decoder',
  'timers',
  'url',
  'util',
]);

/** Packages that the tools thread provides itself, one copy for all; they stay `require(…)` in a bundle. */
export const PROVIDED_MODULES: readonly string[] = Object.freeze([
  'leasehold',
  'typebox',
  'typebox/compile',
  'typebox/error',
  'typebox/value',
]);

const CONNECTION = 'declare a connection and use ctx.connections.<slot>.fetch';
const NO_FILES = 'tools have no file system: import the data as JSON, or keep it in ctx.store';
const ONE_THREAD = 'tools run in a thread of their own already; split the work into tools and use ctx.call';

/** What to use instead of a built-in that tools do not have; built-ins that are not named get `FALLBACK_HINT`. */
const INSTEAD: { readonly [builtin: string]: string } = {
  async_hooks: 'use getContext() of "leasehold" for the context of the current call',
  child_process: ONE_THREAD,
  cluster: ONE_THREAD,
  crypto: 'use the global crypto.randomUUID() or crypto.getRandomValues(), or a pure-JS library such as @noble/hashes',
  dgram: CONNECTION,
  dns: CONNECTION,
  fs: NO_FILES,
  'fs/promises': NO_FILES,
  http: CONNECTION,
  http2: CONNECTION,
  https: CONNECTION,
  net: `${CONNECTION}; for other protocols, "runtime": "node" in tenant.json`,
  os: 'put the setting into "vars" of tenant.json and read ctx.vars',
  perf_hooks: 'use the global performance.now()',
  process: 'put settings into "vars" of tenant.json and read ctx.vars',
  sqlite: 'use ctx.store',
  stream: 'use web streams or plain arrays; connections answer with bounded bodies',
  tls: CONNECTION,
  worker_threads: ONE_THREAD,
  zlib: 'use a pure-JS library such as fflate',
};
const FALLBACK_HINT =
  'use a library build without Node built-ins (its "browser" build, often), or "runtime": "node" in tenant.json for code that you trust';

/** The one sentence that tells an author what to use in place of a built-in (`node:` prefix or not). */
export function insteadOfBuiltin(name: string): string {
  const bare = name.replace(/^node:/, '');
  const key = [bare, bare.split('/')[0] ?? ''].find((name) => Object.hasOwn(INSTEAD, name));
  return (key === undefined ? undefined : INSTEAD[key]) ?? FALLBACK_HINT;
}
