// The HTTP edge and the protocol where something goes wrong: clients that vanish, hosts that lie, limits, draining, a taken port.
// Not responsible for what every client must find (scenarios.test.ts).
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import t from 'tap';
import { createHttpServer } from '../../src/server/http-server.ts';
import { PortInUse } from '../../src/server/port-in-use.ts';
import { connectClient } from '../helpers/mcp-clients.ts';
import { TestBackend } from '../helpers/mcp-backend.ts';
import { CONFIG, startServer, TOKENS, DISCOVERY } from '../helpers/mcp-server.ts';
import { events, init, initialize, legacy, modern, post, raw, read, rpc, type RpcMessage } from '../helpers/mcp-wire.ts';

const ADA = TOKENS.acme;
const ERROR = 'leasehold/error';

function head(port: number, sent: { body: string; headers: Record<string, string | undefined> }, more = ''): string {
  const headers = Object.entries(sent.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return (
    `POST /t/acme/mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${ADA}\r\nContent-Type: application/json\r\n` +
    `Accept: application/json, text/event-stream\r\n${headers.join('')}${more}Content-Length: ${Buffer.byteLength(sent.body)}\r\n\r\n${sent.body}`
  );
}

await t.test('clients', async (t) => {
  const server = await startServer(t, { timeouts: { stallMs: 300 } });
  const { backend, port } = server;
  const url = server.endpoint();

  await t.test('a client that goes away without a stream cancels too', async () => {
    const before = backend.calls.length;
    const controller = new AbortController();
    const call = fetch(url, { ...init(ADA, modern('tools/call', { name: 'wait', arguments: {} })), signal: controller.signal });
    await backend.until(() => backend.calls.length > before);
    controller.abort();
    await call.catch(() => undefined);
    await backend.until(() => backend.cancelled.length === 1);
  });

  await t.test('pipelined requests are answered in order', async (t) => {
    const slow = head(port, modern('tools/call', { name: 'steps', arguments: { count: 50 } }, 'slow'));
    const quick = head(port, modern('tools/call', { name: 'echo', arguments: { text: 'x' } }, 'quick'));
    const got = await raw(port, slow + quick, (all) => all.includes('"quick"'));
    t.ok(got.indexOf('"slow"') < got.indexOf('"quick"'));
    t.equal(await raw(port, quick + 'rubbish\r\n\r\n'), '', 'no answer to rubbish is taken for that of the request before it');
    t.match(await raw(port, 'rubbish\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request\r\nConnection: close/);
  });

  await t.test('a large result arrives whole, as JSON and as an event', async (t) => {
    const size = 4 * 1024 * 1024;
    const big = (_meta = {}) => rpc(url, ADA, 'tools/call', { name: 'big', arguments: { kib: 4096 }, _meta });
    t.equal((await big()).json?.result?.content?.[0]?.text.length, size);
    const streamed = await big({ progressToken: 1 });
    t.equal(streamed.headers.get('content-type'), 'text/event-stream');
    t.equal(streamed.json?.result?.content?.[0]?.text.length, size);
    // Of one piece: joined as text, joined as bytes.
    for (const length of [1, 4000, 60_000]) {
      for (const _meta of [{}, { progressToken: 1 }]) {
        const body = JSON.stringify({ content: [{ type: 'text', text: 'é'.repeat(length) }] });
        const got = await rpc(url, ADA, 'tools/call', { name: 'garbage', arguments: { body }, _meta });
        t.equal(got.json?.result?.content?.[0]?.text.length, length);
      }
    }
    const { session } = await initialize(url, ADA);
    const params = { name: 'big', arguments: { kib: 4096 } };
    const old = await legacy(url, ADA, session, { jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    t.equal(old.json?.result?.content?.[0]?.text.length, size);
  });

  await t.test('a client that takes nothing is cut off, one that leaves too, and the result is given up', async (t) => {
    const sent = modern('tools/call', { name: 'big', arguments: { kib: 65_536 } });
    const lazy = connect(port, '127.0.0.1');
    lazy.on('error', () => undefined);
    lazy.write(head(port, sent));
    await backend.until(() => backend.givenUp === 1);
    lazy.destroy();
    const controller = new AbortController();
    const response = await fetch(url, { ...init(ADA, sent), signal: controller.signal });
    await response.body?.getReader().read();
    controller.abort();
    await backend.until(() => backend.givenUp === 2);
    const waiting = new AbortController();
    const stuck = await fetch(url, {
      ...init(ADA, modern('tools/call', { name: 'stuck', arguments: {} })),
      signal: waiting.signal,
    });
    waiting.abort();
    await stuck.text().catch(() => undefined);
    await backend.until(() => backend.givenUp === 3);
    t.pass('also where the result itself hangs');
  });

  await t.test('what a client does not read in time is not kept for it', async (t) => {
    const sent = modern('tools/call', { name: 'flood', arguments: {}, _meta: { progressToken: 1 } });
    const got = events((await post(url, ADA, sent.body, sent.headers)).text);
    t.ok(got.length < 10_000, `${got.length} of 10,000 notifications of 4 KB at once`);
    t.match(JSON.parse(got.at(-1) ?? ''), { result: { content: [{ text: 'flooded' }] } }, 'the result is never dropped');
  });

  await t.test('trace context reaches the backend', async (t) => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01';
    await rpc(url, ADA, 'tools/call', { name: 'whoami', arguments: {}, _meta: { traceparent, tracestate: 'a=1' } });
    t.match(backend.calls.at(-1)?.caller, {
      traceparent,
      tracestate: 'a=1',
      client: { name: 'wire', protocolVersion: '2026-07-28' },
    });
    const sent = modern('tools/call', { name: 'whoami', arguments: { b: [1, 2], a: 'x' } });
    await post(url, ADA, sent.body, { ...sent.headers, traceparent });
    t.match(backend.calls.at(-1)?.caller, { traceparent, principal: { tenant: 'acme', subject: 'ada' } });
    t.strictSame(backend.calls.at(-1)?.argsShape, [
      { name: 'b', bytes: 5 },
      { name: 'a', bytes: 3 },
    ]);
  });
});

await t.test('a host that lies', async (t) => {
  const server = await startServer(t);
  const call = (body: string, stream: boolean, _meta = {}) =>
    rpc(server.endpoint(), ADA, 'tools/call', { name: 'garbage', arguments: { body, stream }, _meta });
  for (const stream of [false, true]) {
    for (const body of ['', '{', '{}', '[]', 'null', ' {"a":1}']) {
      const reply = await call(body, stream);
      t.match(reply.json?.result, { isError: true, _meta: { [ERROR]: { code: 'result_invalid' } } });
    }
    const evil = '{"content":[],"x":\r\n\r\nevent: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n1}';
    const spoiled = await call(evil, stream, { progressToken: 1 });
    t.equal(events(spoiled.text).length, 2, 'one progress, one answer: nothing of the body begins an event');
    t.equal(spoiled.text.match(/^(event|data)/gm)?.length, 4);
    const fine = await call('{"content":[]}', stream);
    t.strictSame(Object.keys(fine.json?.result?._meta ?? {}), [
      'example.com/mine',
      'leasehold/tenant',
      'io.modelcontextprotocol/serverInfo',
    ]);
    t.match(fine.json?.result?._meta, { 'io.modelcontextprotocol/serverInfo': { name: 'leasehold' } }, 'reserved keys are ours');
  }
});

await t.test('nothing of the inside is told', async (t) => {
  const server = await startServer(t);
  const url = server.endpoint();
  const { session } = await initialize(url, ADA);
  for (const name of ['throws', 'fails']) {
    const now = await rpc(url, ADA, 'tools/call', { name, arguments: {} });
    const then = await legacy(url, ADA, session, { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
    for (const reply of [now, then]) {
      t.match(reply, {
        status: 200,
        json: { result: { isError: true, _meta: { [ERROR]: { correlationId: /^[0-9A-Z]{26}$/ } } } },
      });
      t.notMatch(reply.text, /secret/);
    }
  }
  const denied = await post(url, 'explode', '{}');
  t.match({ status: denied.status, code: denied.json?.error?.data?.['code'] }, { status: 401, code: 'token_invalid' });
  t.notMatch(denied.text + [...denied.headers].join(), /secret|error of/);
  t.equal(denied.headers.get('x-powered-by'), null);
  t.equal(denied.headers.get('x-content-type-options'), 'nosniff');
  t.equal(server.denied.at(-1)?.code, 'token_invalid', 'an exception in authentication is a denial, and is audited');

  const scoped = await rpc(url, ADA, 'tools/call', { name: 'scoped', arguments: {} });
  const scopedThen = await legacy(url, ADA, session, {
    jsonrpc: '2.0',
    id: 'x',
    method: 'tools/call',
    params: { name: 'scoped' },
  });
  for (const { headers, json, status } of [scoped, scopedThen]) {
    t.equal(status, 403);
    t.match(headers.get('www-authenticate'), /error="insufficient_scope", scope="issues:write"/);
    t.match(json?.error?.data, { code: 'scope_insufficient' });
  }
});

await t.test('credentials', async (t) => {
  const ada = { tenant: 'acme', issuer: 'leasehold', subject: 'ada', scopes: new Set(['*']), credentialId: 'c' };
  const broken = await startServer(t, { authenticate: () => ada, auditDenied: () => Promise.reject(new Error('disk full')) });
  t.equal((await rpc(broken.endpoint('acme'), 'x', 'tools/list')).status, 200);
  t.equal(
    (await rpc(broken.endpoint('globex'), 'x', 'tools/list')).status,
    401,
    'a principal of another tenant, and no audit: denied all the same',
  );
  const gone = await startServer(t, { authenticate: () => ada, tenantExists: () => false });
  t.equal((await rpc(gone.endpoint(), 'x', 'tools/list')).status, 401, 'a token that outlived its tenant');
  const slow = await startServer(t, { authenticate: () => Promise.reject(new Error('store')) });
  t.equal((await rpc(slow.endpoint(), 'x', 'tools/list')).status, 401);

  const big = `POST /t/acme/mcp HTTP/1.1\r\nHost: 127.0.0.1:${gone.port}\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n`;
  const refused = await raw(gone.port, big);
  t.match(refused, /^HTTP\/1\.1 401[\s\S]*connection: close/i, 'nobody may make an unverified body be read');

  const address = async (server: { endpoint(): string; denied: { address: string }[] }) => {
    await post(server.endpoint(), undefined, '{}', { 'x-forwarded-for': '203.0.113.9' });
    return server.denied.at(-1)?.address;
  };
  t.equal(await address(await startServer(t)), '127.0.0.1', 'a forwarded address is not believed');
  t.equal(
    await address(await startServer(t, { config: { ...CONFIG, trustedProxies: ['127.0.0.1/32'] } })),
    '203.0.113.9',
    'but from a proxy of ours',
  );
});

await t.test('2025 sessions are bounded', async (t) => {
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
  const server = await startServer(t, { legacy: { sessionsPerSubject: 2, sessionsPerTenant: 3, requestsPerSession: 2 } });
  const url = server.endpoint();
  const open = async (token: string) => (await initialize(url, token)).session;
  const status = async (session: string, token: string = ADA) => (await legacy(url, token, session, ping)).status;
  const [first, second] = [await open(ADA), await open(ADA)];
  t.equal(await status(first), 200, 'used again: the other one is idle for longer');
  const third = await open(ADA);
  t.strictSame(
    [await status(first), await status(second), await status(third)],
    [200, 404, 200],
    'the subject’s own oldest made room',
  );
  const bob = await open(TOKENS.acmeBob);
  const bobs = await open(TOKENS.acmeBob);
  t.strictSame(
    [await status(bob, TOKENS.acmeBob), await status(bobs, TOKENS.acmeBob)],
    [404, 200],
    'at the tenant’s bound nobody loses another’s',
  );
  t.equal(server.server.sessions, 3);
  t.equal((await initialize(server.endpoint('globex'), TOKENS.globex)).reply.status, 200, 'another tenant has its own bound');

  const calls = [1, 2].map((id) =>
    legacy(url, ADA, first, { jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'wait' } }),
  );
  await server.backend.until(() => server.backend.calls.length === 2);
  t.match((await legacy(url, ADA, first, ping)).json?.error?.data, { code: 'concurrency_limit' });
  await fetch(url, { method: 'DELETE', headers: { authorization: `Bearer ${ADA}`, 'mcp-session-id': first } });
  await server.backend.until(() => server.backend.cancelled.length === 2);
  for (const reply of await Promise.all(calls))
    t.match({ status: reply.status, text: reply.text }, { status: 200, text: '' }, 'ends with its session');

  const brief = await startServer(t, { legacy: { idleMs: 100 } });
  const { session } = await initialize(brief.endpoint(), ADA);
  t.equal((await legacy(brief.endpoint(), ADA, session, ping)).status, 200);
  while (brief.server.sessions > 0) await new Promise((resolve) => setImmediate(resolve));
  t.equal((await legacy(brief.endpoint(), ADA, session, ping)).status, 404, 'an idle session ends');

  for (const params of [
    undefined,
    {},
    { protocolVersion: 1 },
    { protocolVersion: '2025-11-25', capabilities: [] },
    { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} },
  ]) {
    const reply = await post(url, ADA, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }));
    t.match({ status: reply.status, code: reply.json?.error?.code }, { status: 400, code: -32602 });
  }
});

await t.test('2025 streams and cancellation', async (t) => {
  const server = await startServer(t, { timeouts: { streamCommentMs: 20 } });
  const { backend } = server;
  const url = server.endpoint();

  await t.test('a changed toolset is told', async (t) => {
    for (const kind of ['sdk 1.32', 'client 2.4 default'] as const) {
      await using client = await connectClient(kind, url, ADA);
      const told = Promise.withResolvers<void>();
      client.onListChanged(() => told.resolve());
      backend.setTools('acme', TestBackend.many(3));
      server.server.onToolsetChanged('globex');
      server.server.onToolsetChanged('acme');
      await told.promise;
      t.equal((await client.list()).length, 3);
    }
  });

  const { session } = await initialize(url, ADA);
  const headers = { authorization: `Bearer ${ADA}`, 'mcp-session-id': session, accept: 'text/event-stream' };
  await t.test('one stream, kept alive, and what was missed', async (t) => {
    server.server.onToolsetChanged('acme');
    const controller = new AbortController();
    const stream = await fetch(url, { headers, signal: controller.signal });
    t.match({ status: stream.status, type: stream.headers.get('content-type') }, { status: 200, type: 'text/event-stream' });
    t.equal((await fetch(url, { headers })).status, 400, 'a second one');
    t.equal((await fetch(url, { headers: { ...headers, accept: 'application/json' } })).status, 406);
    let got = '';
    const decoder = new TextDecoder();
    for await (const chunk of stream.body ?? []) {
      got += decoder.decode(chunk, { stream: true });
      if (got.includes('list_changed') && (got.match(/^: $/gm)?.length ?? 0) > 2) break;
    }
    controller.abort();
    t.match(events(got), [/notifications\/tools\/list_changed/]);
  });

  await t.test('an id of 0 can be cancelled, and nothing is sent for it', async (t) => {
    const before = backend.cancelled.length;
    const begun = backend.calls.length;
    const waiting = legacy(url, ADA, session, { jsonrpc: '2.0', id: 0, method: 'tools/call', params: { name: 'wait' } });
    await backend.until(() => backend.calls.length > begun);
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 0 } };
    t.equal((await legacy(url, TOKENS.acmeBob, session, cancel)).status, 404, 'not by somebody else');
    t.equal((await legacy(url, ADA, session, cancel)).status, 202);
    await backend.until(() => backend.cancelled.length > before);
    t.match(await waiting, { status: 200, text: '' });
  });

  await t.test('a client of the 2025 era that goes away has not cancelled', async (t) => {
    const begun = backend.calls.length;
    const controller = new AbortController();
    const message = { jsonrpc: '2.0', id: 9, method: 'tools/call', params: { name: 'wait' } };
    const call = fetch(url, {
      ...init(ADA, { body: JSON.stringify(message), headers: { 'mcp-session-id': session } }),
      signal: controller.signal,
    });
    await backend.until(() => backend.calls.length > begun);
    controller.abort();
    await call.catch(() => undefined);
    t.equal((await legacy(url, ADA, session, { jsonrpc: '2.0', id: 1, method: 'ping' })).status, 200);
    t.notOk(backend.calls.at(-1)?.signal.aborted, 'only a notification or the end of the session does');
  });
});

