// OAuth grants: renewed once, durable before use, told apart when lost or refused; against a server that misbehaves on order.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import type { CompiledConnection, CompiledOAuth, OAuth2Connection } from '../../src/config/compiled.ts';
import { PRESETS } from '../../src/config/provider-presets.ts';
import { AuthorizationServers } from '../../src/connections/oauth/authorization-servers.ts';
import { connectGrant } from '../../src/connections/oauth/connect-grant.ts';
import { AuditUnavailable } from '../../src/audit/unavailable.ts';
import { connectionProblems } from '../../src/connections/connection-states.ts';
import { freshness, lackingScopes, newGrant } from '../../src/connections/oauth/grant-facts.ts';
import { GuardedFetch, NoAnswer } from '../../src/connections/oauth/guarded-fetch.ts';
import { scopeList } from '../../src/connections/oauth/token-answer.ts';
import { restMs } from '../../src/connections/rejections.ts';
import { json, startUpstream } from '../bindings/upstream-server.ts';
import { adaKey, connect, oauthConnection, oauthScene } from './oauth-scene.ts';

t.setTimeout(180_000);
const file = t;
const STALE = { expiresAt: Date.now() - 1000 };
const many = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make));
const GOOD = '{"path":"/api"}';

t.test('100 calls with a token that ran out: one token request, 100 answers', async (t) => {
  const s = await oauthScene(t, file);
  const before = connect(s.vault.grants, s.server, s.connection, STALE);
  t.strictSame(new Set(await many(100, () => s.call())), new Set([GOOD]));
  t.equal(s.server.tokenRequests.length, 1);
  t.equal(s.server.apiRequests, 100, 'none was sent with the old token');
  t.match(s.grant(), { id: before.id, serial: 2, state: 'active', refreshToken: /canary-refresh/ });
  t.not(s.grant()?.refreshToken, before.refreshToken, 'the rotated one is stored');
  t.equal(s.grant()?.refreshBegan, undefined);
  const records = await s.records();
  const kinds = records.map(({ kind }) => kind);
  t.equal(kinds.filter((kind) => kind === 'grant.refresh').length, 1);
  t.match(
    records.find(({ kind }) => kind === 'grant.refreshed'),
    { connection: 'crm', grant: before.id, outcome: 'ok', subject: 'ada' },
  );
  t.ok(kinds.indexOf('grant.refreshed') < kinds.indexOf('egress.request'), 'durable before it is used');
  t.match(s.orders[0], { lease: { headers: { authorization: /^Bearer canary-access/ } } });
  t.notMatch(JSON.stringify(s.orders), /canary-refresh/, 'nothing else of the grant crosses');
  t.equal(new Set(s.orders.map(({ lease }) => lease?.id)).size, 100, 'a lease each');
  t.notMatch(JSON.stringify(records) + s.onDisk(), /canary/);
});

t.test('100 calls whose token the service refuses: one token request, each sent once more', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection);
  s.server.expireAll();
  t.strictSame(new Set(await many(100, () => s.call('/api', { request: { method: 'POST' } }))), new Set([GOOD]), 'a POST, too');
  t.equal(s.server.tokenRequests.length, 1);
  t.ok(s.server.apiRequests <= 200);
  t.strictSame(s.vault.rejections.list('acme'), []);
  t.equal(await s.call(), GOOD);
  t.equal(s.server.tokenRequests.length, 1);
});

t.test('a service that refuses every token: no storm, and the user is told', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection);
  s.server.apiStatus = 401;
  t.match(await s.fetch(s.connection, '/api'), {
    ok: false,
    failure: { code: 'not_connected', url: 'https://lh.example/connect/ada?read', message: /although it was renewed/ },
  });
  t.equal(s.server.tokenRequests.length, 1);
  t.equal(s.server.apiRequests, 2);
  for (let i = 0; i < 20; i += 1) t.equal(await s.call(), 'not_connected');
  t.equal(s.server.tokenRequests.length, 1);
  t.equal(s.server.apiRequests, 2, 'not sent while it rests');
  s.pass(restMs(2));
  t.equal(await s.call(), 'not_connected');
  t.equal(s.server.apiRequests, 3, 'one try after the rest');
  t.equal(s.server.tokenRequests.length, 1);
  s.server.apiStatus = 200;
  s.pass(restMs(3));
  t.equal(await s.call(), GOOD);
  t.strictSame(s.vault.rejections.list('acme'), []);
  s.server.expireAll();
  t.equal(await s.call(), GOOD, 'and a renewal helps again');
});

