// What a caller gets from code tools through the whole path: results, failures, lost workers. Real hosts, threads, sockets.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { toolset } from '../helpers/estate.ts';
import { serve } from '../helpers/runtime.ts';

const RESULTS = toolset(`
  text: defineTool({ description: 'text', handler: () => 'plain' }),
  nothing: defineTool({ description: 'nothing', handler: () => {} }),
  block: defineTool({ description: 'block', handler: () => ({ type: 'text', text: 'one' }) }),
  blocks: defineTool({ description: 'blocks', handler: () => [{ type: 'text', text: 'one' }, { type: 'image', data: 'AA==', mimeType: 'image/png' }] }),
  data: defineTool({ description: 'data', outputSchema: Type.Object({ content: Type.String() }), handler: () => ({ content: 'is data here' }) }),
  full: defineTool({ description: 'full', handler: () => result({ content: [{ type: 'text', text: 'full' }], structuredContent: { a: 1 }, _meta: { 'acme.example/x': 1 } }) }),
  unfit: defineTool({ description: 'unfit', outputSchema: Type.Object({ n: Type.Integer() }), handler: () => ({ n: 'no' }) }),
  defaults: defineTool({ description: 'defaults', inputSchema: Type.Object({ q: Type.String(), limit: Type.Optional(Type.Integer({ default: 20, maximum: 50 })) }), handler: (args) => JSON.stringify(args) }),
  vars: defineTool({ description: 'vars', handler: (_args, ctx) => JSON.stringify({ vars: ctx.vars, tenant: ctx.tenant, subject: ctx.subject }) }),
`);

t.test('results have one table of shapes', async (t) => {
  const served = await serve(t, { tenants: { acme: { tenant: { vars: { owner: 'acme' } }, tools: { 'r.ts': RESULTS } } } });
  const call = (tool: string, args = {}) => served.call('acme', tool, args);
  t.strictSame((await call('text')).result?.content, [{ type: 'text', text: 'plain' }]);
  t.strictSame((await call('nothing')).result?.content, []);
  t.strictSame((await call('block')).result?.content, [{ type: 'text', text: 'one' }]);
  t.equal((await call('blocks')).result?.content.length, 2);
  const data = (await call('data')).result;
  t.strictSame(data?.structuredContent, { content: 'is data here' });
  t.strictSame(data?.content, [{ type: 'text', text: '{"content":"is data here"}' }]);
  const full = (await call('full')).result;
  t.strictSame(full?.structuredContent, { a: 1 });
  t.equal(full?._meta['acme.example/x'], 1);
  const unfit = await call('unfit');
  t.equal(unfit.error?.code, 'result_invalid');
  t.strictSame(JSON.parse((await call('defaults', { q: 'x' })).text), { q: 'x', limit: 20 });
  const wrong = await call('defaults', { q: 1 });
  t.equal(wrong.error?.code, 'arguments_invalid');
  t.equal(wrong.error?.nextAction.path, '/q');
  t.match(wrong.text, /q/);
  t.strictSame(JSON.parse((await call('vars')).text), { vars: { owner: 'acme' }, tenant: 'acme', subject: 'ada' });
});

const FAILURES = toolset(`
  said: defineTool({ description: 'said', handler: () => { throw new ToolError('no open issue', { code: 'nothing_to_close', data: { n: 0 } }); } }),
  hidden: defineTool({ description: 'hidden', handler: () => { throw new TypeError('internal detail 4711'); } }),
  nul: defineTool({ description: 'nul', handler: () => { throw null; } }),
  fn: defineTool({ description: 'fn', outputSchema: Type.Any(), handler: () => (() => 1) as never }),
  cycle: defineTool({ description: 'cycle', outputSchema: Type.Any(), handler: () => { const a: any = {}; a.a = a; return a; } }),
  big: defineTool({ description: 'big', outputSchema: Type.Any(), handler: () => 10n as never }),
  never: defineTool({ description: 'never', timeoutMs: 300, handler: () => new Promise<string>(() => {}) }),
  spin: defineTool({ description: 'spin', timeoutMs: 300, handler: () => { for (;;); } }),
  late: defineTool({ description: 'late', handler: () => { setTimeout(() => { throw new Error('late'); }, 1); return 'early'; } }),
  rejects: defineTool({ description: 'rejects', handler: () => { void Promise.reject(new Error('unheard')); return 'fine'; } }),
  exit: defineTool({ description: 'exit', handler: () => { (globalThis as any).process.exit(3); return 'x'; } }),
  heap: defineTool({ description: 'heap', handler: () => { const all: unknown[] = []; for (;;) all.push({ n: [1, 2, 3] }); } }),
  array: defineTool({ description: 'array', handler: () => { const m = new Map(); for (let i = 0; ; i += 1) m.set(i, i); } }),
  ok: defineTool({ description: 'ok', handler: () => 'ok' }),
`);