await t.test('lists are paged for their owner', async (t) => {
  const server = await startServer(t);
  server.backend.setTools('acme', TestBackend.many(1100));
  const url = server.endpoint();
  const page = async (token: string, cursor?: string) =>
    (await rpc(url, token, 'tools/list', cursor === undefined ? {} : { cursor })).json as RpcMessage;
  const first = await page(ADA);
  const cursor = first.result?.nextCursor ?? '';
  t.equal(first.result?.tools?.length, 500);
  t.equal((await page(ADA, cursor)).result?.tools?.length, 500);
  t.equal((await page(TOKENS.acmeBob, cursor)).error?.code, -32602, 'not for another subject');
  const { session } = await initialize(url, ADA);
  const old = await legacy(url, ADA, session, { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { cursor } });
  t.equal(old.json?.result?.tools?.length, 500, 'both eras share it');
  server.backend.setTools('acme', TestBackend.many(1101));
  t.equal((await page(ADA, cursor)).error?.code, -32602, 'nor for another list');
});

await t.test('a method that the endpoint does not have, and a body that is too large', async (t) => {
  const server = await startServer(t);
  for (const method of ['PUT', 'PATCH']) {
    for (const tenant of ['acme', 'nobody']) {
      const reply = await read(await fetch(server.endpoint(tenant), { method, body: '{}' }));
      t.match({ status: reply.status, data: reply.json?.error?.data }, { status: 405, data: { code: 'method_not_allowed' } });
      t.equal(reply.headers.get('allow'), 'GET, POST, DELETE');
    }
  }
  const { bodyBytes } = CONFIG;
  const large = await post(server.endpoint(), ADA, ' '.repeat(bodyBytes + 1));
  t.match({ status: large.status, code: large.json?.error?.data?.['code'] }, { status: 413, code: 'body_too_large' });
  t.match(large.json?.error?.message, `bodyBytes (${bodyBytes})`, 'the limit is named');
});

