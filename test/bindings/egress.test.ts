// Orders of an egress thread against real servers: guards, bounds, leases, and what the outcome says.
// The last part runs the real entry in a real Piscina pool.
import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Piscina } from 'piscina';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { EgressOrder, EgressTools, Lease } from '../../src/boundary/egress.ts';
import type { RestBinding } from '../../src/boundary/binding.ts';
import type { EgressResult, EgressThreadTask, LoadResult, ThreadData } from '../../src/boundary/thread-messages.ts';
import { DeclaredTools } from '../../workers/bindings/declared-tool.ts';
import { addressKind } from '../../src/shared/net/address.ts';
import { Clients } from '../../src/shared/net/clients.ts';
import { LeaseBook, TakenLease } from '../../workers/egress/lease.ts';
import { createResolve, type Resolve } from '../../src/shared/net/resolve.ts';
import { retryAfterMs } from '../../src/shared/retry-after.ts';
import { type OrderRooms, runOrder } from '../../workers/egress/run-order.ts';
import { type Handler, json, startUpstream, TEST_CERTIFICATE, type Upstream } from './upstream-server.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const UPSTREAM_BYTES = 65_536;

function tool(binding: Partial<RestBinding>, more: Partial<EgressTools[string]> = {}): EgressTools[string] {
  return {
    inputSchema: { type: 'object' },
    binding: { kind: 'rest', connection: 'api', method: 'GET', path: '/x', ...binding },
    ...more,
  };
}

/** Rooms of one thread, without the thread. */
function roomsOf(t: Test, tools: EgressTools = {}, resolve: Resolve = createResolve()): OrderRooms {
  const clients = new Clients(resolve, { ca: TEST_CERTIFICATE });
  t.teardown(() => clients.close());
  return { tools: new DeclaredTools(tools), clients, leases: new LeaseBook(), resultBytes: 1_000_000 };
}
async function upstream(t: Test, handler: Handler, options = {}): Promise<Upstream> {
  const server = await startUpstream(handler, options);
  t.teardown(() => server.close());
  return server;
}
function order(work: EgressOrder['work'], origins: string[], more: Partial<EgressOrder> = {}): EgressOrder {
  const policy = { origins, privateOrigins: origins, maxResponseBytes: UPSTREAM_BYTES };
  return { work, policy, traceparent: TRACEPARENT, timeoutMs: 10_000, ...more };
}
function fetchWork(
  url: string,
  more: Partial<Extract<EgressOrder['work'], { kind: 'fetch' }>['request']> = {},
): EgressOrder['work'] {
  return { kind: 'fetch', request: { op: 'fetch', connection: 'api', url, method: 'GET', headers: {}, ...more } };
}
const NOTHING = new Uint8Array();
const never = new AbortController().signal;
function get(rooms: OrderRooms, origin: string, path = '/', more: Partial<EgressOrder> = {}): Promise<EgressResult> {
  return runOrder(rooms, order(fetchWork(path), [origin], more), NOTHING, never);
}
const textOf = (result: EgressResult) => Buffer.from(result.body ?? []).toString();
let leases = 0;
function lease(more: Partial<Lease> = {}): Lease {
  leases += 1;
  return { id: `lease-${leases}`, headers: { authorization: 'Bearer s3cr3t-t0ken/with+chars' }, expiresInMs: 60_000, ...more };
}