t.test('one request is sent twice at most, whatever becomes of the grant meanwhile', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection);
  s.server.apiStatus = 401;
  s.server.onApi = () => void connect(s.vault.grants, s.server, s.connection);
  t.equal(await s.call(), 'credential_rejected');
  t.equal(s.server.apiRequests, 2);
});

t.test('a revoked grant: one token request, then a link', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection, STALE);
  s.server.revokeAll();
  t.strictSame(new Set(await many(20, () => s.call())), new Set(['not_connected']));
  t.equal(await s.call(), 'not_connected');
  t.equal(s.server.tokenRequests.length, 1);
  t.match(s.grant(), { state: 'reauthorize', reason: 'invalid_grant' });
  t.match(await s.fetch(s.connection, '/api'), {
    failure: { code: 'not_connected', url: /connect\/ada/, message: /needs your CRM account to be connected again/ },
  });
  t.match(
    (await s.records()).filter(({ kind }) => kind === 'grant.refreshed'),
    [{ outcome: 'refused', reason: 'invalid_grant' }],
  );
  connect(s.vault.grants, s.server, s.connection);
  t.equal(await s.call(), GOOD, 'after connecting the same call goes through');
  t.notMatch(s.onDisk(), /canary/);
});

t.test('connecting: on record, stored, and what was refused before counts no more', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection);
  s.server.apiStatus = 401;
  t.equal(await s.call(), 'not_connected');
  s.server.apiStatus = 200;
  const subject = { issuer: 'leasehold', subject: 'ada', correlation: 'c' };
  const tokens = s.server.issue();
  const ports = { grants: s.vault.grants, rejections: s.vault.rejections, audit: s.audit };
  const made = { key: adaKey, connection: s.connection, tokens, requested: ['read', 'write'], account: 'octocat', subject };
  const stored = await connectGrant(ports, made);
  t.match(s.grant(), { id: stored.id, serial: 1, requested: ['read', 'write'], scopes: ['read', 'write'], account: 'octocat' });
  t.strictSame(s.vault.rejections.list('acme'), []);
  t.equal(await s.call(), GOOD);
  t.match(
    (await s.records()).find(({ kind }) => kind === 'grant.connected'),
    { connection: 'crm', grant: stored.id, subject: 'ada' },
  );
  await s.audit.close();
  await t.rejects(connectGrant(ports, { ...made, account: 'other' }));
  t.match(s.grant(), { account: 'octocat' });
});

t.test('an answer that was lost is no refusal', async (t) => {
  for (const rotation of ['none', 'grace', 'strict'] as const) {
    const s = await oauthScene(t, file);
    s.server.rotation = rotation;
    connect(s.vault.grants, s.server, s.connection, STALE);
    s.server.beforeAnswer = (response) => !response.socket?.destroy();
    const lost = await s.fetch(s.connection, '/api');
    t.match(lost, { ok: false, failure: { code: 'upstream_unavailable', retryAfterMs: Number } }, rotation);
    t.match(s.grant(), { state: 'active', refreshBegan: Number }, 'noted as perhaps spent');
    await many(10, () => s.call());
    t.equal(s.server.tokenRequests.length, 1, 'not asked again at once');
    s.server.beforeAnswer = () => true;
    s.pass(1100);
    t.equal(await s.call(), rotation === 'strict' ? 'not_connected' : GOOD);
    t.equal(s.server.tokenRequests.length, 2);
    t.match(
      s.grant(),
      rotation === 'strict' ? { state: 'reauthorize', reason: /after an answer that was lost/ } : { state: 'active' },
    );
    t.match(
      (await s.records()).find(({ kind }) => kind === 'grant.refreshed'),
      { outcome: 'lost' },
    );
  }
});