t.test('a tool that misbehaves gets a coded error, and the next call works', async (t) => {
  const served = await serve(t, {
    tenants: {
      acme: { tools: { 'f.ts': FAILURES } },
      globex: { tools: { 'o.ts': toolset("ok: defineTool({ description: 'ok', handler: () => 'ok' })") } },
    },
  });
  const said = await served.call('acme', 'said');
  t.equal(said.error?.code, 'tool_error');
  t.match(said.text, 'no open issue', 'the words of a ToolError reach the model');
  const hidden = await served.call('acme', 'hidden');
  t.equal(hidden.error?.code, 'tool_failed');
  t.notMatch(hidden.raw, /4711/, 'the words of any other error do not');
  t.match(hidden.raw, hidden.error?.correlationId ?? 'none');
  for (const [tool, codes] of Object.entries({
    nul: ['tool_failed'],
    fn: ['result_invalid', 'tool_failed'],
    cycle: ['result_invalid', 'tool_failed'],
    big: ['result_invalid', 'tool_failed'],
    never: ['deadline_exceeded'],
    spin: ['deadline_exceeded'],
    exit: ['tool_failed', 'worker_lost'],
    heap: ['heap_limit', 'worker_lost'],
    array: ['heap_limit', 'worker_lost'],
  })) {
    const bad = await served.call('acme', tool);
    t.ok(codes.includes(bad.error?.code ?? 'none'), `${tool}: ${bad.error?.code}`);
    t.equal((await served.retry('acme', 'ok')).text, 'ok', `${tool}: the next call of the tenant works`);
    t.equal((await served.retry('globex', 'ok')).text, 'ok', `${tool}: the other tenant works`);
  }
  t.equal((await served.call('acme', 'late')).text, 'early');
  t.equal((await served.retry('acme', 'rejects')).text, 'fine');
  t.equal((await served.retry('acme', 'ok')).text, 'ok');
  await served.runtime.flush();
  const log = readFileSync(join(served.dataDir, 'logs', 'acme.jsonl'), 'utf8');
  t.match(log, /TypeError: internal detail 4711/, 'the author sees the error');
  t.match(log, /tools\/f\.ts:4:/, 'at its position in the source');
});

const NESTED = toolset(`
  leaf: defineTool({ description: 'leaf', inputSchema: Type.Object({ n: Type.Integer() }), outputSchema: Type.Object({ n: Type.Integer() }), handler: ({ n }, ctx) => { ctx.log.info('leaf', { n }); return { n: n + 1 }; } }),
  middle: defineTool({ description: 'middle', inputSchema: Type.Object({ n: Type.Integer() }), outputSchema: Type.Object({ n: Type.Integer() }), async handler({ n }, ctx) { return (await ctx.call('leaf', { n: n + 1 })) as { n: number }; } }),
  root: defineTool({ description: 'root', inputSchema: Type.Object({ n: Type.Integer() }), async handler({ n }, ctx) { return JSON.stringify(await ctx.call('middle', { n })); } }),
  self: defineTool({ description: 'self', async handler(_a, ctx) { await ctx.call('self', {}); return 'x'; } }),
  down: defineTool({ description: 'down', async handler(_a, ctx) { try { await ctx.call('leaf', { n: 'x' } as never); } catch (e: any) { return e.code + ' ' + e.class; } return 'none'; } }),
  many: defineTool({ description: 'many', async handler(_a, ctx) { for (;;) await ctx.store.subject.get('x'); } }),
`);

t.test('nested calls run in the slot of their root and are recorded under it', async (t) => {
  const served = await serve(t, {
    tenants: { acme: { tenant: { limits: { concurrentCalls: 1, operationsPerCall: 20 } }, tools: { 'n.ts': NESTED } } },
  });
  t.strictSame(JSON.parse((await served.call('acme', 'root', { n: 1 })).text), { n: 3 });
  t.equal((await served.call('acme', 'self')).error?.code, 'call_cycle');
  t.equal((await served.call('acme', 'down')).text, 'arguments_invalid input');
  t.equal((await served.call('acme', 'many')).error?.code, 'fanout_limit');
  const records = await served.audit('acme');
  const [root, middle, leaf] = ['root', 'middle', 'leaf'].map((tool) =>
    records.find((r) => r.kind === 'call.request' && r.tool === tool),
  );
  t.equal(root?.depth, 0);
  t.equal(middle?.parent, root?.id);
  t.equal(leaf?.parent, middle?.id);
  t.equal(leaf?.correlation, root?.correlation);
  t.strictSame(middle?.args, [{ name: 'n', bytes: 1 }]);
});
