// The life of a running server: connections, state, swaps, audit, drain. Real hosts, threads, sockets and files.
import { once } from 'node:events';
import { cpSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { toolset, writeTenant } from '../helpers/estate.ts';
import { modern, post } from '../helpers/mcp-wire.ts';
import { killHosts, serve, serveFolder } from '../helpers/runtime.ts';

async function upstream(t: Test): Promise<{
  origin: string;
  seen: string[];
  hang: () => void;
  hung: Promise<void>;
  posted: () => Promise<unknown>;
  left: () => Promise<unknown>;
}> {
  const seen: string[] = [];
  const hung = Promise.withResolvers<void>();
  let release = (): void => {};
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    if (request.method === 'POST') server.emit('posted');
    if (request.url === '/hang') {
      hung.resolve();
      response.on('close', () => server.emit('left'));
      release = () => response.end('{}');
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.statusCode = request.url === '/missing' ? 404 : 200;
    response.end(JSON.stringify({ url: request.url, method: request.method }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    hang: () => release(),
    hung: hung.promise,
    posted: () => once(server, 'posted'),
    left: () => once(server, 'left'),
  };
}

const FETCHES = toolset(`
  get: defineTool({ description: 'get', connections: { api: {} }, inputSchema: Type.Object({ path: Type.String() }), async handler({ path }, ctx) { const r = await ctx.connections.api.fetch(path); return r.status + ' ' + (await r.text()); } }),
  json: defineTool({ description: 'json', connections: { api: {} }, async handler(_a, ctx) { return JSON.stringify(await ctx.connections.api.json('/ok')); } }),
  missing: defineTool({ description: 'missing', connections: { api: {} }, async handler(_a, ctx) { try { await ctx.connections.api.json('/missing'); } catch (e: any) { return e.class + ' ' + e.code; } return 'none'; } }),
  outside: defineTool({ description: 'outside', connections: { api: {} }, async handler(_a, ctx) { await ctx.connections.api.fetch('http://127.0.0.1:1/x'); return 'sent'; } }),
  undeclared: defineTool({ description: 'undeclared', async handler(_a, ctx) { return String((ctx.connections as any).api); } }),
  effect: defineTool({ description: 'effect', connections: { api: {} }, async handler(_a, ctx) { await ctx.connections.api.fetch('/write', { method: 'POST', body: 'x' }); for (;;); } }),
  harmless: defineTool({ description: 'harmless', annotations: { idempotentHint: true }, connections: { api: {} }, async handler(_a, ctx) { await ctx.connections.api.fetch('/write', { method: 'POST', body: 'x' }); for (;;); } }),
  note: rest({ description: 'note', connection: 'api', method: 'POST', path: '/notes/{id}', inputSchema: Type.Object({ id: Type.String(), text: Type.String() }), body: ['text'] }),
  viaNote: defineTool({ description: 'viaNote', async handler(_a, ctx) { await ctx.call('note', { id: 'a', text: 'b' }); for (;;); } }),
  forget: defineTool({ description: 'forget', connections: { api: {} }, handler(_a, ctx) { void ctx.connections.api.fetch('/hang').catch(() => {}); return new Promise((r) => setTimeout(() => r('done'), 300)); } }),
  wait: defineTool({ description: 'wait', connections: { api: {} }, async handler(_a, ctx) { return await (await ctx.connections.api.fetch('/hang')).text(); } }),
`);

t.test('tools reach their connections through the egress host, and only those', async (t) => {
  const api = await upstream(t);
  const connections = { api: { type: 'none', origins: [api.origin] } };
  const served = await serve(t, {
    server: { egress: { privateOrigins: [api.origin] } },
    tenants: { acme: { tenant: { connections }, tools: { 'f.ts': FETCHES } } },
  });
  const call = (tool: string, args = {}) => served.call('acme', tool, args);
  t.equal((await call('get', { path: '/ok' })).text, '200 {"url":"/ok","method":"GET"}');
  t.match((await call('get', { path: '/missing' })).text, /^404 /, 'fetch resolves for every status');
  t.strictSame(JSON.parse((await call('json')).text), { url: '/ok', method: 'GET' });
  t.equal((await call('missing')).text, 'upstream upstream_error', 'json checks the status');
  t.equal((await call('outside')).error?.code, 'egress_denied');
  t.equal((await call('undeclared')).text, 'undefined');
  t.match((await call('note', { id: '..', text: 'x' })).raw, /arguments_invalid|egress_denied/);
  t.ok((await call('note', { id: 'n1', text: 'x' })).result.content);
  for (const [tool, code, why] of [
    ['effect', 'outcome_unknown', 'a request that must not be repeated had left'],
    ['viaNote', 'outcome_unknown', 'also where a nested call sent it'],
    ['harmless', 'worker_lost', 'a tool declared idempotent can simply be called again'],
  ] as const) {
    const sent = api.posted();
    const lost = served.call('acme', tool);
    await sent;
    killHosts('tools');
    t.equal((await lost).error?.code, code, `${tool}: ${why}`);
  }
  const records = await served.audit('acme');
  const egress = records.find((record) => record.kind === 'egress.request' && record.method === 'POST');
  t.ok(
    records.some((record) => record.kind === 'call.request' && record.id === egress.parent),
    'egress is recorded under its call',
  );
  t.notOk(api.seen.some((line) => line.includes('..')));
});

t.test('a request that nobody waits for ends with its call', async (t) => {
  const api = await upstream(t);
  const connections = { api: { type: 'none', origins: [api.origin] } };
  const served = await serve(t, {
    server: { egress: { privateOrigins: [api.origin] } },
    tenants: { acme: { tenant: { connections }, tools: { 'f.ts': FETCHES } } },
  });
  t.match((await served.call('acme', 'get', { path: '/ok' })).text, /^200/, 'both hosts are up');
  const left = api.left();
  t.equal((await served.call('acme', 'forget')).text, 'done');
  await left;
});

t.test('a caller who goes away cancels the call, its egress included', async (t) => {
  const api = await upstream(t);
  const connections = { api: { type: 'none', origins: [api.origin] } };
  const served = await serve(t, {
    server: { egress: { privateOrigins: [api.origin] } },
    tenants: { acme: { tenant: { connections, limits: { concurrentCalls: 1, queueLength: 0 } }, tools: { 'f.ts': FETCHES } } },
  });
  const abort = new AbortController();
  const { body, headers } = modern('tools/call', { name: 'wait', arguments: {} });
  const gone = fetch(served.endpoint('acme'), {
    method: 'POST',
    signal: abort.signal,
    body,
    headers: {
      ...(headers as Record<string, string>),
      authorization: `Bearer ${served.token('acme')}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
  }).catch(() => 'gone');
  await api.hung;
  t.equal((await served.call('acme', 'get', { path: '/ok' })).error?.code, 'concurrency_limit', 'the one slot is taken');
  abort.abort();
  t.equal(await gone, 'gone');
  t.match((await served.retry('acme', 'get', { path: '/ok' })).text, /^200/, 'and free again');
  const outcome = (await served.audit('acme')).find((record) => record.kind === 'call.outcome' && record.tool === 'wait');
  t.equal(outcome?.code, 'cancelled');
});

const STATE = toolset(`
  put: defineTool({ description: 'put', inputSchema: Type.Object({ v: Type.String() }), async handler({ v }, ctx) { await ctx.store.subject.set('v', v); await ctx.store.tenant.set('last', v); return 'ok'; } }),
  got: defineTool({ description: 'got', async handler(_a, ctx) { return JSON.stringify([(await ctx.store.subject.get('v')) ?? null, (await ctx.store.tenant.get('last')) ?? null]); } }),
  large: defineTool({ description: 'large', async handler(_a, ctx) { await ctx.store.tenant.set('x', 'y'.repeat(70000)); return 'ok'; } }),
  log: defineTool({ description: 'log', inputSchema: Type.Object({ n: Type.Integer() }), async handler({ n }, ctx) { ctx.log.info('first ' + n); await ctx.store.subject.get('x'); console.log('second ' + n); await deep(n); return 'ok'; } }),
`).replace(
  'export default',
  'async function deep(n: number) { await null; getContext().log.warn("third " + n); }\nexport default',
);

t.test('state is kept per tenant and subject, and log lines find their call', async (t) => {
  const tools = { 's.ts': STATE };
  const served = await serve(t, { tenants: { acme: { tools }, globex: { tools } } });
  const bob = { token: served.token('acme', 'bob') };
  t.equal((await served.call('acme', 'put', { v: 'one' })).text, 'ok');
  t.strictSame(JSON.parse((await served.call('acme', 'got')).text), ['one', 'one']);
  t.strictSame(JSON.parse((await served.call('acme', 'got', {}, bob)).text), [null, 'one']);
  t.strictSame(JSON.parse((await served.call('globex', 'got')).text), [null, null]);
  t.equal((await served.call('acme', 'large')).error?.code, 'store_quota');
  await Promise.all([1, 2, 3, 4, 5].map((n) => served.call('acme', 'log', { n })));
  await served.runtime.flush();
  const lines = readFileSync(join(served.dataDir, 'logs', 'acme.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const byCall = new Map<string, string[]>();
  for (const { call, message } of lines.filter(({ tool }) => tool === 'log'))
    byCall.set(call, [...(byCall.get(call) ?? []), message]);
  t.equal(byCall.size, 5);
  for (const messages of byCall.values())
    t.equal(new Set(messages.map((message) => message.split(' ')[1])).size, 1, 'three lines of one call');
});

t.test('a changed toolset is swapped in while calls run; a broken one leaves the old one serving', async (t) => {
  const version = (n: number) =>
    toolset(
      `which: defineTool({ description: 'which', handler: () => '${n}' }), slow: defineTool({ description: 'slow', async handler(_a, ctx) { ctx.progress({ progress: 1 }); await new Promise((r) => setTimeout(r, 700)); return (await ctx.call('which', {})) as string; } })`,
    );
  const served = await serve(t, { tenants: { acme: { tools: { 'v.ts': version(1) } } } });
  const changed = (): Promise<unknown> => new Promise((resolve) => served.runtime.registry.onChange(resolve));
  t.equal((await served.call('acme', 'which')).text, '1');
  const slow = served.call('acme', 'slow');
  let next = changed();
  writeTenant(served.estate, 'acme', { tools: { 'v.ts': version(2) } });
  await next;
  t.equal((await served.call('acme', 'which')).text, '2');
  t.match((await slow).text, /1/, 'a call ends on the toolset that it began with');
  next = changed();
  writeTenant(served.estate, 'acme', { tools: { 'v.ts': 'export default {' } });
  await next;
  t.equal((await served.call('acme', 'which')).text, '2');
  const [problem] = served.runtime.registry.get('acme')?.problems ?? [];
  t.match(problem?.file, /tools\/v\.ts$/);
  t.type(problem?.line, 'number');
});

t.test('tools/list wakes no pool; an idle pool has no thread', async (t) => {
  const served = await serve(t, {
    tenants: {
      acme: {
        tenant: { limits: { idleMs: 200 } },
        tools: { 'o.ts': toolset("ok: defineTool({ description: 'ok', handler: () => 'ok' })") },
      },
    },
  });
  const pool = () => served.runtime.registry.get('acme')?.toolset?.code;
  const asleep = async (): Promise<void> => {
    while (pool()?.awake === true) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await asleep();
  const { body, headers } = modern('tools/list');
  t.match((await post(served.endpoint('acme'), served.token('acme'), body, headers)).json?.result?.['tools'], [{ name: 'ok' }]);
  t.equal(pool()?.awake, false);
  t.equal((await served.call('acme', 'ok')).text, 'ok');
  t.equal(pool()?.awake, true);
  await asleep();
  t.equal((await served.call('acme', 'ok')).text, 'ok');
});

t.test('a record tells names and sizes, never values', async (t) => {
  const api = await upstream(t);
  const served = await serve(t, {
    server: { egress: { privateOrigins: [api.origin] } },
    tenants: { acme: { tenant: { connections: { api: { type: 'none', origins: [api.origin] } } }, tools: { 'f.ts': FETCHES } } },
  });
  t.match((await served.call('acme', 'get', { path: '/ok' })).text, /^200/);
  const records = await served.audit('acme');
  const request = records.find((record) => record.kind === 'call.request');
  t.match(request, { tenant: 'acme', subject: 'ada', tool: 'get', args: [{ name: 'path', bytes: 5 }] });
  t.notMatch(JSON.stringify(records), '/ok', 'no value of an argument');
});

t.test('a call that outlasts the drain is answered, and told why it ended', async (t) => {
  const api = await upstream(t);
  const served = await serve(t, {
    server: { egress: { privateOrigins: [api.origin] }, drainMs: 300 },
    tenants: { acme: { tenant: { connections: { api: { type: 'none', origins: [api.origin] } } }, tools: { 'f.ts': FETCHES } } },
  });
  const waiting = served.call('acme', 'wait');
  await api.hung;
  await served.close();
  t.equal((await waiting).error?.code, 'draining');
});

t.test('a lost worker after a write to the store is no reason to call again', async (t) => {
  const tools = toolset(`
    bump: defineTool({ description: 'bump', async handler(_a, ctx) { await ctx.store.tenant.set('n', 1); ctx.log.info('written'); for (;;); } }),
  `);
  const served = await serve(t, { tenants: { acme: { tools: { 's.ts': tools } } } });
  const written = new Promise<void>((resolve) =>
    served.runtime.authorLog.listen(({ message }) => message === 'written' && resolve()),
  );
  const lost = served.call('acme', 'bump');
  await written;
  killHosts('tools');
  t.equal((await lost).error?.code, 'outcome_unknown');
});

t.test('log lines beyond the limit are dropped, and the author is told', async (t) => {
  const tools = toolset(
    `talk: defineTool({ description: 'talk', handler(_a, ctx) { for (let i = 0; i < 9; i += 1) ctx.log.info('line ' + i); return 'ok'; } })`,
  );
  const served = await serve(t, { tenants: { acme: { tenant: { limits: { logLinesPerCall: 3 } }, tools: { 't.ts': tools } } } });
  t.equal((await served.call('acme', 'talk')).text, 'ok');
  await served.runtime.flush();
  const lines = readFileSync(join(served.dataDir, 'logs', 'acme.jsonl'), 'utf8')
    .trim()
    .split('\n');
  t.equal(lines.length, 4);
  t.match(lines[3], /More than 3 lines/);
});

t.test('a copied estate serves its own files', async (t) => {
  const text = (word: string) => toolset(`say: defineTool({ description: 'say', handler: () => '${word}' })`);
  const first = await serve(t, { tenants: { acme: { tools: { 'a.ts': text('original') } } } });
  t.equal((await first.call('acme', 'say')).text, 'original');
  await first.close();
  const copy = join(t.testdir({}), 'copy');
  cpSync(first.estate, copy, { recursive: true });
  writeTenant(copy, 'acme', { tools: { 'a.ts': text('edited!!') } });
  const second = await serveFolder(t, copy);
  t.equal((await second.call('acme', 'say')).text, 'edited!!');
});

t.test('closing waits neither for tools that never end their load, nor for a client that never reads', async (t) => {
  const large = toolset("large: defineTool({ description: 'large', handler: () => 'x'.repeat(7_000_000) })");
  const served = await serve(t, {
    server: { drainMs: 300, limits: { runMs: 600_000 } },
    tenants: { acme: { tenant: { cordon: 'own' } }, globex: { tools: { 'l.ts': large } }, initech: {}, hooli: {} },
  });
  const { body, headers } = modern('tools/call', { name: 'large', arguments: {} });
  const unread = await fetch(served.endpoint('globex'), {
    method: 'POST',
    body,
    headers: {
      ...(headers as Record<string, string>),
      authorization: `Bearer ${served.token('globex')}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
  });
  t.equal(unread.status, 200);
  // More than are bundled at once: others wait behind it.
  for (const id of ['acme', 'initech', 'hooli'])
    writeTenant(served.estate, id, { tenant: { cordon: 'own' }, tools: { 'b.ts': 'for (;;);\n' } });
  while (!served.logs.some((line) => line.includes('own:') && line.includes('host ready')))
    await new Promise((resolve) => setTimeout(resolve, 20));
  const began = performance.now();
  await served.close();
  const tookMs = performance.now() - began;
  t.ok(tookMs < 10_000, `a load has 15 seconds, a drain 0.3; it took ${Math.round(tookMs)} ms`);
  await unread.body?.cancel().catch(() => {});
});

t.test('closing drains: calls under way end, new ones are refused', async (t) => {
  const api = await upstream(t);
  const served = await serve(t, {
    server: { egress: { privateOrigins: [api.origin] }, drainMs: 5000 },
    tenants: { acme: { tenant: { connections: { api: { type: 'none', origins: [api.origin] } } }, tools: { 'f.ts': FETCHES } } },
  });
  const waiting = served.call('acme', 'wait');
  await api.hung;
  const closing = served.close();
  api.hang();
  t.equal((await waiting).text, '{}');
  await closing;
  await t.rejects(fetch(`${served.runtime.url}/healthz`));
});