t.test('a server in trouble: waited for as it asks; a token that is still good is used meanwhile', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection, { expiresAt: Date.now() + 100_000, refreshedAt: Date.now() - 3_500_000 });
  s.server.fault = (_, response) => {
    json(response, { error: 'server_error' }, 503, { 'retry-after': '30' });
    return false;
  };
  t.equal(await s.call(), GOOD, 'renewed ahead, so nobody waits');
  s.pass(95_000);
  t.match(await s.fetch(s.connection, '/api'), { failure: { code: 'upstream_unavailable', retryAfterMs: 30_000 } });
  t.match(s.grant(), { state: 'active' });
  const asked = s.server.tokenRequests.length;
  s.pass(29_000);
  t.equal(await s.call(), 'upstream_unavailable');
  t.equal(s.server.tokenRequests.length, asked, 'Retry-After is never undercut');
  for (const [status, body, type] of [
    [200, '<html>', 'text/html'],
    [200, '[]', 'application/json'],
    [200, '{"token_type":"bearer"}', 'application/json'],
    [429, '{}', 'application/json'],
    [400, '{"error":"temporarily_unavailable"}', 'application/json'],
    [302, '', 'text/plain'],
    [200, 'x'.repeat(300_000), 'application/json'],
  ] as const) {
    s.pass(120_000);
    s.server.fault = (_, response) => {
      response.writeHead(status, { 'content-type': type, location: 'http://127.0.0.1:1/' }).end(body);
      return false;
    };
    t.equal(await s.call(), status === 302 ? 'credential_rejected' : 'upstream_unavailable', `${status} ${body.slice(0, 20)}`);
    t.match(s.grant(), { state: 'active' });
  }
  s.server.fault = () => true;
  s.pass(120_000);
  t.equal(await s.call(), GOOD);
});

t.test('ahead of its end a token is renewed in the background', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection, { expiresAt: Date.now() + 100_000, refreshedAt: Date.now() - 3_500_000 });
  t.strictSame(new Set(await many(20, () => s.call())), new Set([GOOD]));
  for (const until = performance.now() + 10_000; s.grant()?.serial !== 2 && performance.now() < until; )
    await new Promise(setImmediate);
  t.equal(s.grant()?.serial, 2);
  t.equal(s.server.tokenRequests.length, 1);
  const grant = newGrant('g', s.connection.oauth, { accessToken: 'a', expiresInMs: 3_600_000 }, 0);
  t.strictSame(
    [0, 3_479_000, 3_481_000, 3_589_000, 3_591_000, 9e9].map((now) => freshness(grant, now)),
    ['good', 'good', 'due', 'due', 'stale', 'stale'],
  );
  t.equal(freshness({ ...grant, expiresAt: 5000 }, 4000), 'due', 'a short life');
});

t.test('the deadline of a caller ends his wait, not the renewal', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection, STALE);
  let release = (): void => undefined;
  s.server.beforeAnswer = (response) => {
    release = () => json(response, { access_token: 'canary-late', token_type: 'bearer', refresh_token: 'canary-late-refresh' });
    return false;
  };
  const hurried = await s.fetch(s.connection, '/api', { egress: { deadline: Date.now() + 300 } });
  t.match(hurried, { ok: false, failure: { code: 'deadline_exceeded' } });
  const stop = new AbortController();
  const waiting = s.call('/api', { egress: { signal: stop.signal } });
  stop.abort('cancelled');
  t.equal(await waiting, 'cancelled');
  t.equal(s.server.tokenRequests.length, 1);
  release();
  for (const until = performance.now() + 10_000; s.grant()?.accessToken !== 'canary-late' && performance.now() < until; )
    await new Promise(setImmediate);
  t.match(s.grant(), { accessToken: 'canary-late', refreshToken: 'canary-late-refresh', serial: 2 });
});

