// Limits before and after authentication, floods of refusals in the audit, and failures inside every function that decides who calls.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { createAuthenticator } from '../../src/auth/authenticate.ts';
import { createDiscovery } from '../../src/auth/discovery.ts';
import { introspectedTokens } from '../../src/auth/introspection.ts';
import { signedTokens } from '../../src/auth/issuers.ts';
import { mintedTokens } from '../../src/auth/minted.ts';
import type { AuthTenant, TokenSource } from '../../src/auth/verdict.ts';
import { compileAuth } from '../../src/config/compile-auth.ts';
import type { CompiledAuth } from '../../src/config/compiled-auth.ts';
import { addressKey } from '../../src/server/rates/address-key.ts';
import { Buckets } from '../../src/server/rates/buckets.ts';
import { Turns } from '../../src/server/rates/turns.ts';
import { until } from '../helpers/cli.ts';
import { toolset } from '../helpers/estate.ts';
import { CONFIG, DISCOVERY, startServer, TOKENS } from '../helpers/mcp-server.ts';
import { modern, post, type Reply, rpc } from '../helpers/mcp-wire.ts';
import { serve, type ServedEstate } from '../helpers/runtime.ts';
import { type ForeignIssuer, INTROSPECTION_SECRET, startForeignIssuer } from './foreign-issuer.ts';

t.setTimeout(240_000);

const FLOOD = 300;
/** More than may wait, by as much as is taken up meanwhile. */
const DELUGE = 12_000;
const TOOLS = { 'x.ts': toolset(`x: defineTool({ description: 'x', handler: () => 'x' })`) };

async function scene(t: Test, server: object, limits = {}): Promise<{ served: ServedEstate; issuer: ForeignIssuer }> {
  const issuer = await startForeignIssuer(t);
  const served = await serve(t, {
    server: {
      trustedProxies: ['127.0.0.1'],
      egress: { privateOrigins: [issuer.origin] },
      auth: {
        issuers: [{ issuer: issuer.origin }],
        introspection: [
          {
            issuer: 'https://opaque.example',
            endpoint: `${issuer.origin}/token/introspection`,
            clientId: 'leasehold',
            clientSecret: { secret: 's' },
          },
        ],
      },
      ...server,
    },
    tenants: { acme: { tools: TOOLS, tenant: { limits } }, globex: { tools: TOOLS } },
  });
  served.vault.secrets.set('_server', 's', INTROSPECTION_SECRET, Date.now());
  return { served, issuer };
}
function from(served: ServedEstate, address: string, token: string | undefined, tenant = 'acme'): Promise<Reply> {
  const { body, headers } = modern('tools/list');
  return post(served.endpoint(tenant), token, body, { ...headers, 'x-forwarded-for': address });
}

await t.test('who is refused too often is told to wait; nobody behind the same address is locked out', async (t) => {
  const { served, issuer } = await scene(t, { rates: { refusalsPerMinute: 30 } });
  const opaque = await issuer.grant(`${served.endpoint('acme')}?opaque`);
  // The issuer's name differs, so that only its answer without `iss` is taken.
  issuer.spoil = (request, response) => {
    if (request.url !== '/token/introspection') return false;
    response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify({ active: true, sub: 'eve', aud: served.endpoint('acme') }));
    return true;
  };
  t.equal((await from(served, '203.0.113.9', opaque)).status, 200, 'known before');
  const statuses: number[] = [];
  for (let i = 0; i < 40; i += 1) statuses.push((await from(served, '203.0.113.9', `guess-lh_${i}`.slice(6))).status);
  t.strictSame([statuses[0], statuses.at(-1)], [401, 429]);
  const waiting = await from(served, '203.0.113.9', undefined);
  t.match(waiting, { status: 429, json: { error: { code: 42900 } } });
  t.ok(Number(waiting.headers.get('retry-after')) >= 1);
  t.equal((await from(served, '203.0.113.9', served.token('acme'))).status, 200, 'a good token that was minted here');
  t.equal(
    (await from(served, '203.0.113.9', await issuer.sign(served.endpoint('acme')))).status,
    200,
    'a signed one that was never seen',
  );
  t.equal((await from(served, '203.0.113.9', opaque)).status, 200, 'an opaque one that is known');
  const asked = issuer.asked.length;
  t.equal((await from(served, '203.0.113.9', 'an-opaque-one')).status, 429);
  t.equal(issuer.asked.length, asked, 'no issuer is asked for it');
  t.equal((await from(served, '198.51.100.7', 'an-opaque-one')).status, 200, 'for another address it is');
  t.equal((await from(served, '198.51.100.7', undefined)).status, 401);
});

