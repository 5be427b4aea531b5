// A short run of the fuzzer with a seed of its own each time; `npm run fuzz` has the long one.
import t from 'tap';
import { fuzz, FUZZ_ESTATE } from '../fuzz/fuzz.ts';
import { serve } from '../helpers/runtime.ts';

t.test('nothing that a client sends makes a 5xx, a hang or a crash', async (t) => {
  const seed = Date.now() % 2_147_483_647;
  t.comment(`seed ${seed}`);
  const served = await serve(t, FUZZ_ESTATE);
  await fuzz(served, { seed, runs: 60, withinMs: 5000 });
  t.pass();
});
