// Every kind of MCP client against the whole server: real client packages and plain requests, tools in real hosts and threads.
// Not responsible for what a method must answer: the scenarios say it, and are the same that the HTTP edge alone must pass.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { CLIENTS, connectClient } from '../helpers/mcp-clients.ts';
import { admission, legacyWire, modernWire, realClients, type Target } from '../helpers/mcp-scenarios.ts';
import { type ServedEstate, serve } from '../helpers/runtime.ts';
import { toolset } from '../helpers/estate.ts';

const TOOLS = toolset(`
  echo: defineTool({ description: 'echo', inputSchema: Type.Object({ text: Type.String() }), handler: ({ text }) => text }),
  steps: defineTool({ description: 'steps', inputSchema: Type.Object({ count: Type.Integer() }), handler({ count }, ctx) { for (let i = 1; i <= count; i += 1) ctx.progress({ progress: i, total: count }); return 'done'; } }),
  wait: defineTool({ description: 'wait', async handler(_a, ctx) {
    ctx.progress({ progress: 1 });
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
    ctx.log.info('was cancelled');
    return 'late';
  } }),
  city: rest({ description: 'city', inputSchema: Type.Object({ name: Type.String() }), outputSchema: Type.Object({ name: Type.String() }), connection: 'api', method: 'GET', path: '/cities/{name}' }),
  viaCity: defineTool({ description: 'viaCity', inputSchema: Type.Object({ name: Type.String() }), async handler(args, ctx) { return 'nested ' + JSON.stringify(await ctx.call('city', args)); } }),
`);

async function world(t: Test): Promise<{ served: ServedEstate; target: Target }> {
  const api = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: decodeURIComponent((request.url ?? '').split('/')[2] ?? '') }));
  });
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  t.teardown(() => api.close().closeAllConnections());
  const origin = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  const tenant = { connections: { api: { type: 'none', origins: [origin] } } };
  const tools = { 'tools.ts': TOOLS };
  const bodyBytes = 1_048_576;
  const served = await serve(t, {
    server: { egress: { privateOrigins: [origin] }, bodyBytes },
    tenants: { acme: { tenant, tools }, globex: { tenant, tools } },
  });
  const revokedToken = served.token('acme', 'eve');
  for (const { id, subject } of served.vault.tokens.list('acme')) {
    if (subject === 'eve') served.vault.tokens.revoke('acme', id, Date.now());
  }
  const cancelled = async (count: number): Promise<void> => {
    for (;;) {
      const outcomes = (await served.audit('acme')).filter(({ kind, code }) => kind === 'call.outcome' && code === 'cancelled');
      if (outcomes.length >= count) return;
      await delay(20);
    }
  };
  const target: Target = {
    url: served.endpoint('acme'),
    token: served.token('acme'),
    foreignToken: served.token('globex'),
    otherToken: served.token('acme', 'bob'),
    revokedToken,
    bodyBytes,
    tools: {
      ok: { name: 'echo', args: { text: 'héllo' }, text: 'héllo' },
      wrong: { name: 'echo', args: {}, path: '/text', reason: /required/ },
      progress: { name: 'steps', args: { count: 3 }, steps: 3 },
      endless: { name: 'wait', args: {} },
    },
    cancelled,
  };
  return { served, target };
}

t.test('real clients', async (t) => {
  const { served, target } = await world(t);
  await realClients(t, target);
  for (const kind of CLIENTS) {
    await t.test(`${kind}: declared and nested tools`, async (t) => {
      await using client = await connectClient(kind, target.url, target.token);
      const city = await client.call('city', { name: 'Lagos' });
      t.match(city, { structuredContent: { name: 'Lagos' } });
      const nested = await client.call('viaCity', { name: 'São Paulo' });
      t.match(nested.content, [{ type: 'text', text: 'nested {"name":"São Paulo"}' }]);
    });
  }
  const clients = new Set((await served.audit('acme')).map(({ client }) => client).filter((client) => client !== undefined));
  t.ok(clients.size > 0, 'the audit names the clients');
});

t.test('plain requests of 2026-07-28', async (t) => modernWire(t, (await world(t)).target));

t.test('who is let in', async (t) => {
  const { served, target } = await world(t);
  await admission(t, target);
  const denials = (await served.audit('acme')).filter(({ kind }) => kind === 'auth.denied');
  t.ok(
    denials.some(({ reason }) => /revoked/.test(reason)),
    'the exact reason stands in the audit',
  );
  t.ok(denials.some(({ reason }) => /another tenant/.test(reason)));
  t.notMatch(JSON.stringify(denials), /lh_(acme|globex)_/, 'and no token');
});

t.test('plain requests of 2025 sessions', async (t) => legacyWire(t, (await world(t)).target));