await t.test('service routes', async (t) => {
  const health = { ready: true, detail: { hosts: { tools: 'up' } } };
  const server = await startServer(t, { health: () => health });
  const get = async (path: string, headers: Record<string, string> = {}) => read(await fetch(server.url + path, { headers }));
  t.match(await get('/healthz'), { status: 200, json: { status: 'ok' } });
  t.match(await get('/readyz'), { status: 200, json: { status: 'ready', hosts: { tools: 'up' } } });
  health.ready = false;
  t.match(await get('/readyz'), { status: 503, json: { status: 'not ready' } });
  t.match(await get('/version'), {
    status: 200,
    json: { name: 'leasehold', version: '0.0.0-test', pid: process.pid, estate: '/srv/estate' },
  });
  const proxied = await get('/version', { 'x-forwarded-for': '203.0.113.9' });
  t.notMatch(proxied.text, /estate|pid/, 'not through a proxy on this machine');
  t.equal((await read(await fetch(`${server.url}/healthz`, { method: 'POST' }))).status, 404);
});

await t.test('a taken port', async (t) => {
  const backend = new TestBackend();
  const first = await startServer(t);
  const start = (port: number) =>
    createHttpServer({
      config: { ...CONFIG, listen: { host: '127.0.0.1', port } },
      version: '1',
      backend,
      authenticate: () => ({ code: 'unauthenticated', reason: '' }),
      tenantExists: () => false,
      subjectRate: () => 0,
      tenantHint: () => undefined,
      discovery: DISCOVERY,
      auditDenied: () => Promise.resolve(),
      health: () => ({ ready: true, detail: {} }),
    }).listen();
  const error = await start(first.port).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  t.ok(error instanceof PortInUse);
  t.match(error, { port: first.port, holder: { version: '0.0.0-test', pid: process.pid, estate: '/srv/estate' } });

  for (const answer of ['{"name":"other"}', 'x'.repeat(100_000), 'null']) {
    const stranger = createServer((_request, response) => response.end(answer)).listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    await t.rejects(start((stranger.address() as AddressInfo).port), { name: 'PortInUse', holder: undefined });
    stranger.close();
    stranger.closeAllConnections();
  }
});

