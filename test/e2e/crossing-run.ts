// `npm run crossing`: the crossing test in full, 10 000 calls.
// Not responsible for the calls themselves (`crossing`). Prints one line; fails where a call crossed or failed.
import { toolset } from '../helpers/estate.ts';
import { serve } from '../helpers/runtime.ts';
import { CROSSING_TOOL, cross, TENANTS } from './crossing.ts';

const COUNT = Number(process.argv[2] ?? 10_000);
const closers: (() => unknown)[] = [];
const t = {
  teardown: (close: () => unknown) => void closers.push(close),
  comment: (text: string) => void process.stderr.write(`${text}\n`),
};
// As fast as the machine can.
const tenant = { limits: { callsPerSecond: 100_000 } };
const files = { tenant, tools: { 'who.ts': toolset(CROSSING_TOOL) } };
const served = await serve(t as never, { tenants: Object.fromEntries(TENANTS.map((id) => [id, files])) });
const begun = performance.now();
try {
  const { answered, cancelled, crossed, failed } = await cross(served, COUNT);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(
    `${answered} answered, ${cancelled} cancelled, ${failed.length} failed, ${crossed.length} crossed, ${seconds} s\n`,
  );
  for (const one of [...failed, ...crossed].slice(0, 10)) process.stdout.write(`${one}\n`);
  if (crossed.length > 0 || failed.length > 0 || answered + cancelled !== COUNT) process.exitCode = 1;
} finally {
  for (const close of closers.toReversed()) await close();
}