t.test('a declared tool: arguments to result, with defaults, schema and trace', async (t) => {
  const server = await upstream(t, (request, response) => json(response, { number: request.url.length, url: request.url }));
  const rooms = roomsOf(t, {
    list: tool(
      { path: '/repos/{owner}', query: ['per_page'], response: { select: '{n: number}' } },
      {
        inputSchema: {
          type: 'object',
          required: ['owner'],
          additionalProperties: false,
          properties: { owner: { type: 'string' }, per_page: { type: 'integer', maximum: 100, default: 20 } },
        },
        outputSchema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
      },
    ),
    broken: tool({ path: '/{' }),
    mistyped: tool({}, { outputSchema: { type: 'object', required: ['absent'] } }),
  });
  const call = (name: string, args: string) =>
    runOrder(rooms, order({ kind: 'binding', tool: name }, [server.origin]), Buffer.from(args), never);

  const good = await call('list', '{"owner":"a/b"}'.replace('/', '-'));
  t.match(good.outcome, { status: 'ok', sent: true, http: { status: 200, url: `${server.origin}/repos/a-b?per_page=20` } });
  t.strictSame(JSON.parse(textOf(good)), { content: [{ type: 'text', text: '{"n":22}' }], structuredContent: { n: 22 } });
  t.ok(textOf(good).startsWith('{"'));
  t.equal(server.received[0]?.headers['traceparent'], TRACEPARENT);
  t.equal(server.received[0]?.headers['accept-encoding'], 'gzip');

  t.match((await call('list', '{"owner":"a","per_page":101}')).outcome, {
    status: 'denied',
    sent: false,
    failure: { code: 'arguments_invalid', path: '/per_page' },
  });
  t.match((await call('list', '{"owner":"../x"}')).outcome, {
    status: 'denied',
    sent: false,
    failure: { code: 'arguments_invalid', path: '/owner' },
  });
  t.match((await call('list', '{"owner":')).outcome, { failure: { code: 'arguments_invalid' } });
  t.match((await call('absent', '{}')).outcome, { failure: { code: 'tool_unknown' } });
  t.match((await call('toString', '{}')).outcome, { failure: { code: 'tool_unknown' } });
  t.match((await call('broken', '{}')).outcome, { failure: { code: 'toolset_broken' } }, 'a broken tool fails by itself');
  t.match((await call('mistyped', '{}')).outcome, {
    status: 'upstream_error',
    sent: true,
    failure: { code: 'upstream_invalid' },
  });
  t.match(
    (
      await runOrder(
        { ...rooms, resultBytes: 10 },
        order({ kind: 'binding', tool: 'list' }, [server.origin]),
        Buffer.from('{"owner":"a"}'),
        never,
      )
    ).outcome,
    { status: 'upstream_error', failure: { code: 'result_too_large', message: /resultBytes/ } },
  );
  t.equal(server.received.length, 3, 'what was refused never left');
});

t.test('a request of tool code: any status comes back, connections are kept', async (t) => {
  const server = await upstream(t, (request, response) => {
    if (request.url === '/echo')
      return json(response, { ...request, headers: request.headers }, 418, {
        'x-a': '1',
        'set-cookie': 's=1',
        'keep-alive': 'timeout=5',
      });
    response.writeHead(204).end();
  });
  const rooms = roomsOf(t);
  const headers = {
    'X-Own': 'v',
    Connection: 'close',
    Host: 'evil.com',
    'Content-Length': '3',
    'Accept-Encoding': 'br',
    'user-agent': 'octokit',
  };
  const work = fetchWork('/echo', { method: 'post', headers, idempotencyKey: 'k1' });
  const echoed = await runOrder(rooms, order(work, [server.origin]), Buffer.from('héllo'), never);
  t.match(echoed.outcome, { status: 'ok', http: { status: 418, headers: { 'x-a': '1', 'content-type': 'application/json' } } });
  if (echoed.outcome.status === 'ok')
    t.strictSame(Object.keys(echoed.outcome.http.headers).sort(), ['content-type', 'date', 'x-a']);
  const seen = JSON.parse(textOf(echoed)) as Upstream['received'][number];
  t.match(seen, {
    method: 'POST',
    body: 'héllo',
    headers: { 'x-own': 'v', 'idempotency-key': 'k1', 'user-agent': 'octokit', connection: 'keep-alive' },
  });
  t.equal(seen.headers.host, new URL(server.origin).host);
  t.equal(seen.headers['content-length'], '6');
  for (let i = 0; i < 5; i += 1) await get(rooms, server.origin);
  t.ok(
    server.received.every(({ connection }) => connection <= 2),
    'kept; undici leaves a socket alone for one turn of the loop',
  );

  for (const name of ['authorization', 'Cookie', 'proxy-authorization']) {
    const denied = await runOrder(rooms, order(fetchWork('/', { headers: { [name]: 'x' } }), [server.origin]), NOTHING, never);
    t.match(denied.outcome, { status: 'denied', sent: false, failure: { code: 'egress_denied' } }, name);
  }
  for (const [name, value] of [
    ['x', 'a\r\nb: c'],
    ['x', 'a\0'],
    ['a b', 'c'],
    ['x:y', 'c'],
    ['', 'c'],
  ]) {
    const denied = await runOrder(
      rooms,
      order(fetchWork('/', { headers: { [name as string]: value as string } }), [server.origin]),
      NOTHING,
      never,
    );
    t.match(denied.outcome, { status: 'denied', sent: false }, JSON.stringify([name, value]));
  }
  for (const method of ['CONNECT', 'TRACE', 'GET / HTTP/1.1\r\nX: y\r\n\r\nGET', '']) {
    t.match((await runOrder(rooms, order(fetchWork('/', { method }), [server.origin]), NOTHING, never)).outcome, {
      status: 'denied',
      sent: false,
    });
  }
});

