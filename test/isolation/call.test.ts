// `isolation: "call"`: every call in a fresh thread of a real host. What one call leaves behind, the next one never finds.
import '../helpers/bare-children.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createHosts } from '../../src/hosts/create-hosts.ts';
import type { CallSink } from '../../src/hosts/pool.ts';
import { DEFAULT_LIMITS } from '../../src/shared/limits.ts';
import { serve } from '../helpers/runtime.ts';
import { OPEN_ON_PURPOSE } from './open-doors.ts';

const STATE = `import { defineTool, defineToolset, Type } from 'leasehold';
  let count = 0;
  const seen: string[] = [];
  const Args = Type.Object({ text: Type.String() });
  const leave = defineTool({ description: 'leaves traces everywhere', inputSchema: Args, handler({ text }, ctx) {
    count += 1;
    seen.push(text);
    (globalThis as any).left = text;
    (Map.prototype as any).left = text;
    (ctx.vars as any).left;
    setInterval(() => { seen.push('timer of ' + text); }, 1);
    Promise.resolve().then(async () => { for (;;) { await new Promise((r) => setTimeout(r, 1)); seen.push('loop of ' + text); } });
    return JSON.stringify({ count, seen, global: null });
  } });
  const look = defineTool({ description: 'finds them', handler: async () => {
    await new Promise((r) => setTimeout(r, 50));
    return JSON.stringify({ count, seen, global: (globalThis as any).left, proto: (Map.prototype as any).left });
  } });
  const outer = defineTool({ description: 'calls the others', inputSchema: Args, handler: async ({ text }, ctx) => {
    await ctx.call(leave, { text });
    const found = JSON.parse(await ctx.call('look', {}) as string);
    return JSON.stringify({ seesItsOwn: found.global === text && found.count === 1 });
  } });
  const slow = defineTool({ description: 'slow', handler: async () => { await new Promise((r) => setTimeout(r, 300)); return String(++count); } });
`;
const ALL = 'tools: { leave, look, outer, slow }';
const EMPTY = { count: 0, seen: [] };

void t.test('a tenant with isolation "call": nothing is left for the next call', async (t) => {
  const tools = { 's.ts': `${STATE} export default defineToolset({ ${ALL} });` };
  const served = await serve(t, { tenants: { acme: { tenant: { isolation: 'call', limits: { threads: 2 } }, tools } } });
  const json = async (tool: string, args = {}) => JSON.parse((await served.call('acme', tool, args)).text);
  t.match(await json('leave', { text: 'secret of ada' }), { count: 1 });
  t.strictSame(await json('look'), EMPTY);
  t.match(await json('leave', { text: 'secret of bob' }), { count: 1, seen: ['secret of bob'] });
  t.strictSame(await json('look'), EMPTY);
  t.same(await json('outer', { text: 'nested' }), { seesItsOwn: true }, 'a nested call belongs to its request');
  t.strictSame(await json('look'), EMPTY);
  const together = await Promise.all(Array.from({ length: 6 }, () => served.call('acme', 'slow')));
  t.same(
    together.map(({ text }) => text),
    ['1', '1', '1', '1', '1', '1'],
    'more calls than threads: each in a fresh one',
  );
  const deep = await Promise.all(Array.from({ length: 6 }, (_, n) => json('outer', { text: `deep ${n}` })));
  t.ok(
    deep.every(({ seesItsOwn }) => seesItsOwn),
    'nested calls never wait for the thread that waits for them',
  );
});

void t.test('a toolset with isolation "call" beside one that shares', async (t) => {
  const tools = {
    'call.ts': `${STATE} export default defineToolset({ isolation: 'call', ${ALL} });`,
    'thread.ts': `import { defineTool, defineToolset } from 'leasehold';
      let n = 0;
      const shared = defineTool({ description: 'counts', handler: () => String(++n) });
      const through = defineTool({ description: 'asks the other', handler: async (_a, ctx) => (await ctx.call('look', {})) as string });
      export default defineToolset({ tools: { shared, through } });`,
  };
  const served = await serve(t, { tenants: { acme: { tools } } });
  const text = async (tool: string, args = {}) => (await served.call('acme', tool, args)).text;
  t.equal(await text('shared'), '1');
  t.match(JSON.parse(await text('leave', { text: 'x' })), { count: 1 });
  t.strictSame(JSON.parse(await text('look')), EMPTY);
  t.strictSame(JSON.parse(await text('through')), EMPTY);
  t.equal(await text('shared'), '2', 'the default shares module state within a tenant');
  const broken = await serve(t, {
    tenants: {
      acme: {
        tools: {
          'b.ts': `import { defineToolset } from 'leasehold'; export default defineToolset({ isolation: 'all' as any });`,
        },
      },
    },
  });
  t.match(broken.runtime.registry.get('acme')?.problems, [{ reason: /`isolation` must be "thread" or "call"/ }]);
});

void t.test('every door is closed in a thread for one call too', async (t) => {
  const hosts = createHosts({ runDir: join(t.testdir(), 'run') });
  t.teardown(() => hosts.close(0));
  const script = readFileSync(new URL('../fixtures/tools/doors.cjs', import.meta.url));
  const spec = {
    tenant: 'acme',
    cordon: 'shared',
    bundle: '3f2a91c0aabbccdd',
    vars: {},
    limits: { ...DEFAULT_LIMITS, heapMb: 96, offHeapMb: 512 },
  };
  const pool = hosts.toolsPool({ ...spec, isolation: 'call', script: async () => script });
  const context = { tenant: 'acme', subject: 'ada', scopes: [], requestId: 'R', traceparent: '00-0-0-01', depth: 0 };
  const knock = (tool: string) =>
    new Promise<unknown>((resolve) => {
      const sink: CallSink = {
        request: () => {},
        notice: () => {},
        end: (outcome, body) =>
          resolve(
            outcome.status === 'ok' && body instanceof Uint8Array
              ? JSON.parse(Buffer.from(body).toString()).structuredContent
              : outcome,
          ),
      };
      pool.call({ kind: 'tool', name: tool }, { ...context, deadline: Date.now() + 60_000 }, Buffer.from('{}'), sink);
    });
  t.same(await knock('knock_all'), { items: [...OPEN_ON_PURPOSE] });
  t.same(await knock('knock_all'), { items: [...OPEN_ON_PURPOSE] }, 'and in the next thread again');
});