t.test('peculiar answers: no rotation, no lifetime, commas, errors with status 200', async (t) => {
  const github = PRESETS['github']?.quirks ?? {};
  const s = await oauthScene(t, file, { quirks: github });
  s.server.rotation = 'none';
  s.server.expiresIn = undefined;
  s.server.extra = { scope: 'read,write:org', id_token: 'not.a.jwt' };
  const before = connect(s.vault.grants, s.server, s.connection, STALE);
  t.equal(await s.call(), GOOD);
  const after = s.grant();
  t.match(after, { refreshToken: before.refreshToken, scopes: ['read', 'write:org'] });
  t.equal(after?.expiresAt, undefined);
  s.pass(1e9);
  t.equal(await s.call(), GOOD, 'used until it is refused');
  t.equal(s.server.tokenRequests.length, 1);
  s.server.expireAll();
  s.server.fault = (_, response) => {
    json(response, { error: 'bad_refresh_token', error_description: 'canary' });
    return false;
  };
  t.equal(await s.call(), 'not_connected');
  t.match(s.grant(), { state: 'reauthorize', reason: 'bad_refresh_token' });

  const plain = connect(s.vault.grants, s.server, s.connection);
  const { refreshToken: _, version: __, ...withoutRefresh } = plain;
  s.vault.grants.put(adaKey, withoutRefresh);
  s.server.expireAll();
  const asked = s.server.tokenRequests.length;
  t.equal(await s.call(), 'not_connected', 'a token without a refresh token that is refused');
  t.equal(s.server.tokenRequests.length, asked);
  t.strictSame(scopeList(' a,b  c,,a '), ['a', 'b', 'c']);
  const grant = { ...plain, requested: ['read:user', 'user'], scopes: ['user'] };
  const oauth = s.connection.oauth;
  t.strictSame(lackingScopes(grant, oauth, ['read:user', 'repo']), ['repo'], 'a wider scope stands for a narrower one');
  t.strictSame(lackingScopes(grant, { ...oauth, quirks: {} }, ['read:user']), ['read:user']);
  const google: CompiledOAuth = { ...oauth, quirks: PRESETS['google']?.quirks ?? {} };
  t.strictSame(lackingScopes({ ...grant, scopes: ['https://www.googleapis.com/auth/userinfo.email'] }, google, ['email']), []);
});

t.test('whose grant it is: subject, scopes, authorization server', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection);
  t.equal(await s.call(), GOOD);
  t.match(await s.fetch(s.connection, '/api', { subject: 'bob' }), {
    failure: {
      code: 'not_connected',
      url: 'https://lh.example/connect/bob?read',
      message: 'The connection "crm" needs your CRM account.',
    },
  });
  t.match(await s.fetch(s.connection, '/api', { egress: { scopes: ['read', 'write'] } }), {
    failure: { code: 'not_connected', url: 'https://lh.example/connect/ada?read+write', detail: 'scopes write are missing' },
  });
  const shared = { ...s.connection, owner: 'tenant' as const };
  t.equal(await s.call('/api', { connection: shared }), 'not_connected');
  connect(s.vault.grants, s.server, s.connection, {}, { ...adaKey, owner: undefined });
  t.equal(await s.call('/api', { connection: shared, subject: 'bob' }), GOOD);
  const sent = s.server.apiRequests;
  for (const oauth of [
    { clientId: 'other' },
    { endpoints: { token: 'https://evil.example/token' } },
    { issuer: 'https://evil.example' },
  ]) {
    const changed = { ...s.connection, oauth: { ...s.connection.oauth, ...oauth } };
    t.equal(await s.call('/api', { connection: changed }), 'not_connected', JSON.stringify(oauth));
  }
  const ready = (connection: CompiledConnection, subject = 'ada', scopes: string[] = []) =>
    s.credentials.ready({ tenant: 'acme', connection, subject: { issuer: 'leasehold', subject, correlation: 'c' }, scopes });
  t.equal(await ready(s.connection), undefined);
  t.match(await ready(s.connection, 'bob'), { code: 'not_connected', url: /connect\/bob/ });
  t.match(await ready(s.connection, 'ada', ['write']), { code: 'not_connected', url: /read\+write/ });
  const basic = { slot: 'b', type: 'basic', origins: [], username: 'a', password: { owner: 'acme', secret: 'pw' } } as const;
  t.match(await ready(basic), { code: 'not_connected', message: /leasehold secret set acme pw/ });
  s.vault.secrets.set('acme', 'pw', 'x', 1);
  t.equal(await ready(basic), undefined);
  t.equal(await ready({ slot: 'n', type: 'none', origins: [] }), undefined);
  const { subject: _, ...nobody } = { issuer: 'leasehold', subject: 'x', correlation: 'c' };
  t.equal(await s.call('/api', { egress: { subject: nobody } }), 'not_connected');
  t.equal(s.server.apiRequests, sent, 'nothing was sent');
});