t.test('the origin is compared exactly', async (t) => {
  const server = await upstream(t, (_, response) => json(response, {}));
  const rooms = roomsOf(t);
  const { port, origin } = server;
  const elsewhere = [
    `https://127.0.0.1:${port}`,
    `http://127.0.0.1:${port + 1}`,
    `http://127.0.0.1.evil.com:${port}/`,
    '//evil.com/',
    '\\\\evil.com\\',
  ];
  for (const url of [
    ...elsewhere,
    `http://a:b@127.0.0.1:${port}/`,
    `http://evil.com#@127.0.0.1:${port}`,
    'file:///etc/passwd',
    'data:,x',
    'http://[',
    'javascript:1',
    `http://localhost:${port}`,
  ]) {
    const { outcome } = await runOrder(rooms, order(fetchWork(url), [origin]), NOTHING, never);
    t.match(outcome, { status: 'denied', sent: false, failure: { code: 'egress_denied' } }, url);
  }
  t.match((await runOrder(rooms, order(fetchWork(`${origin}/a#f`), [origin]), NOTHING, never)).outcome, { status: 'ok' });
  t.strictSame(
    server.received.map(({ url }) => url),
    ['/a'],
  );
});

t.test('addresses: what is public', async (t) => {
  for (const address of [
    '1.1.1.1',
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '2a00::1',
    '64:ff9b::808:808',
    '::ffff:8.8.8.8',
  ])
    t.equal(addressKind(address), 'public', address);
  for (const address of [
    '127.0.0.1',
    '127.255.255.255',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '::1',
    'fc00::1',
    'fd12::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:a01:203',
    '64:ff9b::7f00:1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::1',
  ])
    t.equal(addressKind(address), 'private', address);
  for (const address of [
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::7f00:1',
    '::127.0.0.1',
    '2002:7f00:1::',
    '2001::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '2001:db8::1',
    '::ffff:169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '::ffff:0.0.0.0',
    'localhost',
    '',
    '127.1',
    '0x7f.1',
  ])
    t.equal(addressKind(address), 'forbidden', address);
  fc.assert(
    fc.property(fc.ipV4(), (four) => {
      const [a = 0, b = 0, c = 0, d = 0] = four.split('.').map(Number);
      const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
      return addressKind(`::ffff:${groups}`) === addressKind(four) && addressKind(`64:ff9b::${groups}`) === addressKind(four);
    }),
    { numRuns: 3000 },
  );
});

