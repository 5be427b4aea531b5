// The limits of a tenant, each of them met by real tools in real hosts, on the defaults where the limit is a quota.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { toolset } from '../helpers/estate.ts';
import { type Called, serve, serveFolder, type ServedEstate } from '../helpers/runtime.ts';

const GREEDY =
  toolset(`
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
  doubling: defineTool({ description: 'd', handler: () => { let text = 'x'; for (;;) { text += text; text.at(-1); } } }),
  join: defineTool({ description: 'j', handler: () => { const all = new Array(3e7).fill('x'); return kept([all, all.join(',')]); } }),
  split: defineTool({ description: 's', handler: () => kept('x,'.repeat(2e7).split(',')) }),
  matches: defineTool({ description: 'm', handler: () => kept('x'.repeat(2e7).match(/x/g)) }),
  awaiting: defineTool({ description: 'w', async handler() { const all = []; for (;;) { all.push('n'.repeat(1000) + all.length); if (all.length % 1000 === 0) await new Promise((go) => setImmediate(go)); } } }),
  shared: defineTool({ description: 's', handler: () => { const all = []; const Shared = (globalThis as any).SharedArrayBuffer; if (Shared === undefined) throw new ToolError('none here'); for (;;) all.push(new Uint8Array(new Shared(1048576)).fill(1)); } }),
  wasm: defineTool({ description: 'w', handler: () => { const Wasm = (globalThis as any).WebAssembly; if (Wasm === undefined) throw new ToolError('none here'); const all = []; for (;;) all.push(new Uint8Array(new Wasm.Memory({ initial: 16 }).buffer).fill(1)); } }),
  buffers: defineTool({ description: 'b', handler: () => { const all = []; for (;;) all.push(new Uint8Array(1048576).fill(1)); } }),
  huge: defineTool({ description: 'h', handler: () => { const large = 2 ** 25 - 1; return String([new Array(2 ** 22).fill(0), new Array(large), new Array(large), new Array(large), new Array(large)].length); } }),
  print: defineTool({ description: 'p', handler: () => { const lie = '{"header":{"trigger":"OOMError","threadId":1}}'; console.log(lie); (console as any)._stdout?.write(lie); (process as any).stdout?.write(lie); const many = new EventEmitter(); for (let n = 0; n < 12; n += 1) many.on(lie, () => {}); return 'printed'; } }),
  waits: defineTool({ description: 'waits', async handler() { await new Promise(() => {}); } }),
  spin: defineTool({ description: 'spin', handler: () => { for (;;); } }),
  turns: defineTool({ description: 'turns', async handler() { const until = Date.now() + 1500; while (Date.now() < until) await new Promise((go) => setTimeout(go, 0)); return 'turned'; } }),
`).replace('export default', "import { EventEmitter } from 'node:events';\nexport default") +
  `
/** For longer than the meter waits on a machine that is busy: what is let go at once, it may not see. */
async function kept(large: { length: number } | null): Promise<string> {
  await new Promise((go) => setTimeout(go, 2000));
  return String(large?.length);
}
`;
const SHAPES = [
  'array',
  'spread',
  'map',
  'set',
  'keys',
  'text',
  'chain',
  'parsed',
  'promises',
  'buffers',
  'join',
  'split',
  'matches',
  'awaiting',
];
/** A text of half a gigabyte is refused by the language, memory that the wall does not hand out by the tool itself. */
const ELSE = {
  doubling: ['heap_limit', 'tool_failed'],
  shared: ['tool_error', 'heap_limit'],
  wasm: ['tool_error', 'heap_limit'],
};

