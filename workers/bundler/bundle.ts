// One build: from an order to script, source map and the list of files they are made of, or to problems.
// Not responsible for the wire (`bundler`) or for the wall (`plugin`, `fence`).
// Invariant: esbuild runs in-process as WebAssembly and has no file system; the product names no path of this machine.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import esbuild, { type BuildFailure, type BuildResult } from 'esbuild-wasm/lib/browser.js';
import type { BundleAnswer, BundleOrder } from '../../src/boundary/bundling.ts';
import { BUNDLING_LIMITS } from '../../src/shared/bundling-limits.ts';
import { Fence } from './fence.ts';
import { type Build, fencePlugin } from './plugin.ts';
import { type Naming, toProblems } from './problems.ts';
import { Resolver } from './resolve.ts';
import { Trail } from './trail.ts';

export interface Bundled {
  readonly answer: BundleAnswer;
  readonly script: Uint8Array;
  readonly map: Uint8Array;
}
// Node has it; the types come with the DOM library, which nothing else here needs.
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<WebAssembly.Module> };
const NOTHING = new Uint8Array();

/**
 * Of a function run this often, V8 makes optimized code (bytes executed; its own figure is 13 million). Optimizing costs more
 * than all else in a child that bundles once, and in ten bundles of a megabyte it does not come back.
 */
const TIERING_BUDGET = 2_000_000_000;

let started: Promise<void> | undefined;
/** esbuild's browser build looks for `self`; without a worker it runs in this thread. */
function start(): Promise<void> {
  started ??= (async () => {
    Object.assign(globalThis, { self: globalThis });
    setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);
    const wasm = createRequire(import.meta.url).resolve('esbuild-wasm/esbuild.wasm');
    await esbuild.initialize({ wasmModule: await WebAssembly.compile(await readFile(wasm)), worker: false });
  })();
  return started;
}

export async function bundle(order: BundleOrder): Promise<Bundled> {
  const fence = new Fence(order);
  const trail = new Trail();
  const build: Build = {
    fence,
    resolver: new Resolver(fence, order.runtime),
    trail,
    entry: entryModule(order.entries),
    tenant: order.tenant,
  };
  const naming: Naming = { order, fence, trail };
  await start();
  try {
    return product(await run(build), fence);
  } catch (error) {
    const failure = error as Partial<BuildFailure>;
    if (!Array.isArray(failure.errors)) throw error;
    return failed(toProblems(failure.errors, naming));
  }
}

function run(build: Build): Promise<BuildResult<{ write: false; metafile: true }>> {
  return esbuild.build({
    entryPoints: ['entry'],
    bundle: true,
    write: false,
    metafile: true,
    outfile: '/bundle.js',
    absWorkingDir: '/',
    plugins: [fencePlugin(build)],
    format: 'cjs',
    platform: 'neutral',
    target: 'es2024',
    // Of a module that stays outside: the bundle has a `require`, and no loader for import().
    supported: { 'dynamic-import': false },
    charset: 'utf8',
    sourcemap: 'external',
    sourcesContent: true,
    legalComments: 'none',
    define: { 'process.env.NODE_ENV': '"production"' },
    tsconfigRaw: {},
    logLevel: 'silent',
    logLimit: BUNDLING_LIMITS.problems,
  });
}

/** What the tools thread loads. `require` keeps the order of the files and gives each its own module object. */
function entryModule(entries: readonly string[]): string {
  const toolsets = entries.map((file) => {
    const name = JSON.stringify(file);
    return `{ file: ${name}, toolset: require(${JSON.stringify(`./${file}`)}).default }`;
  });
  return `module.exports = { toolsets: [${toolsets.join(', ')}] };\n`;
}

function product(result: BuildResult<{ write: false; metafile: true }>, fence: Fence): Bundled {
  const script = result.outputFiles.find((file) => file.path.endsWith('.js'))?.contents ?? NOTHING;
  const map = result.outputFiles.find((file) => file.path.endsWith('.map'))?.contents ?? NOTHING;
  // What esbuild says it used is compared with what was read through the wall: an input that came another way ends the build.
  for (const input of Object.keys(result.metafile.inputs)) {
    if (!/^(?:entry|empty|tenant|shared|npm):/.test(input))
      return failed([{ file: input, reason: 'came into the bundle past the wall' }]);
  }
  if (script.length > BUNDLING_LIMITS.scriptBytes || map.length > BUNDLING_LIMITS.mapBytes) {
    return failed([{ file: 'tools', reason: `the bundle is larger than ${BUNDLING_LIMITS.scriptBytes} bytes` }]);
  }
  const answer: BundleAnswer = {
    ok: true,
    scriptBytes: script.length,
    mapBytes: 0,
    inputs: [...fence.inputs.values()],
    absent: [...fence.absent],
  };
  const named = nameSources(map);
  return { answer: { ...answer, mapBytes: named.length }, script, map: named };
}

/** `tenant:tools/x.ts` becomes `tools/x.ts`, as an author reads it in a stack. */
function nameSources(map: Uint8Array): Uint8Array {
  const parsed = JSON.parse(Buffer.from(map).toString('utf8')) as { sources: string[] };
  parsed.sources = parsed.sources.map((source) =>
    source.replace(/^(?:\.\.\/)*(tenant|shared|npm):/, (_, space: string) => SOURCE_PREFIX[space] ?? ''),
  );
  return Buffer.from(JSON.stringify(parsed));
}
const SOURCE_PREFIX: { readonly [space: string]: string } = { tenant: '', shared: 'shared/', npm: 'node_modules/' };

function failed(problems: Extract<BundleAnswer, { ok: false }>['problems']): Bundled {
  return { answer: { ok: false, problems }, script: NOTHING, map: NOTHING };
}