t.test('private addresses only where the operator allowed the origin', async (t) => {
  const server = await upstream(t, (_, response) => json(response, {}));
  const { port } = server;
  const names: Record<string, string[]> = {
    'inside.test': ['127.0.0.1'],
    'mixed.test': ['93.184.216.34', '127.0.0.1'],
    'metadata.test': ['169.254.169.254'],
    'empty.test': [],
  };
  let asked = 0;
  const rooms = roomsOf(t, {}, async (name) => {
    asked += 1;
    return names[name] ?? (await createResolve()(name));
  });
  const hosts = [
    '127.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '2130706433',
    '0x7f.1',
    '017700000001',
    '127.1',
    'localhost',
    'a.localhost',
    'inside.test',
    'mixed.test',
    'empty.test',
    '0.0.0.0',
    '[::]',
    '169.254.169.254',
    '[64:ff9b::7f00:1]',
  ];
  for (const host of hosts) {
    const { origin } = new URL(`http://${host}:${port}`);
    const { outcome } = await get(rooms, origin, '/', {
      policy: { origins: [origin], privateOrigins: [], maxResponseBytes: 1000 },
    });
    t.match(outcome, { status: 'denied', sent: false, failure: { code: 'egress_denied' } }, host);
  }
  t.match(
    (await get(rooms, `http://metadata.test:${port}`)).outcome,
    { status: 'denied' },
    'link-local never, not even with leave',
  );
  t.match((await get(rooms, 'http://169.254.169.254')).outcome, { status: 'denied' });
  t.equal(server.received.length, 0);

  asked = 0;
  for (const host of ['127.0.0.1', 'localhost', 'inside.test'])
    t.match((await get(rooms, `http://${host}:${port}`)).outcome, { status: 'ok' }, host);
  for (let i = 0; i < 3; i += 1) await get(rooms, `http://inside.test:${port}`);
  t.equal(asked, new Set(server.received.map(({ connection }) => connection)).size - 1, 'a name is asked once per connection');
  // A kept connection is no way around a policy that no longer allows it.
  const { outcome } = await get(rooms, `http://inside.test:${port}`, '/', {
    policy: { origins: [`http://inside.test:${port}`], privateOrigins: [], maxResponseBytes: 1000 },
  });
  t.match(outcome, { status: 'denied' });
});

t.test('names are asked of a name server by c-ares; the answer is connected to, not asked again', async (t) => {
  const server = await upstream(t, (_, response) => json(response, {}));
  const dns = createSocket('udp4');
  t.teardown(() => dns.close());
  let queries = 0;
  dns.on('message', (query, peer) => {
    const end = query.indexOf(0, 12) + 5;
    const isA = query.readUInt16BE(end - 4) === 1;
    if (isA) queries += 1;
    // Rebinding: the second answer differs from the first.
    const address = queries === 1 ? [127, 0, 0, 1] : [127, 0, 0, 2];
    const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address]);
    dns.send(Buffer.concat([head, query.subarray(12, end), ...(isA ? [record] : [])]), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => dns.bind(0, '127.0.0.1', resolve));
  const folder = t.testdir({ hosts: '# comment\n127.0.0.1 known.test alias.test # more\n' });
  const resolve = createResolve({ servers: [`127.0.0.1:${dns.address().port}`], hostsFile: `${folder}/hosts` });
  const rooms = roomsOf(t, {}, resolve);
  t.match((await get(rooms, `http://rebind.test:${server.port}`)).outcome, { status: 'ok' });
  t.equal(queries, 1);
  t.strictSame(await resolve('Alias.test.'), ['127.0.0.1'], 'the hosts file comes first');
  t.strictSame(await resolve('LOCALHOST'), ['127.0.0.1', '::1']);
  t.equal(queries, 1);
  t.strictSame(await createResolve({ hostsFile: '/nonexistent' })('x.localhost'), ['127.0.0.1', '::1']);
});

t.test('redirects are not followed', async (t) => {
  const target = await upstream(t, (_, response) => json(response, {}));
  const server = await upstream(t, (_, response) => response.writeHead(307, { location: target.origin }).end());
  const rooms = roomsOf(t, { moved: tool({}) });
  const both = [server.origin, target.origin];
  const fetched = await runOrder(rooms, order(fetchWork('/'), both, { lease: lease() }), NOTHING, never);
  t.match(fetched.outcome, { status: 'ok', http: { status: 307, headers: { location: target.origin } } });
  const bound = await runOrder(rooms, order({ kind: 'binding', tool: 'moved' }, both, { lease: lease() }), NOTHING, never);
  t.match(bound.outcome, { status: 'upstream_error', failure: { code: 'upstream_error', detail: 'HTTP 307' } });
  t.equal(target.received.length, 0);
});