await t.test('draining', async (t) => {
  const server = await startServer(t);
  const { backend, port } = server;
  const url = server.endpoint();
  const { session } = await initialize(url, ADA);
  const stream = await fetch(url, {
    headers: { authorization: `Bearer ${ADA}`, 'mcp-session-id': session, accept: 'text/event-stream' },
  });

  // A kept-alive connection from before, on which a call comes while the server drains.
  const kept = connect(port, '127.0.0.1');
  let got = '';
  kept.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1');
  });
  const echo = head(port, modern('tools/call', { name: 'echo', arguments: { text: 'x' } }));
  const waiting = modern('tools/call', { name: 'gate', arguments: {}, _meta: { progressToken: 1 } });
  kept.write(echo.slice(0, 40));
  const call = fetch(url, init(ADA, waiting));
  await backend.until(() => backend.calls.length === 1);

  const closed = server.server.close(10_000);
  t.strictSame(events(await stream.text()), [], 'streams end at once');
  kept.write(echo.slice(40));
  await once(kept, 'close');
  t.match(got, /^HTTP\/1\.1 503/, 'a new call is told to come back');
  t.match(got, /"code":"draining"/);
  t.match(got, /connection: close/i);
  backend.release();
  t.match((await read(await call)).json, { result: { resultType: 'complete' } }, 'the call under way ends as it should');
  await closed;
  await t.rejects(fetch(`${server.url}/healthz`));

  const stuck = await startServer(t);
  const endless = rpc(stuck.endpoint(), ADA, 'tools/call', { name: 'wait', arguments: {} }).catch(() => 'cut');
  await stuck.backend.until(() => stuck.backend.calls.length === 1);
  await stuck.server.close(50);
  t.equal(await endless, 'cut', 'after its time a call is cut');
  await stuck.backend.until(() => stuck.backend.cancelled.length === 1);
});