t.test('client credentials: fetched once, renewed, a wrong secret is not hammered', async (t) => {
  const secret = { owner: 'acme', secret: 'crm-app' };
  const s = await oauthScene(
    t,
    file,
    { clientSecret: secret, clientAuth: 'client_secret_basic', resource: 'https://api.example/v1' },
    { owner: 'tenant', grant: 'client_credentials' },
  );
  s.server.clientSecret = 'canary:s ecret/ä';
  t.match(await s.fetch(s.connection, '/api'), {
    failure: { code: 'not_connected', message: /leasehold secret set acme crm-app/ },
  });
  s.vault.secrets.set('acme', 'crm-app', 'canary-wrong', 1);
  const wrong = await many(10, () => s.fetch(s.connection, '/api'));
  for (const one of wrong)
    t.match(one, { failure: { code: 'credential_rejected', message: /invalid_client.*leasehold secret set acme crm-app/ } });
  t.notMatch(JSON.stringify(wrong), /canary/);
  t.equal(s.server.tokenRequests.length, 1);
  s.vault.secrets.set('acme', 'crm-app', 'canary:s ecret/ä', 2);
  t.strictSame(new Set(await many(50, () => s.call('/api', { subject: randomBytes(4).toString('hex') }))), new Set([GOOD]));
  t.equal(s.server.tokenRequests.length, 2, 'a new secret is tried at once, and one token serves all subjects');
  t.match(Object.fromEntries(s.server.tokenRequests.at(-1) ?? []), {
    grant_type: 'client_credentials',
    scope: 'read',
    resource: 'https://api.example/v1',
  });
  s.pass(3_600_000);
  t.strictSame(new Set(await many(50, () => s.call())), new Set([GOOD]));
  s.server.expireAll();
  t.strictSame(new Set(await many(50, () => s.call())), new Set([GOOD]));
  t.equal(s.server.tokenRequests.length, 4);
  t.match(s.grant({ tenant: 'acme', slot: 'crm', owner: undefined }), { serial: 3, state: 'active' });
  const moved = { ...s.connection, oauth: { ...s.connection.oauth, clientId: 'other' } };
  t.equal(await s.call('/api', { connection: moved }), GOOD);
  t.notMatch(JSON.stringify(s.orders), /canary:s|canary-wrong|s%20ecret|s\+ecret/, 'the client secret stays here');
  t.equal(s.server.tokenRequests.length, 5, 'another client does not get the token of the first');
  t.notMatch(JSON.stringify(await s.records()) + s.onDisk(), /canary/);
});

t.test('no record, no token request', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection, STALE);
  await s.audit.close();
  t.equal(await s.call(), 'audit_unavailable');
  t.equal(s.server.tokenRequests.length, 0);
});

t.test('requests to authorization servers are guarded', async (t) => {
  const touched = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  let connections = 0;
  touched.on('connection', () => {
    connections += 1;
  });
  t.teardown(() => touched.close());
  await once(touched, 'listening');
  const { port } = touched.address() as AddressInfo;
  const guarded = new GuardedFetch({ privateOrigins: [], resolve: async () => ['127.0.0.1'] });
  t.teardown(() => guarded.close());
  for (const url of [
    `http://127.0.0.1:${port}/token`,
    `https://127.0.0.1:${port}/token`,
    `https://[::ffff:127.0.0.1]:${port}/token`,
    `https://rebound.example:${port}/token`,
    'https://169.254.169.254/latest',
    'file:///etc/passwd',
    'https://user:pass@as.example/',
  ]) {
    await t.rejects(guarded.fetch(url, { method: 'GET', headers: {} }), { name: 'NoAnswer', sent: false }, url);
  }
  await t.rejects(guarded.fetch('http://as.example/token', { method: 'GET', headers: {} }), { message: /not https/ });
  t.equal(connections, 0);
  const silent = await startUpstream(() => undefined);
  t.teardown(() => silent.close());
  const short = new GuardedFetch({ privateOrigins: [silent.origin], timeoutMs: 200 });
  t.teardown(() => short.close());
  await t.rejects(short.fetch(`${silent.origin}/`, { method: 'GET', headers: {} }), { message: /timeout/, sent: true });
});