t.test('size is bounded before and after decompression', async (t) => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  const server = await upstream(t, (request, response) => {
    switch (request.url) {
      case '/gzip':
        return response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"a":1}'));
      case '/bomb':
        return response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
      case '/double':
        return response.writeHead(200, { 'content-encoding': 'gzip, gzip' }).end(gzipSync(bomb));
      case '/twice':
        return response
          .writeHead(200, [
            ['content-encoding', 'gzip'],
            ['content-encoding', 'gzip'],
          ] as never)
          .end(gzipSync(bomb));
      case '/br':
        return response.writeHead(200, { 'content-encoding': 'br' }).end('x');
      case '/torn':
        return response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"a":1}').subarray(0, 12));
      case '/exact':
        return response.end(Buffer.alloc(UPSTREAM_BYTES));
      case '/declared':
        response.writeHead(200, { 'content-length': UPSTREAM_BYTES + 1 });
        return request.method === 'HEAD' ? response.end() : response.write('x');
      case '/headers':
        return response
          .writeHead(200, { 'x-big': 'x'.repeat(15_000), 'x-big2': 'x'.repeat(15_000), 'x-big3': 'x'.repeat(15_000) })
          .end();
      default: {
        // Endless: as fast as the reader takes it.
        const chunk = Buffer.alloc(16_384);
        const more = () => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on('drain', more);
        return more();
      }
    }
  });
  const rooms = roomsOf(t);
  t.equal(textOf(await get(rooms, server.origin, '/gzip')), '{"a":1}');
  t.equal((await get(rooms, server.origin, '/exact')).body?.byteLength, UPSTREAM_BYTES);
  t.match((await runOrder(rooms, order(fetchWork('/declared', { method: 'HEAD' }), [server.origin]), NOTHING, never)).outcome, {
    status: 'ok',
  });
  t.ok(bomb.byteLength < UPSTREAM_BYTES, 'the bomb is small on the wire');
  for (const path of ['/bomb', '/endless', '/declared']) {
    t.match(
      (await get(rooms, server.origin, path)).outcome,
      { status: 'upstream_error', sent: true, failure: { code: 'result_too_large', message: /upstreamBytes/ } },
      path,
    );
  }
  for (const path of ['/double', '/twice', '/br', '/torn', '/headers']) {
    t.match(
      (await get(rooms, server.origin, path)).outcome,
      { status: 'upstream_error', sent: true, failure: { code: 'upstream_invalid' } },
      path,
    );
  }
});

t.test('time is bounded in total; giving up ends the request', async (t) => {
  let closed = 0;
  const server = await upstream(t, ({ url }, response) => {
    response.on('close', () => {
      closed += 1;
    });
    if (url !== '/drip') return;
    const timer = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(timer));
  });
  const rooms = roomsOf(t);
  for (const path of ['/hang', '/drip']) {
    const begun = performance.now();
    t.match(
      (await get(rooms, server.origin, path, { timeoutMs: 200 })).outcome,
      { status: 'transient', sent: true, detail: 'no answer in time' },
      path,
    );
    t.ok(performance.now() - begun < 5000);
  }
  const stop = new AbortController();
  const pending = runOrder(rooms, order(fetchWork('/hang'), [server.origin]), NOTHING, stop.signal);
  while (server.received.length < 3) await new Promise(setImmediate);
  stop.abort();
  t.match((await pending).outcome, { status: 'transient', sent: true });
  while (closed < 3) await new Promise(setImmediate);
  t.equal(closed, 3, 'the upstream sees it go');

  const early = new AbortController();
  early.abort();
  t.match((await runOrder(rooms, order(fetchWork('/hang'), [server.origin]), NOTHING, early.signal)).outcome, {
    status: 'transient',
    sent: false,
  });
  t.match(
    (
      await get(
        roomsOf(t, {}, () => new Promise(() => undefined)),
        'http://slow.test',
        '/',
        { timeoutMs: 100 },
      )
    ).outcome,
    { status: 'transient', sent: false },
    'a name that is never answered',
  );
  t.equal(server.received.length, 3);
});

