// The code exchange with servers that differ from the RFCs, misbehave, or are somewhere they must not be.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { CompiledOAuth } from '../../src/config/compiled.ts';
import { PRESETS } from '../../src/config/provider-presets.ts';
import { accountName } from '../../src/connections/connect/account-name.ts';
import { type Application, Authorization, type AuthorizationPorts } from '../../src/connections/connect/authorization.ts';
import { lackingScopes, newGrant } from '../../src/connections/oauth/grant-facts.ts';
import { startProxy } from '../bindings/proxy-server.ts';
import { TEST_CERTIFICATE } from '../bindings/upstream-server.ts';
import { oauthConnection } from './oauth-scene.ts';
import { FaultyServer } from './faulty-server.ts';

t.setTimeout(120_000);
const REDIRECT = 'https://lh.example/connect/callback';
const SECRET = 'canary secret+%:';

async function scene(t: Test, oauth: Partial<CompiledOAuth> = {}, privately = true) {
  const server = await FaultyServer.start();
  t.teardown(() => server.close());
  const authorization = new Authorization({
    privateOrigins: privately ? [server.origin] : [],
    redirectUri: () => REDIRECT,
    now: Date.now,
  });
  t.teardown(() => authorization.close());
  const endpoints = { authorization: `${server.origin}/authorize?tenant=x`, token: `${server.origin}/token` };
  const known = oauthConnection(server.origin, { endpoints, ...oauth }).oauth;
  const secret = known.clientAuth === 'none' ? undefined : { value: SECRET, version: '1' };
  const application: Application = { oauth: known, secret, scopes: ['read', 'write'] };
  return {
    server,
    authorization,
    application,
    async exchange(more: Record<string, string> = {}, used = application) {
      const begun = await authorization.begin(used);
      if (!begun.ok) return begun;
      const answer = new URLSearchParams({ code: 'good-code', state: begun.state, ...more });
      return authorization.finish(used, answer, begun);
    },
  };
}