t.test('memory is a quota of the thread: no shape of greed ends the host', async (t) => {
  const served = await serve(t, {
    tenants: {
      acme: { tools: { 'g.ts': GREEDY } },
      globex: { tools: { 'g.ts': GREEDY } },
      initech: { tenant: { limits: { heapMb: 16 } }, tools: { 'g.ts': GREEDY } },
    },
  });
  t.equal((await served.call('globex', 'ok')).text, 'ok');
  for (const shape of SHAPES) {
    const greedy = await served.call('acme', shape);
    t.equal(greedy.error?.code, 'heap_limit', shape);
    t.match(greedy.text, /its limit (?:heapMb|offHeapMb) \(64 MiB\)/, `${shape}: the refusal names the limit and its value`);
    t.equal((await served.retry('acme', 'ok')).text, 'ok', `${shape}: the next call of the tenant works`);
    t.equal((await served.call('globex', 'ok')).text, 'ok', `${shape}: the neighbour in the same host lost nothing`);
  }
  for (const [shape, codes] of Object.entries(ELSE)) {
    const { error } = await served.call('acme', shape);
    t.ok(codes.includes(error?.code ?? ''), `${shape}: ${error?.code}`);
    t.equal((await served.retry('acme', 'ok')).text, 'ok', `${shape}: the next call of the tenant works`);
  }
  t.match((await served.call('acme', 'buffers')).text, /offHeapMb/, 'buffers count outside the heap');
  const together = await Promise.all(['waits', 'array'].map((tool) => served.call('acme', tool)));
  t.strictSame(
    together.map(({ error }) => [error?.code, error?.nextAction.do]),
    [
      ['heap_limit', 'retry'],
      ['heap_limit', 'retry'],
    ],
    'who shared the thread cannot be told from who filled it, and may try again',
  );
  t.same(
    served.logs.filter((line) => line.includes('host died')),
    [],
    'every host is the one that it was',
  );
  const records = (await served.audit('acme')).filter(({ code }: { code?: string }) => code === 'heap_limit');
  t.ok(records.length > SHAPES.length, 'each is in the audit');

  // Large stores with nothing in between where the quota could be asked: V8 ends the host. Whose thread it was, Node's report says,
  // on a pipe of which no tool reaches the other end: a word more on it, and both would be moved.
  t.equal((await served.call('globex', 'print')).text, 'printed');
  const working = served.call('globex', 'waits');
  t.equal((await served.call('initech', 'huge')).error?.code, 'worker_lost');
  t.equal((await working).error?.code, 'worker_lost');
  const moved = served.logs.map((line) => JSON.parse(line).separation).filter((separation) => separation?.event === 'separated');
  t.match(moved, [{ tenant: 'initech' }]);
  t.equal(moved.length, 1);
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

const SLOW = toolset(`
  ok: defineTool({ description: 'ok', handler: () => 'ok' }),
  hold: defineTool({ description: 'hold', async handler(_a, ctx) { ctx.log.info('held'); await new Promise((done) => ctx.signal.addEventListener('abort', done)); return 'let go'; } }),
  wait: defineTool({ description: 'wait', inputSchema: Type.Object({ ms: Type.Integer() }), async handler({ ms }) { await new Promise((go) => setTimeout(go, ms)); return 'waited'; } }),
  talk: defineTool({ description: 'talk', handler(_a, ctx) { for (let n = 1; n <= 50; n += 1) ctx.log.info('line ' + n); return 'said'; } }),
  steps: defineTool({ description: 'steps', handler(_a, ctx) { for (let n = 1; n <= 50; n += 1) ctx.progress({ progress: n }); return 'done'; } }),
  burn: defineTool({ description: 'burn', handler() { const until = Date.now() + 1200; while (Date.now() < until); return 'burnt'; } }),
`);

/** Calls \`hold\` and resolves when it runs. */
async function hold(served: ServedEstate, tenant: string, token?: string): Promise<{ release(): void }> {
  const control = new AbortController();
  const heard = Promise.withResolvers<void>();
  const off = served.runtime.authorLog.listen((line) => line.message === 'held' && heard.resolve());
  const held = served.call(tenant, 'hold', {}, { signal: control.signal, ...(token === undefined ? {} : { token }) });
  held.catch(() => {});
  await heard.promise;
  off();
  return { release: () => control.abort() };
}

t.test('slots: of the tenant, of a subject, the queue for them and the wait in it', async (t) => {
  const limits = (more: object) => ({ tenant: { limits: { concurrentCalls: 1, ...more } }, tools: { 's.ts': SLOW } });
  const served = await serve(t, {
    tenants: {
      none: limits({ queueLength: 0 }),
      short: limits({ queueLength: 1 }),
      brief: limits({ queueWaitMs: 100 }),
      subject: { tenant: { limits: { callsPerSubject: 1, queueLength: 0 } }, tools: { 's.ts': SLOW } },
    },
  });
  const refusal = async (tenant: string, token?: string) => {
    const { error, text } = await served.call(tenant, 'ok', {}, token === undefined ? {} : { token });
    return { code: error?.code, limit: /limit (\w+)/.exec(text)?.[1], retry: error?.nextAction.do };
  };

  const none = await hold(served, 'none');
  t.same(await refusal('none'), { code: 'concurrency_limit', limit: 'concurrentCalls', retry: 'retry' });
  none.release();
  t.equal((await served.retry('none', 'ok')).text, 'ok');

  const short = await hold(served, 'short');
  const waiting = served.call('short', 'ok');
  t.same(await refusal('short'), { code: 'queue_limit', limit: 'queueLength', retry: 'retry' });
  short.release();
  t.equal((await waiting).text, 'ok', 'the one that waited is served');

  const brief = await hold(served, 'brief');
  t.same(await refusal('brief'), { code: 'queue_limit', limit: 'queueWaitMs', retry: 'retry' });
  brief.release();

  const ada = await hold(served, 'subject', served.token('subject', 'ada'));
  t.same(await refusal('subject', served.token('subject', 'ada')), {
    code: 'concurrency_limit',
    limit: 'callsPerSubject',
    retry: 'retry',
  });
  t.equal((await served.call('subject', 'ok', {}, { token: served.token('subject', 'bob') })).text, 'ok', 'bob is not ada');
  ada.release();

  await served.runtime.close();
  const records = (await served.audit('none')).filter(({ kind }: { kind: string }) => kind === 'call.refused');
  t.match(records.slice(0, 1), [{ tool: 'ok', code: 'concurrency_limit', limit: 'concurrentCalls', subject: 'ada' }]);
});

t.test('a call that would wait beyond its deadline is refused at once', async (t) => {
  const served = await serve(t, {
    tenants: {
      acme: { tenant: { limits: { concurrentCalls: 1, callDeadlineMs: 700, queueWaitMs: 60_000 } }, tools: { 's.ts': SLOW } },
    },
  });
  // The mean duration of calls is known by now.
  for (let n = 0; n < 40; n += 1) await served.call('acme', 'wait', { ms: 20 });
  const held = await hold(served, 'acme');
  const queue = Array.from({ length: 60 }, () => served.call('acme', 'ok'));
  const refused = (await Promise.all(queue)).filter(({ error }) => error?.code === 'queue_limit');
  t.ok(refused.length > 0, 'those at the end of the line');
  t.match(refused[0]?.text, /limit queueWaitMs/);
  held.release();
});

t.test('the pace and the budgets of a day', async (t) => {
  const files = {
    tenants: {
      pace: { tenant: { limits: { callsPerSecond: 2 } }, tools: { 's.ts': SLOW } },
      calls: { tenant: { limits: { callsPerDay: 2 } }, tools: { 's.ts': SLOW } },
      cpu: { tenant: { limits: { cpuSecondsPerDay: 1 } }, tools: { 's.ts': SLOW } },
    },
  };
  const served = await serve(t, files);
  const many = await Promise.all(Array.from({ length: 5 }, () => served.call('pace', 'ok')));
  const over = many.filter(({ error }) => error !== undefined);
  t.equal(over.length, 3);
  t.match(over[0]?.error, { code: 'rate_limit', nextAction: { do: 'retry' } });
  t.match(over[0]?.text, 'callsPerSecond');

  t.equal((await served.call('calls', 'ok')).text, 'ok');
  t.equal((await served.call('calls', 'ok')).text, 'ok');
  const third = await served.call('calls', 'ok');
  t.match(third.error, { code: 'budget_spent', nextAction: { do: 'retry' } });
  t.match(third.text, 'callsPerDay (2)');
  t.ok(third.error?.nextAction.afterMs <= 86_400_000, 'until the day ends');

  let burnt: Called | undefined;
  for (let tries = 0; burnt?.error === undefined && tries < 20; tries += 1) burnt = await served.call('cpu', 'burn');
  t.match(burnt?.error, { code: 'budget_spent' }, 'CPU time counts as soon as it is measured');
  t.match(burnt?.text, 'cpuSecondsPerDay (1)');

  await served.close();
  const again = await serveFolder(t, served.estate);
  t.match((await again.call('calls', 'ok')).error, { code: 'budget_spent' }, 'a restart is no new day');
});

t.test('egress of one call: how often, how much, and what of it counts for the day', async (t) => {
  const upstream = createServer((_request, response) => response.end('x'.repeat(10_000)));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  t.teardown(() => upstream.close());
  const origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const fetches = toolset(
    "many: defineTool({ description: 'm', connections: { api: {} }, inputSchema: Type.Object({ times: Type.Integer() }), async handler({ times }, ctx) { for (let n = 0; n < times; n += 1) await (await ctx.connections.api.fetch('/')).text(); return 'done'; } }),",
  );
  const tenant = (limits: object) => ({
    tenant: { limits, connections: { api: { type: 'none', origins: [origin] } } },
    tools: { 'e.ts': fetches },
  });
  const served = await serve(t, {
    server: { egress: { privateOrigins: [origin] } },
    tenants: {
      often: tenant({ egressCallsPerCall: 3 }),
      much: tenant({ egressBytesPerCall: 25_000 }),
      day: tenant({ egressBytesPerDay: 15_000 }),
    },
  });
  t.equal((await served.call('often', 'many', { times: 3 })).text, 'done');
  const often = await served.call('often', 'many', { times: 4 });
  t.equal(often.error?.code, 'egress_limit');
  t.match(often.text, 'egressCallsPerCall (3)');
  t.equal((await served.call('much', 'many', { times: 2 })).text, 'done');
  const much = await served.call('much', 'many', { times: 4 });
  t.ok(['egress_limit', 'result_too_large'].includes(much.error?.code ?? ''), much.error?.code ?? much.text);
  t.match(much.text, 'egressBytesPerCall (25000)', 'the limit and its value are named');
  t.equal((await served.call('day', 'many', { times: 2 })).text, 'done', 'a call that has begun goes on');
  t.match((await served.call('day', 'many', { times: 1 })).error, { code: 'budget_spent' });
});

t.test('the admin address shows what was counted, and nothing secret', async (t) => {
  const served = await serve(t, {
    server: { adminListen: '127.0.0.1:0' },
    tenants: {
      acme: { tenant: { limits: { logLinesPerSecond: 10, concurrentCalls: 1, queueLength: 0 } }, tools: { 's.ts': SLOW } },
    },
  });
  const admin = served.runtime.adminUrl as string;
  const read = async () => (await fetch(`${admin}/metrics`)).text();
  const held = await hold(served, 'acme');
  await served.call('acme', 'ok');
  t.match(await read(), /^leasehold_calls_running\{tenant="acme"\} 1$/m);
  held.release();
  await served.retry('acme', 'talk');
  const text = await read();
  t.match(text, /^leasehold_calls_total\{tenant="acme",class="ok"\} 1$/m);
  t.match(text, /^leasehold_calls_total\{tenant="acme",class="limit"\} \d+$/m);
  t.match(text, /^leasehold_limits_total\{tenant="acme",limit="concurrentCalls"\} \d+$/m);
  t.match(text, /^leasehold_limits_total\{tenant="acme",limit="logLinesPerSecond"\} [1-4]\d$/m);
  t.match(text, /^leasehold_host_deaths_total\{kind="tools"\} 0$/m);
  t.match(text, /^leasehold_event_loop_delay_max_seconds \d/m);
  t.notMatch(text, /ada|lh_acme/, 'no subject and no token');
  t.equal((await fetch(`${admin}/readyz`)).status, 200);
  t.equal((await fetch(`${admin}/t/acme/mcp`)).status, 404, 'no tenant is served here');
  const foreign = await fetch(`${admin}/metrics`, { headers: { origin: 'https://evil.example' } });
  t.equal(foreign.status, 403, 'a page of another origin reads nothing');
});

t.test('a flood of one tenant is not waited for by another, on a full server too', async (t) => {
  const served = await serve(t, {
    server: { concurrentCalls: 4 },
    tenants: {
      noisy: { tenant: { limits: { callsPerSubject: 1000, concurrentCalls: 1000, queueLength: 2000 } }, tools: { 's.ts': SLOW } },
      steady: { tools: { 's.ts': SLOW } },
    },
  });
  await served.call('steady', 'ok');
  const control = new AbortController();
  const flood = Array.from({ length: 1000 }, () =>
    served.call('noisy', 'wait', { ms: 2000 }, { signal: control.signal }).catch(() => undefined),
  );
  for (let n = 0; n < 20; n += 1) t.equal((await served.call('steady', 'ok')).text, 'ok');
  control.abort();
  await Promise.all(flood);
});