t.test('sent: exactly whether the request may have left', async (t) => {
  const sockets: Socket[] = [];
  const rude = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => socket.resetAndDestroy());
  });
  await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
  t.teardown(() => rude.close());
  const { port } = rude.address() as AddressInfo;
  const rooms = roomsOf(t, {}, async (name) => {
    if (name === 'unknown.test') throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
    return ['127.0.0.1'];
  });
  t.match(
    (await get(rooms, `http://127.0.0.1:${port}`)).outcome,
    { status: 'transient', sent: true, detail: /ECONNRESET|UND_ERR_SOCKET/ },
    'reset',
  );
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const closedPort = (free.address() as AddressInfo).port;
  await new Promise((resolve) => free.close(resolve));
  t.match(
    (await get(rooms, `http://127.0.0.1:${closedPort}`)).outcome,
    { status: 'transient', sent: false, detail: 'ECONNREFUSED' },
    'refused',
  );
  t.match(
    (await get(rooms, 'http://unknown.test')).outcome,
    { status: 'transient', sent: false, detail: 'ENOTFOUND' },
    'no such name',
  );
  const garbage = createServer((socket) => socket.once('data', () => socket.end('SSH-2.0-OpenSSH\r\n')));
  await new Promise<void>((resolve) => garbage.listen(0, '127.0.0.1', resolve));
  t.teardown(() => garbage.close());
  t.match(
    (await get(rooms, `http://127.0.0.1:${(garbage.address() as AddressInfo).port}`)).outcome,
    { status: 'upstream_error', sent: true, failure: { code: 'upstream_invalid' } },
    'no HTTP',
  );
});

t.test('TLS: the certificate is checked against the name, not the address', async (t) => {
  const server = await upstream(t, (_, response) => json(response, { ok: true }), { tls: true });
  const rooms = roomsOf(t, {}, async () => ['127.0.0.1']);
  for (const host of ['127.0.0.1', 'localhost', 'upstream.test']) {
    t.match(
      (await get(rooms, `https://${host}:${server.port}`, '/', { lease: lease() })).outcome,
      { status: 'ok', http: { status: 200 } },
      host,
    );
  }
  t.match((await get(rooms, `https://other.test:${server.port}`)).outcome, {
    status: 'upstream_error',
    sent: false,
    failure: { code: 'upstream_invalid', detail: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  });
  const distrusting = { ...rooms, clients: new Clients(async () => ['127.0.0.1']) };
  t.teardown(() => distrusting.clients.close());
  t.match((await get(distrusting, `https://localhost:${server.port}`, '/', { lease: lease() })).outcome, {
    status: 'upstream_error',
    sent: false,
    failure: { code: 'upstream_invalid' },
  });
  t.equal(server.received.length, 3);
});

t.test('a lease: sent once, while good, encrypted, and never given back', async (t) => {
  const secret = 's3cr3t-t0ken/with+chars';
  const server = await upstream(t, (request, response) => {
    const auth = request.headers.authorization ?? '';
    const forms = [auth, auth.slice(7), encodeURIComponent(auth.slice(7)), Buffer.from(auth.slice(7)).toString('base64')];
    if (request.url === '/gzip') response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(forms.join('|')));
    else
      json(response, { forms }, request.url === '/401' ? 401 : 200, {
        'x-echo': auth,
        location: `/?t=${encodeURIComponent(auth.slice(7))}`,
      });
  });
  const rooms = roomsOf(t, { bound: tool({}) });
  for (const path of ['/', '/gzip', '/401']) {
    const result = await get(rooms, server.origin, path, { lease: lease() });
    t.equal(server.received.at(-1)?.headers.authorization, `Bearer ${secret}`);
    const all = `${JSON.stringify(result.outcome)}${textOf(result)}`;
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')])
      t.notOk(all.includes(form), `${path} ${form}`);
    t.match(result.outcome, { status: path === '/401' ? 'credential_rejected' : 'ok' });
  }
  const bound = await runOrder(
    rooms,
    order({ kind: 'binding', tool: 'bound' }, [server.origin], { lease: lease() }),
    NOTHING,
    never,
  );
  t.notOk(textOf(bound).includes(secret));
  t.match(textOf(bound), 'redacted');

  const before = server.received.length;
  const once = lease();
  t.match((await get(rooms, server.origin, '/', { lease: once })).outcome, { status: 'ok' });
  t.match((await get(rooms, server.origin, '/', { lease: once })).outcome, {
    status: 'denied',
    sent: false,
    failure: { detail: /used before/ },
  });
  t.match(
    (await get(rooms, server.origin, '/', { lease: lease({ expiresInMs: 0 }) })).outcome,
    { status: 'transient', sent: false },
    'run out',
  );
  const clash = fetchWork('/', { headers: { 'X-Api-Key': 'mine' } });
  const keyed = lease({ headers: { 'x-api-key': 'k-123456789' } });
  t.match(
    (await runOrder(rooms, order(clash, [server.origin], { lease: keyed }), NOTHING, never)).outcome,
    { status: 'denied', sent: false },
    'a tool cannot override it',
  );
  const plain = { origins: ['http://public.test'], privateOrigins: [], maxResponseBytes: 1000 };
  t.match((await get(rooms, 'http://public.test', '/', { policy: plain, lease: lease() })).outcome, {
    status: 'denied',
    sent: false,
    failure: { detail: /unencrypted/ },
  });
  t.equal(server.received.length, before + 1);

  const taken = new TakenLease({ id: 'x', headers: { authorization: 'Bearer short', 'x-key': 'abcdefghij' }, expiresInMs: 1000 });
  t.equal(Buffer.from(taken.redactBytes(Buffer.from('1abcdefghij2abcdefghij'))).toString(), '1[redacted]2[redacted]');
  t.equal(taken.redactText('a short text'), 'a short text', 'a short value does not eat ordinary words');
  const pair = Buffer.from('robot:correct-horse').toString('base64');
  const basic = new TakenLease({ id: 'y', headers: { authorization: `Basic ${pair}` }, expiresInMs: 1000 });
  t.equal(basic.redactText('you sent correct-horse'), 'you sent [redacted]', 'a password that comes back decoded');
});