await t.test('a flood of refusals is counted in the audit', async (t) => {
  const { served } = await scene(t, {});
  const total = 1200;
  for (let sent = 0; sent < total; sent += 100)
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => from(served, '127.0.0.1', `lh_acme_${String(sent + i).padStart(43, 'x')}`)),
    );
  t.equal((await from(served, '127.0.0.1', undefined, 'globex')).status, 401);
  await served.close();
  const { readFileSync } = await import('node:fs');
  const of = (tenant: string) =>
    readFileSync(`${served.dataDir}/audit/${tenant}.jsonl`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).event)
      .filter(({ kind }) => kind === 'auth.denied');
  const records = of('acme');
  t.ok(records.length < 600, `${records.length} records`);
  t.equal(
    records.reduce((sum, { count = 1 }) => sum + count, 0),
    total,
    'none is missing',
  );
  t.match(
    records.find(({ count }) => count !== undefined),
    { reason: 'the token is unknown', address: '127.0.0.1' },
  );
  t.equal(of('globex').length, 1, 'another tenant has room for its own');
});

await t.test('requests of one subject, and of one address', async (t) => {
  const { served } = await scene(t, { rates: { addressPerSecond: 30 } }, { subjectRequestsPerSecond: 5 });
  const ask = (who: string, address: string) => from(served, address, served.token('acme', who));
  const ada = await Promise.all(Array.from({ length: 20 }, () => ask('ada', '203.0.113.1')));
  const refused = ada.filter(({ status }) => status === 429);
  t.ok(refused.length >= 10 && ada.some(({ status }) => status === 200));
  t.match(refused[0]?.text, /subjectRequestsPerSecond/, 'the limit is named');
  t.equal((await ask('bob', '203.0.113.2')).status, 200, 'another subject');
  t.equal((await from(served, '203.0.113.2', served.token('globex', 'ada'), 'globex')).status, 200, 'the same name elsewhere');
  const flood = await Promise.all(Array.from({ length: 200 }, () => from(served, '203.0.113.3', undefined)));
  t.match(flood.find(({ status }) => status === 429)?.text, /addressPerSecond/);
  t.equal((await ask('carl', '203.0.113.4')).status, 200, 'another address');
  t.equal((await fetch(`${served.runtime.url}/healthz`)).status, 200);
});

await t.test('buckets: exact with a clock, bounded', async (t) => {
  let now = 0;
  const buckets = new Buckets(100, () => now);
  const taken = Array.from({ length: 5 }, () => buckets.take('a', 2, 3));
  t.strictSame(taken, [0, 0, 0, 500, 500]);
  now = 500;
  t.equal(buckets.wait('a', 2, 3), 0);
  t.equal(buckets.take('a', 2, 3), 0);
  t.equal(buckets.take('a', 2, 3), 500);
  now = 1e9;
  t.strictSame(
    Array.from({ length: 4 }, () => buckets.take('a', 2, 3)),
    [0, 0, 0, 500],
    'never more than the burst',
  );
  for (let i = 0; i < 10_000; i += 1) buckets.take(`n${i}`, 1, 1);
  t.equal(buckets.size, 100);
  for (const [address, key] of [
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ] as const)
    t.equal(addressKey(address), key);
  fc.assert(fc.property(fc.ipV6(), (address) => /^(?:[0-9a-f]{1,4}:){4}:\/64$|^\d+\.\d+\.\d+\.\d+$/.test(addressKey(address))));
});

await t.test('what waits for a turn is bounded, of one tenant and of all', async (t) => {
  const turns = new Turns();
  let taken = 0;
  const filled = (tenant: string): number => {
    let waiting = 0;
    while (turns.begin(tenant, () => (taken += 1))) waiting += 1;
    return waiting - 16;
  };
  t.strictSame(['a', 'b', 'c'].map(filled), [8192, 8192, 256], 'others still have room for a burst');
  t.equal(taken, 3 * 16);
  await until(async () => taken === 3 * 16 + 2 * 8192 + 256);
  t.strictSame(['a', 'c', 'b'].map(filled), [8192, 8192, 256], 'and all of it again when that is done');
});