t.test("an authorization server that may not be asked is the operator's to put right", async (t) => {
  const s = await oauthScene(t, file, {}, {}, { privateOrigins: [] });
  connect(s.vault.grants, s.server, s.connection, STALE);
  t.match(await s.fetch(s.connection, '/api'), {
    failure: {
      code: 'credential_rejected',
      message: /CRM does not take the application.*not https, nor private.*operator must check/,
    },
  });
  t.equal(s.server.tokenRequests.length, 0);
  t.match(s.grant(), { state: 'active' });
  t.equal(s.grant()?.refreshBegan, undefined, 'the refresh token was not spent');
});

t.test('discovery: the issuer must be the one that was asked', async (t) => {
  const documents = new Map<string, unknown>();
  const upstream = await startUpstream(({ url }, response) =>
    json(response, documents.get(url) ?? {}, documents.has(url) ? 200 : 404),
  );
  t.teardown(() => upstream.close());
  const guarded = new GuardedFetch({ privateOrigins: [upstream.origin] });
  t.teardown(() => guarded.close());
  const at = (path: string): CompiledOAuth => {
    const { endpoints: _, ...oauth } = oauthConnection(upstream.origin).oauth;
    return { ...oauth, endpoints: undefined, issuer: `${upstream.origin}${path}` };
  };
  const metadata = (path: string) => ({ issuer: `${upstream.origin}${path}`, token_endpoint: `${upstream.origin}/t` });
  documents.set('/.well-known/oauth-authorization-server/a', metadata('/a'));
  documents.set('/b/.well-known/openid-configuration', metadata('/b'));
  documents.set('/.well-known/oauth-authorization-server/c', metadata('/a'));
  const servers = new AuthorizationServers(guarded, Date.now);
  t.equal((await servers.of(at('/a'))).token_endpoint, `${upstream.origin}/t`);
  await many(10, () => servers.of(at('/a')));
  t.equal(upstream.received.length, 1, 'kept');
  t.equal((await servers.of(at('/b'))).token_endpoint, `${upstream.origin}/t`);
  const mixedUp = await servers.of(at('/c')).catch((error: unknown) => error);
  t.ok(mixedUp instanceof NoAnswer && mixedUp.refused, 'mix-up');
  await t.rejects(servers.of(at('/d')), NoAnswer);
  documents.set('/.well-known/oauth-authorization-server/d', metadata('/d'));
  t.ok(await servers.of(at('/d')), 'a failure is not kept');
});

t.test('endpoints without the one that a browser is sent to are a problem, where an account is to be connected', (t) => {
  const problems = (connection: OAuth2Connection) =>
    connectionProblems({ id: 'acme', connections: new Map([['crm', connection]]) }, { list: () => [] });
  const token = 'https://as.example/token';
  t.match(problems(oauthConnection('https://as.example', { endpoints: { token } })), [{ reason: /no endpoints\.authorization/ }]);
  const authorization = 'https://as.example/authorize';
  t.strictSame(problems(oauthConnection('https://as.example', { endpoints: { token, authorization } })), []);
  t.strictSame(problems(oauthConnection('https://as.example', { issuer: 'https://as.example', endpoints: undefined })), []);
  const clients = { grant: 'client_credentials' as const };
  t.strictSame(problems(oauthConnection('https://as.example', { endpoints: { token } }, clients)), []);
  t.end();
});

t.test('a link that cannot be put on record is no link', async (t) => {
  const cases = [
    [new AuditUnavailable('disk full'), 'audit_unavailable'],
    [new Error('a secret of the store'), 'internal_error'],
  ] as const;
  for (const [cause, code] of cases) {
    const s = await oauthScene(t, file, {}, {}, { connectLink: () => Promise.reject(cause) });
    const { tenant, connection } = { tenant: 'acme', connection: s.connection };
    const subject = { issuer: 'leasehold', subject: 'ada', correlation: 'C' };
    t.match(await s.credentials.ready({ tenant, connection, subject, scopes: [] }), { code });
    t.equal(await s.call(), code, 'on the way, too');
  }
});