t.test('a lease that ran out while the connection was made stays back', async (t) => {
  const server = await upstream(t, (_, response) => json(response, {}));
  const rooms = roomsOf(t, {}, () => new Promise((resolve) => setTimeout(resolve, 100, ['127.0.0.1'])));
  const { outcome } = await get(rooms, `http://late.test:${server.port}`, '/', { lease: lease({ expiresInMs: 20 }) });
  t.match(outcome, { status: 'transient', sent: false });
  t.equal(server.received.length, 0);
  t.match((await get(rooms, `http://late.test:${server.port}`)).outcome, { status: 'ok' }, 'the next request finds a way');
});

t.test('statuses that recovery decides on', async (t) => {
  const server = await upstream(t, ({ url }, response) => json(response, {}, Number(url.slice(1)), { 'retry-after': '7' }));
  const rooms = roomsOf(t);
  for (const status of [408, 425, 429, 502, 503, 504]) {
    t.match((await get(rooms, server.origin, `/${status}`)).outcome, {
      status: 'transient',
      sent: true,
      retryAfterMs: 7000,
      http: { status },
    });
  }
  t.match((await get(rooms, server.origin, '/401')).outcome, { status: 'credential_rejected', sent: true });
  for (const status of [400, 403, 404, 409, 500, 501])
    t.match((await get(rooms, server.origin, `/${status}`)).outcome, { status: 'ok', http: { status } });
});

t.test('Retry-After in both forms', async (t) => {
  const now = Date.parse('Sun, 06 Nov 1994 08:49:30 GMT');
  t.equal(retryAfterMs('120', now), 120_000);
  t.equal(retryAfterMs(' 0 ', now), 0);
  t.equal(retryAfterMs('Sun, 06 Nov 1994 08:49:37 GMT', now), 7000);
  t.equal(retryAfterMs('Sunday, 06-Nov-94 08:49:37 GMT', now), 7000);
  t.equal(retryAfterMs('Sun Nov  6 08:49:37 1994 GMT', now), 7000);
  t.equal(retryAfterMs('Sun, 06 Nov 1994 08:49:00 GMT', now), 0, 'in the past');
  t.equal(retryAfterMs('99999999999', now), 86_400_000);
  for (const nonsense of [undefined, '', '-1', '1.5', 'soon', 'Sunday', '1e3', '9'.repeat(100)])
    t.equal(retryAfterMs(nonsense, now), undefined, String(nonsense));
});