await t.test('a flood of one tenant waits for its own turns, in its order; others go between', async (t) => {
  const server = await startServer(t);
  const open = async (): Promise<Socket> => {
    const socket = connect(server.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const [flood, other] = [await open(), await open()];
  const request = (tenant: string, token: string, id: number): string => {
    const { body, headers } = modern('server/discover', {}, id);
    const lines = Object.entries({
      host: `127.0.0.1:${server.port}`,
      authorization: `Bearer ${token}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'content-length': String(body.length),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}`);
    return [`POST /t/${tenant}/mcp HTTP/1.1`, ...lines, '', body].join('\r\n');
  };
  let answers = '';
  const ids = (): number[] => [...answers.matchAll(/"id":(\d+)/g)].map(([, id]) => Number(id));
  const all = new Promise<void>((resolve) => {
    flood.on('data', (part: Buffer) => {
      answers += part.toString();
      if (ids().length === FLOOD) resolve();
    });
  });
  const answered = once(other, 'data').then(([part]: Buffer[]) => ({ answer: String(part), before: ids().length }));
  flood.write(Array.from({ length: FLOOD }, (_, id) => request('acme', TOKENS.acme, id)).join(''));
  other.write(request('globex', TOKENS.globex, 1));
  const first = await answered;
  await all;
  t.match(first.answer, /^HTTP\/1\.1 200/);
  t.ok(first.before < FLOOD / 2, `answered after ${first.before} of the flood's ${FLOOD}`);
  t.strictSame(
    ids(),
    Array.from({ length: FLOOD }, (_, id) => id),
  );

  // What waits is bounded: whoever sends on without waiting for answers is told to, and nothing is lost.
  const deluge = await open();
  const got = { statuses: new Map<string, number>(), all: 0, rest: '' };
  const told = new Promise<void>((resolve) => {
    deluge.on('data', (part: Buffer) => {
      const text = got.rest + part.toString();
      got.rest = text.slice(-12);
      for (const [, status = ''] of text.slice(0, -12).matchAll(/HTTP\/1\.1 (\d{3})/g))
        got.statuses.set(status, (got.statuses.get(status) ?? 0) + 1);
      got.all = [...got.statuses.values()].reduce((a, b) => a + b, 0);
      if (got.all === DELUGE) resolve();
    });
  });
  deluge.write(request('acme', TOKENS.acme, 1).repeat(DELUGE));
  await told;
  t.strictSame([...got.statuses.keys()].toSorted(), ['200', '429']);
  t.ok((got.statuses.get('200') ?? 0) > 8192, 'who waited is answered');

  // Nor is anybody who waits cut off by the end of the server.
  const many = await Promise.all(Array.from({ length: FLOOD }, open));
  const ask = (): Promise<string>[] =>
    many.map((socket) => {
      socket.write(request('acme', TOKENS.acme, 1));
      return once(socket, 'data').then(([part]: Buffer[]) => String(part));
    });
  await Promise.all(ask());
  const lastAnswers = ask();
  await Promise.race(lastAnswers);
  await server.server.close(5000);
  for (const answer of await Promise.all(lastAnswers)) t.match(answer, /^HTTP\/1\.1 (?:200|503)/);
});

class Boom extends Error {
  override readonly name = 'Boom';
}
const boom = (): never => {
  throw new Boom('a secret of the store');
};
const later = (): Promise<never> => Promise.reject(new Boom('a secret of the store'));

await t.test('whatever throws, in whatever part, is a refusal', async (t) => {
  const compiled = compileAuth(
    {
      issuers: [{ issuer: 'https://login.example', claims: { tenant: 'tid' } }],
      introspection: [{ issuer: 'https://opaque.example', clientId: 'c', clientSecret: { secret: 's' } }],
    },
    { secrets: 'acme', shared: false },
  );
  const auth = (compiled as { value: CompiledAuth }).value;
  const tenant: AuthTenant = {
    id: 'acme',
    auth,
    resources: ['https://x/t/acme/mcp'],
    sharedResource: undefined,
    isForeignResource: () => false,
  };
  const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const jwt = `${b64({ alg: 'RS256', typ: 'at+jwt', kid: 'k' })}.${b64({ iss: 'https://login.example', aud: tenant.resources[0], exp: 4e9, sub: 'a', tid: 'acme' })}.AAAA`;
  const source = (find: TokenSource['find']): TokenSource => ({ find, servers: () => [] });
  const ports = { fetch: later, metadata: later, now: Date.now, onFailure: () => {} };
  const opaque = (more: object) =>
    introspectedTokens({ ...ports, secrets: { get: () => ({ value: 's', version: '1' }) }, ...more });
  const parts: [string, TokenSource[], string, ((id: string) => AuthTenant) | undefined][] = [
    ['finding the tenant', [], jwt, boom],
    ['finding a source', [source(boom)], jwt, undefined],
    ['a verifier', [source(() => ({ verify: boom, goodMs: 1, badMs: 1 }))], jwt, undefined],
    ['a verifier, later', [source(() => ({ verify: later, goodMs: 1, badMs: 1 }))], jwt, undefined],
    ['the token store', [mintedTokens({ tokens: { find: boom, used: () => {} }, now: Date.now })], 'lh_acme_x', undefined],
    [
      'the clock',
      [mintedTokens({ tokens: { find: () => ({ id: 'i', tenant: 'acme' }) as never, used: () => {} }, now: boom })],
      'lh_acme_x',
      undefined,
    ],
    [
      'noting a use',
      [mintedTokens({ tokens: { find: () => ({ id: 'i', tenant: 'acme', scopes: [] }) as never, used: boom }, now: Date.now })],
      'lh_acme_x',
      undefined,
    ],
    ['asking for metadata', [signedTokens({ ...ports, shared: auth, tenantOfClaim: () => 'acme' })], jwt, undefined],
    [
      'asking for metadata at once',
      [signedTokens({ ...ports, metadata: boom, shared: auth, tenantOfClaim: () => 'acme' })],
      jwt,
      undefined,
    ],
    [
      'telling of a failure',
      [signedTokens({ ...ports, onFailure: boom, shared: auth, tenantOfClaim: () => 'acme' })],
      jwt,
      undefined,
    ],
    ['the secrets', [opaque({ secrets: { get: boom } })], 'opaque', undefined],
    [
      'introspection',
      [opaque({ metadata: () => Promise.resolve({ introspection_endpoint: 'https://opaque.example/i' }) })],
      'opaque',
      undefined,
    ],
    [
      'its answer',
      [
        opaque({
          fetch: () => Promise.resolve({ status: 200, json: boom }),
          metadata: () => Promise.resolve({ introspection_endpoint: 'x' }),
        }),
      ],
      'opaque',
      undefined,
    ],
  ];
  for (const [what, sources, token, tenantOf = () => tenant] of parts) {
    const verdict = await createAuthenticator({ sources, tenantOf })(`Bearer ${token}`, 'acme');
    t.match(verdict, { code: /^(?:token_invalid|auth_unavailable)$/, reason: String }, what);
    t.notMatch(JSON.stringify(verdict), /a secret of the store|"subject"/, what);
  }
  const discovery = createDiscovery({ sources: [source(boom)], resources: boom, tenantOf: boom });

  // And at the edge, whichever of its ports it is.
  const edge: [string, Parameters<typeof startServer>[1]][] = [
    ['authenticate', { authenticate: boom }],
    ['authenticate, later', { authenticate: later }],
    ['tenantExists', { tenantExists: boom }],
    [
      'tenantHint',
      { tenantHint: boom, config: { ...CONFIG, routing: { path: true, host: undefined, header: undefined, claim: true } } },
    ],
    ['subjectRate', { subjectRate: boom }],
    ['challenge', { discovery: { ...DISCOVERY, challenge: boom }, authenticate: boom }],
    ['discovery', { discovery, authenticate: boom }],
    ['auditDenied', { auditDenied: later, authenticate: boom }],
    ['auditDenied at once', { auditDenied: boom, authenticate: boom }],
  ];
  for (const [what, options] of edge) {
    const server = await startServer(t, options);
    const url = what === 'tenantHint' ? `${server.url}/mcp` : server.endpoint();
    const reply = await rpc(url, TOKENS.acme, 'tools/list');
    t.ok([401, 429].includes(reply.status), `${what}: ${reply.status}`);
    t.notMatch(reply.text, /secret|"tools"/, what);
  }
  const told = await startServer(t, { discovery: { ...DISCOVERY, metadata: boom } });
  t.match(
    await (await fetch(`${told.url}/.well-known/oauth-protected-resource/t/acme/mcp`)).text(),
    /Something went wrong inside the server/,
  );
});
