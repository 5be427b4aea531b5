// Makes dist/ (or the folder named as argument) from the sources: what `npm run build` runs and what the package ships.
// Not responsible for checking (lint, types of tests): `.ci/run` does.
// Invariant: dist/ has the layout of the checkout (dist/src, dist/workers), so that the same relative paths hold in both. Each
// entry of workers/ is one file: how much a thread loads decides how fast it starts and what it weighs.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions, type Plugin } from 'esbuild-wasm';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = resolve(process.argv[2] ?? join(root, 'dist'));

/** Built beside it and swapped in at the end: whoever runs from dist/ meanwhile keeps a whole one. */
const staging = `${dist}.new`;

const ENTRIES = ['host', 'tools', 'egress', 'bundler'];
/** Found at run time by path: Piscina starts its own worker file, esbuild its own WebAssembly. */
const EXTERNAL = ['piscina', 'esbuild-wasm'];

function compile(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, '.ci/tsconfig.build.json'), '--outDir', staging], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(1);
}

/** Of undici, an egress thread needs two modules; the rest (fetch, caches, mocks) would double what it loads. */
const undiciParts: Plugin = {
  name: 'undici-parts',
  setup(build) {
    build.onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'parts' }));
    build.onLoad({ filter: /^undici$/, namespace: 'parts' }, () => ({
      contents: [
        "export { default as Pool } from 'undici/lib/dispatcher/pool.js';",
        "export { default as buildConnector } from 'undici/lib/core/connect.js';",
      ].join(''),
      resolveDir: root,
    }));
  },
};

/** CommonJS packages that end up in an ES module still say `require('node:…')`. */
const REQUIRE = "import { createRequire as $createRequire } from 'node:module'; const require = $createRequire(import.meta.url);";

const PACKED = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  legalComments: 'none',
  // Names stay: they are what a stack trace has to say.
  minifyWhitespace: true,
  minifySyntax: true,
  charset: 'utf8',
  logLevel: 'warning',
} satisfies BuildOptions;

async function bundleWorkers(): Promise<void> {
  for (const entry of ENTRIES) {
    const options = {
      ...PACKED,
      entryPoints: [join(root, 'workers', `${entry}.ts`)],
      outfile: join(staging, 'workers', `${entry}.js`),
      external: EXTERNAL,
      plugins: [undiciParts],
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    } satisfies BuildOptions;
    const first = await build({ ...options, write: false });
    const needsRequire = first.outputFiles[0]?.text.includes('Dynamic require of') === true;
    await build({ ...options, ...(needsRequire ? { banner: { js: REQUIRE } } : {}) });
  }
}

/**
 * TypeBox is some 350 files, more than all others that a command loads: here it is a handful. What authors import
 * (`src/index.ts`, `src/author`) stays with the package, which is theirs too.
 */
async function joinTypebox(): Promise<void> {
  const folder = join(staging, 'src', 'typebox');
  const entries = new Map<string, string>();
  for (const entry of readdirSync(join(staging, 'src'), { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (!file.endsWith('.js') || /^src\/(?:author\/|index\.js$)/.test(relative(staging, file))) continue;
    const text = readFileSync(file, 'utf8');
    const joined = text.replace(/ from 'typebox(\/\w+)?';$/gm, (_, part: string | undefined) => {
      const name = part?.slice(1) ?? 'index';
      entries.set(name, `typebox${part ?? ''}`);
      const path = relative(dirname(file), join(folder, `${name}.js`));
      return ` from '${path.startsWith('.') ? path : `./${path}`}';`;
    });
    if (joined !== text) writeFileSync(file, joined);
  }
  await build({
    ...PACKED,
    entryPoints: Object.fromEntries(entries),
    absWorkingDir: root,
    outdir: folder,
    splitting: true,
  });
}

/** What is read as it stands: estates (tool code is bundled where it is used, from TypeScript) and everything but TypeScript. */
function copyAssets(): void {
  for (const entry of readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })) {
    const from = join(entry.parentPath, entry.name);
    const path = from.slice(root.length);
    const verbatim = path.startsWith('src/demo/estate/') || path.startsWith('src/chaos/estate/') || path.includes('/templates/');
    if (!entry.isFile() || path.includes('/node_modules/') || (path.endsWith('.ts') && !verbatim)) continue;
    mkdirSync(dirname(join(staging, path)), { recursive: true });
    copyFileSync(from, join(staging, path));
  }
}

rmSync(staging, { recursive: true, force: true });
compile();
await bundleWorkers();
await joinTypebox();
copyAssets();
rmSync(dist, { recursive: true, force: true });
renameSync(staging, dist);