t.test('the real entry in a real pool', async (t) => {
  const server = await upstream(t, ({ url }, response) => {
    if (url !== '/hang') json(response, url === '/big' ? 'x'.repeat(50_000) : { url });
  });
  const limits = { threads: 1, heapMb: 64, resultBytes: 1_000_000, logLinesPerCall: 10, progressPerCall: 1000 };
  const pool = new Piscina<EgressThreadTask, LoadResult | EgressResult | undefined>({
    filename: new URL('../../workers/egress.ts', import.meta.url).href,
    name: 'run',
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 64,
    atomics: 'disabled',
    env: {},
    workerData: { kind: 'egress', limits } satisfies ThreadData,
  });
  t.teardown(() => pool.destroy());
  const bodies = new Map<number, Uint8Array>();
  const hello = new Promise<void>((resolve) => {
    pool.on('message', (message: { t: string; port: MessagePort }) => {
      message.port.addEventListener('message', ({ data }: { data: { call: number; body: Uint8Array } }) =>
        bodies.set(data.call, data.body),
      );
      message.port.start();
      resolve();
    });
  });
  const tools: EgressTools = {
    one: tool({ path: '/{id}' }, { inputSchema: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] } }),
    big: tool({ path: '/big' }),
  };
  const egress = (call: number, work: EgressOrder['work'], body = '') =>
    pool.run({
      t: 'egress',
      call,
      order: order(work, [server.origin]),
      body: new TextEncoder().encode(body),
    }) as Promise<EgressResult>;

  const early = egress(1, { kind: 'binding', tool: 'one' }, '{"id":"early"}');
  const load = {
    t: 'load',
    assignment: { tenant: 'acme', bundle: 'b', vars: {} },
    body: new TextEncoder().encode(JSON.stringify(tools)),
  } as const;
  t.strictSame(await pool.run(load), { ok: true });
  await hello;
  t.strictSame(
    JSON.parse(textOf(await early)),
    { content: [{ type: 'text', text: '{"url":"/early"}' }] },
    'a call before the load waits for it',
  );
  t.match(await pool.run(load), { ok: false, failure: { code: 'internal_error' } }, 'never loaded twice');

  const big = await egress(2, { kind: 'binding', tool: 'big' }, '{}');
  t.equal(big.body, undefined);
  while (!bodies.has(2)) await new Promise(setImmediate);
  t.ok((bodies.get(2)?.byteLength ?? 0) > 50_000, 'a large body goes over the port');

  const hanging = egress(3, fetchWork('/hang'));
  const beside = await egress(4, fetchWork('/beside'));
  t.match(beside.outcome, { status: 'ok' });
  while (!server.received.some(({ url }) => url === '/hang')) await new Promise(setImmediate);
  await pool.run({ t: 'cancel', call: 99, reason: 'cancelled' });
  await pool.run({ t: 'cancel', call: 3, reason: 'cancelled' });
  t.match((await hanging).outcome, { status: 'transient', sent: true, detail: 'given up' });
});

t.test('a thread that was given nonsense says so', async (t) => {
  const limits = { threads: 1, heapMb: 64, resultBytes: 1_000_000, logLinesPerCall: 10, progressPerCall: 1000 };
  const pool = new Piscina<EgressThreadTask, unknown>({
    filename: new URL('../../workers/egress.ts', import.meta.url).href,
    name: 'run',
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 8,
    atomics: 'disabled',
    workerData: { kind: 'egress', limits } satisfies ThreadData,
  });
  t.teardown(() => pool.destroy());
  const body = new TextEncoder().encode('{"x":{"binding":1}}');
  t.match(await pool.run({ t: 'load', assignment: { tenant: 'acme', bundle: 'b', vars: {} }, body }), {
    ok: false,
    failure: { code: 'toolset_broken' },
  });
  t.match(await pool.run({ t: 'egress', call: 1, order: order(fetchWork('/'), ['http://127.0.0.1:1']), body: NOTHING }), {
    outcome: { status: 'denied', sent: false, failure: { code: 'toolset_broken' } },
  });
});
