// The limits of a tenant, each of them met by real tools in real hosts, on the defaults where the limit is a quota.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { toolset } from '../helpers/estate.ts';
import { serve } from '../helpers/runtime.ts';

const GREEDY = toolset(`
  ok: defineTool({ description: 'ok', handler: () => 'ok' }),
  array: defineTool({ description: 'a', handler: () => { const all = []; for (let n = 0; ; n += 1) all.push(n); } }),
  spread: defineTool({ description: 'a', handler: () => { let all = [1]; for (;;) all = [...all, ...all]; } }),
  map: defineTool({ description: 'm', handler: () => { const all = new Map(); for (let n = 0; ; n += 1) all.set(n, n); } }),
  set: defineTool({ description: 's', handler: () => { const all = new Set(); for (let n = 0; ; n += 1) all.add(n); } }),
  keys: defineTool({ description: 'k', handler: () => { const all: any = {}; for (let n = 0; ; n += 1) all['k' + n] = n; } }),
  text: defineTool({ description: 't', handler: () => { let text = 'x'; for (;;) text = text + text.slice(0, 1000) + text.at(-1); } }),
  chain: defineTool({ description: 'c', handler: () => { let chain: unknown; for (let n = 0; ; n += 1) chain = { chain, n: 'n' + n }; } }),
  parsed: defineTool({ description: 'p', handler: () => { const all = []; for (;;) all.push(JSON.parse('[' + '{"a":[1,2,3]},'.repeat(999) + '1]')); } }),
  promises: defineTool({ description: 'q', async handler() { const all = []; for (;;) all.push(new Promise(() => {})); } }),
  buffers: defineTool({ description: 'b', handler: () => { const all = []; for (;;) all.push(new Uint8Array(1048576).fill(1)); } }),
  spin: defineTool({ description: 'spin', handler: () => { for (;;); } }),
  turns: defineTool({ description: 'turns', async handler() { const until = Date.now() + 1500; while (Date.now() < until) await new Promise((go) => setTimeout(go, 0)); return 'turned'; } }),
`);
const SHAPES = ['array', 'spread', 'map', 'set', 'keys', 'text', 'chain', 'parsed', 'promises', 'buffers'];

t.test('memory is a quota of the thread: no shape of greed ends the host', async (t) => {
  const served = await serve(t, {
    tenants: { acme: { tools: { 'g.ts': GREEDY } }, globex: { tools: { 'g.ts': GREEDY } } },
  });
  t.equal((await served.call('globex', 'ok')).text, 'ok');
  for (const shape of SHAPES) {
    const greedy = await served.call('acme', shape);
    t.equal(greedy.error?.code, 'heap_limit', shape);
    t.match(greedy.text, /its limit (?:heapMb|offHeapMb) \(64 MiB\)/, `${shape}: the refusal names the limit and its value`);
    t.equal((await served.retry('acme', 'ok')).text, 'ok', `${shape}: the next call of the tenant works`);
    t.equal((await served.call('globex', 'ok')).text, 'ok', `${shape}: the neighbour in the same host lost nothing`);
  }
  t.match((await served.call('acme', 'buffers')).text, /offHeapMb/, 'buffers count outside the heap');
  t.same(
    served.logs.filter((line) => line.includes('host died')),
    [],
    'every host is the one that it was',
  );
  const records = (await served.audit('acme')).filter(({ code }: { code?: string }) => code === 'heap_limit');
  t.equal(records.length, SHAPES.length + 1, 'each is in the audit');
});

t.test('a thread that does not pause is ended, one that does may work on', async (t) => {
  const served = await serve(t, {
    tenants: { acme: { tenant: { limits: { runMs: 500 } }, tools: { 'g.ts': GREEDY } } },
  });
  const spun = await served.call('acme', 'spin');
  t.equal(spun.error?.code, 'run_limit');
  t.match(spun.text, 'runMs (500 ms)');
  t.equal(spun.error?.nextAction.do, 'retry');
  t.equal((await served.retry('acme', 'turns')).text, 'turned', 'three times runMs, with pauses');
  await served.runtime.flush();
  t.match(readFileSync(join(served.dataDir, 'logs', 'acme.jsonl'), 'utf8'), 'run_limit', 'the author is told');
});
