// `npm run fuzz [-- seconds [seed]]`: the properties of `fuzz`, round after round, and the memory of the server after each.
// Not responsible for the properties. Prints the seed first, so that a failure can be had again.
// Invariant: bounded in time; a heap that grows from round to round fails the run.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { serve } from '../helpers/runtime.ts';
import { fuzz, FUZZ_ESTATE } from './fuzz.ts';

const SECONDS = Number(process.argv[2] ?? 30);
const SEED = Number(process.argv[3] ?? Date.now() % 2_147_483_647);
const GROWTH_BYTES = 16 * 1_048_576;
const ROUND_RUNS = 200;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heap(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

const closers: (() => unknown)[] = [];
const t = {
  teardown: (close: () => unknown) => void closers.push(close),
  comment: (text: string) => void process.stderr.write(`${text}\n`),
};
process.stdout.write(`seed ${SEED}, ${SECONDS} s: again with npm run fuzz -- ${SECONDS} ${SEED}\n`);
const served = await serve(t as never, FUZZ_ESTATE);
try {
  const until = Date.now() + SECONDS * 1000;
  const heaps: number[] = [];
  // The first round fills what is filled once: compiled code, pools, caches.
  for (let round = 0; round < 2 || Date.now() < until; round += 1) {
    const left = Math.max(until - Date.now(), 4000);
    await fuzz(served, { seed: SEED + round, runs: ROUND_RUNS, withinMs: left / 4 });
    served.logs.length = 0;
    heaps.push(heap());
  }
  const grown = (heaps.at(-1) ?? 0) - (heaps[1] ?? 0);
  process.stdout.write(
    `${heaps.length} rounds of 4 x ${ROUND_RUNS}, heap ${heaps.map((bytes) => (bytes / 1_048_576).toFixed(1)).join(' ')} MiB\n`,
  );
  if (grown > GROWTH_BYTES) {
    process.stdout.write(`the heap grew by ${grown} bytes\n`);
    process.exitCode = 1;
  }
} finally {
  for (const close of closers.toReversed()) await close();
}