t.test('what is asked of the browser and of the token endpoint, for each way to authenticate', async (t) => {
  for (const clientAuth of ['client_secret_basic', 'client_secret_post', 'none'] as const) {
    const s = await scene(t, {
      clientAuth,
      resource: 'https://api.example',
      quirks: { authorizationParameters: { access_type: 'offline', state: 'x', code_challenge: 'x' } },
    });
    const begun = await s.authorization.begin(s.application);
    if (!begun.ok) throw new Error(begun.reason);
    const url = new URL(begun.url);
    t.match(Object.fromEntries(url.searchParams), {
      tenant: 'x',
      access_type: 'offline',
      resource: 'https://api.example',
      scope: 'read write',
      state: begun.state,
      redirect_uri: REDIRECT,
      code_challenge: createHash('sha256').update(begun.verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    t.equal(url.searchParams.getAll('state').length, 1);
    const done = await s.authorization.finish(
      s.application,
      new URLSearchParams({ code: 'good-code', state: begun.state }),
      begun,
    );
    t.match(done, {
      ok: true,
      tokens: { accessToken: /^canary-access/, refreshToken: /^canary-refresh/, expiresInMs: 3_600_000 },
    });
    const [body] = s.server.tokenRequests;
    t.match(Object.fromEntries(body ?? []), {
      grant_type: 'authorization_code',
      code: 'good-code',
      redirect_uri: REDIRECT,
      code_verifier: begun.verifier,
      resource: 'https://api.example',
    });
    const header = s.server.upstream.received.at(-1)?.headers.authorization;
    if (clientAuth === 'client_secret_basic')
      t.equal(Buffer.from(header?.slice(6) ?? '', 'base64').toString(), 'leasehold-test:canary+secret%2B%25%3A');
    else
      t.strictSame(
        [header, body?.get('client_id'), body?.get('client_secret') || undefined],
        [undefined, 'leasehold-test', clientAuth === 'none' ? undefined : SECRET],
      );
    const second = await s.authorization.begin(s.application);
    t.ok(second.ok && second.state !== begun.state && second.verifier !== begun.verifier);
  }
});

t.test('services that differ: errors with 200, commas, no lifetime, iss of an unnamed issuer', async (t) => {
  const github = await scene(t, { quirks: PRESETS['github']?.quirks ?? {} });
  github.server.fault = (_body, response) => {
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end('{"error":"bad_verification_code","error_description":"canary"}');
    return false;
  };
  t.strictSame(await github.exchange(), { ok: false, reason: 'token request: bad_verification_code' });
  github.server.fault = () => true;
  github.server.expiresIn = undefined;
  github.server.extra = { scope: 'repo,gist' };
  const done = await github.exchange();
  if (!done.ok) throw new Error(done.reason);
  t.match(done.tokens, { scopes: ['repo', 'gist'] });
  t.notOk('expiresInMs' in done.tokens);
  const grant = newGrant('G', github.application.oauth, done.tokens, 0, ['repo', 'gist', 'user']);
  t.strictSame(lackingScopes(grant, github.application.oauth, ['repo', 'user']), [], 'reduced scopes stand for what was asked');
  t.match(await github.exchange({ iss: github.server.origin }), { ok: true });
  t.match(await github.exchange({ iss: `${github.server.origin}/login/oauth` }), { ok: true }, 'of the same origin');
  t.match(await github.exchange({ iss: 'https://evil.example' }), { ok: false });
  t.match(await github.exchange({ code: 'bad-code' }), { ok: false, reason: 'token request: invalid_grant' });
});

t.test('answers that cannot be used, and no answers', async (t) => {
  const s = await scene(t, { clientAuth: 'client_secret_post' });
  const cases: [string, (response: ServerResponse) => void][] = [
    ['HTML', (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<h1>canary</h1>')],
    ['an error page', (r) => r.writeHead(500, { 'content-type': 'text/html' }).end('<h1>canary</h1>')],
    ['a redirect', (r) => r.writeHead(302, { location: `${s.server.origin}/elsewhere` }).end()],
    [
      'a large body',
      (r) =>
        r
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ access_token: 'canary', token_type: 'bearer', x: 'x'.repeat(400_000) })),
    ],
    ['no token type', (r) => r.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"canary"}')],
    [
      'a token that is no text',
      (r) =>
        r.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":{"a":"canary"},"token_type":"bearer"}'),
    ],
    ['no object', (r) => r.writeHead(200, { 'content-type': 'application/json' }).end('["canary"]')],
    ['half of it', (r) => r.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"canary')],
    ['a reset', (r) => r.destroy()],
  ];
  for (const [name, answer] of cases) {
    s.server.fault = (_body, response) => {
      answer(response);
      return false;
    };
    const done = await s.exchange();
    t.equal(done.ok, false, name);
    t.notMatch(JSON.stringify(done), /canary/, name);
  }
  t.notOk(
    s.server.upstream.received.some(({ url }) => url === '/elsewhere'),
    'followed nowhere',
  );
  s.server.fault = () => false;
  const begun = performance.now();
  t.equal((await s.exchange()).ok, false, 'nothing at all');
  t.ok(performance.now() - begun < 30_000);
});

t.test('addresses: private ones need the word of the operator', async (t) => {
  const s = await scene(t, {}, false);
  t.match(await s.exchange(), { ok: false, reason: /address that is not allowed/ });
  const named = new Authorization({
    privateOrigins: [],
    redirectUri: () => REDIRECT,
    now: Date.now,
    resolve: async () => ['127.0.0.1'],
  });
  t.teardown(() => named.close());
  const endpoints = { authorization: 'https://as.example/authorize', token: 'https://as.example/token' };
  const application = { ...s.application, oauth: { ...s.application.oauth, endpoints } };
  const begun = await named.begin(application);
  if (!begun.ok) throw new Error(begun.reason);
  const answer = new URLSearchParams({ code: 'good-code', state: begun.state });
  t.match(
    await named.finish(application, answer, begun),
    { ok: false, reason: /ADDRESS_REFUSED/ },
    'a public name at a private address',
  );
  t.equal(s.server.tokenRequests.length, 0);
});

t.test("the operator's proxy and certificate authority serve the exchange too, and the guard on addresses stays", async (t) => {
  const server = await FaultyServer.start({ tls: true });
  t.teardown(() => server.close());
  const proxy = await startProxy(t);
  const authority = `upstream.test:${server.upstream.port}`;
  const net = { proxy: proxy.origin, ca: TEST_CERTIFICATE.toString() };
  const tried = async (origin: string, more: Partial<AuthorizationPorts>) => {
    const authorization = new Authorization({ privateOrigins: [], redirectUri: () => REDIRECT, now: Date.now, ...more });
    t.teardown(() => authorization.close());
    const endpoints = { authorization: `${origin}/authorize`, token: `${origin}/token` };
    const { oauth } = oauthConnection(origin, { endpoints });
    const application: Application = { oauth, secret: undefined, scopes: ['read'] };
    const begun = await authorization.begin(application);
    if (!begun.ok) return begun;
    return authorization.finish(application, new URLSearchParams({ code: 'good-code', state: begun.state }), begun);
  };
  t.match(await tried(`https://${authority}`, { net }), { ok: true, tokens: { accessToken: /^canary-access/ } });
  t.strictSame(proxy.asked, [authority], 'one tunnel, by name');
  t.equal(server.tokenRequests.length, 1);

  const direct = `https://localhost:${server.upstream.port}`;
  t.match(await tried(direct, { net, privateOrigins: [direct] }), { ok: true }, 'a private origin is reached directly');
  t.equal(proxy.asked.length, 1);
  t.match(
    await tried(direct, { net: { proxy: net.proxy }, privateOrigins: [direct] }),
    { ok: false, reason: 'it failed (DEPTH_ZERO_SELF_SIGNED_CERT)' },
    'nobody vouches for its certificate',
  );
  t.match(
    await tried(direct, { net: { ca: net.ca } }),
    { ok: false, reason: /ADDRESS_REFUSED/ },
    'nor did the operator allow it',
  );
  const literal = `https://127.0.0.1:${server.upstream.port}`;
  t.match(await tried(literal, { net }), { ok: false, reason: /address that is not allowed/ }, 'an address is judged here');
  t.equal(proxy.asked.length, 1);
  for (const [status, code] of [
    [403, 'PROXY_REFUSED'],
    [502, 'PROXY_FAILED'],
  ] as const) {
    proxy.status = status;
    t.match(await tried(`https://${authority}`, { net }), { ok: false, reason: `it failed (${code})` });
  }
  t.equal(server.tokenRequests.length, 2, 'none but the two that succeeded');
});

t.test('debug output of the libraries stays off: it holds secrets', async (t) => {
  const s = await scene(t, { clientAuth: 'client_secret_post' });
  const script = `
    import { Authorization } from ${JSON.stringify(new URL('../../src/connections/connect/authorization.ts', import.meta.url).href)};
    const a = new Authorization({ privateOrigins: [${JSON.stringify(s.server.origin)}], redirectUri: () => ${JSON.stringify(REDIRECT)}, now: Date.now });
    const app = ${JSON.stringify(s.application)};
    const begun = await a.begin(app);
    const done = await a.finish(app, new URLSearchParams({ code: 'good-code', state: begun.state }), begun);
    console.log(done.ok);
    await a.close();`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, DEBUG: '*' },
  });
  t.equal(stdout, 'true\n');
  t.notMatch(stderr, /canary|good-code/);
});

t.test('the name of an account: a line for people, or nothing', (t) => {
  const token = (claims: unknown): string => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;
  const named = (claims: unknown) => accountName({ id_token: token(claims) });
  t.equal(named({ preferred_username: 'octocat', email: 'o@x.example' }), 'octocat');
  t.equal(named({ preferred_username: '', email: 'o@x.example' }), 'o@x.example');
  t.equal(named({ name: 'a\u001b[31m\u202eb\n' }), 'a[31mb');
  t.equal(named({ name: 'x'.repeat(1000) })?.length, 200);
  for (const bad of [
    undefined,
    null,
    'x',
    {},
    { id_token: 1 },
    { id_token: 'x' },
    { id_token: 'x.e30.y' },
    { id_token: `x.${'a'.repeat(20_000)}.y` },
  ])
    t.equal(accountName(bad), undefined);
  for (const bad of [null, [], 'x', { name: { a: 1 } }]) t.equal(named(bad), undefined);
  t.end();
});
