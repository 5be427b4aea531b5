// What a bare worker thread costs that loads the same code: the yardstick of the start and memory figures. A process of its own: with
// a number it starts so many and prints one JSON object, as a child with a channel it starts one whenever it is asked.
// Not responsible for isolation: these workers have none.
// Invariant: the bundle is made of the very tool file that Leasehold serves, with the author's API in it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild-wasm';
import { memoryBytes } from './load/processes.ts';

export interface BareWorkers {
  readonly bytesPerThread: number;
}

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const SOURCES: { readonly [kind: string]: string } = {
  tools: `import toolset from ${JSON.stringify(at('estate/tenants/bench/tools/bench.ts'))}; import { Compile } from 'typebox/compile'; globalThis.kept = [toolset, Compile];`,
  egress: `import { Agent } from 'undici'; globalThis.kept = new Agent();`,
};

async function bundleOf(kind: string, dir: string): Promise<string> {
  const outfile = join(dir, `${kind}.cjs`);
  await build({
    stdin: {
      contents: `${SOURCES[kind]} import { parentPort } from 'node:worker_threads'; parentPort.postMessage(1); setInterval(() => {}, 1e6);`,
      resolveDir: at('..'),
    },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    minifyWhitespace: true,
    minifySyntax: true,
    alias: { leasehold: at('../src/index.ts') },
    tsconfigRaw: {},
    logLevel: 'error',
  });
  return outfile;
}

/** `ms`: from `new Worker` to its first message. */
async function start(file: string): Promise<{ worker: Worker; ms: number }> {
  const begun = performance.now();
  const worker = new Worker(file, { env: {}, resourceLimits: { maxOldGenerationSizeMb: 64 } });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return { worker, ms: performance.now() - begun };
}

async function measure(file: string, count: number): Promise<BareWorkers> {
  const before = memoryBytes(process.pid);
  const workers: Worker[] = [];
  for (let index = 0; index < count; index += 1) workers.push((await start(file)).worker);
  const bytesPerThread = (memoryBytes(process.pid) - before) / count;
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { bytesPerThread };
}

/** Answers each message with the milliseconds of one more start, until the channel closes. */
async function answer(file: string): Promise<void> {
  process.on('message', () => void start(file).then(({ ms }) => process.send?.(ms)));
  process.send?.('ready');
  await new Promise((resolve) => process.once('disconnect', resolve));
}

const [kind = 'tools', count = '10'] = process.argv.slice(2);
const dir = await mkdtemp(join(tmpdir(), 'leasehold-bare-'));
try {
  const file = await bundleOf(kind, dir);
  // The first one pays for what the process loads once.
  const { worker } = await start(file);
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(await measure(file, Number(count)))}\n`);
  else await answer(file);
  await worker.terminate();
} finally {
  await rm(dir, { recursive: true });
}
process.exit();
