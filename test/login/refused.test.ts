// What the embedded authorization server does not do, whoever asks: each is refused, and what was stolen ends.
// Not responsible for stock clients (`clients`).
import { request as httpRequest } from 'node:http';
import { once } from 'node:events';
import { decodeJwt } from 'jose';
import t, { type Test } from 'tap';
import type { OAuth2Connection } from '../../src/config/compiled.ts';
import { connectOffer } from '../../src/connections/connect/connect-link.ts';
import { Person, REDIRECT, scene, WireClient } from './login-scene.ts';

async function connected(t: Test, server?: Record<string, unknown>, registered = true) {
  const served = await scene(t, server);
  const client = new WireClient(served.runtime.url);
  if (registered) await client.register();
  return { served, client, acme: served.endpoint('acme'), globex: served.endpoint('globex') };
}
t.setTimeout(240_000);

const kindsOf = (records: { kind: string }[]) => records.map(({ kind }) => kind);

/** Errors of flows that are not known come behind a `#`. */
function answerAt(url: string): URLSearchParams {
  const { search, hash } = new URL(url);
  return new URLSearchParams(search === '' ? hash.slice(1) : search);
}

t.test('a token is for one tenant, one client, one use of its code', async (t) => {
  const { served, client, acme, globex } = await connected(t);
  const person = new Person();
  const answer = await person.through(client.url(acme));
  t.match(Object.fromEntries(answer), { state: 's', iss: served.runtime.url });
  const code = answer.get('code') ?? '';
  const other = new WireClient(served.runtime.url);
  await other.register();
  t.match(await other.redeem(code), { status: 400, json: { error: 'invalid_grant' } }, 'of another client');
  t.match(await client.redeem(code, { code_verifier: 'w'.repeat(43) }), { status: 400 }, 'wrong verifier');
  const next = (await person.open(client.url(acme))).url;
  const good = new URL(next).searchParams.get('code') ?? '';
  t.match(
    await client.redeem(good, { resource: globex }),
    { status: 400, json: { error: 'invalid_target' } },
    'for another tenant',
  );

  const fresh = new URL((await person.open(client.url(acme))).url).searchParams.get('code') ?? '';
  const twice = await Promise.all([client.redeem(fresh), client.redeem(fresh)]);
  t.strictSame(
    twice.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 400],
    'at the same moment: one of them',
  );
  const { access_token: stolen } = twice.find(({ status }) => status === 200)?.json ?? {};
  t.equal((await served.call('acme', 'whoami', {}, { token: stolen })).status, 401, 'and that one ends');

  const last = new URL((await person.open(client.url(acme))).url).searchParams.get('code') ?? '';
  const { json } = await client.redeem(last);
  t.match(decodeJwt(json.access_token), { iss: served.runtime.url, aud: acme, sub: 'ada', client_id: client.id });
  t.equal((await served.call('acme', 'whoami', {}, { token: json.access_token })).status, 200);
  t.equal((await served.call('globex', 'whoami', {}, { token: json.access_token })).status, 401, 'of another tenant');
  t.equal((await served.call('closed', 'whoami', {}, { token: json.access_token })).status, 401);
  t.match(await client.redeem(last), { status: 400, json: { error: 'invalid_grant' } }, 'a second time');
  t.equal((await served.call('acme', 'whoami', {}, { token: json.access_token })).status, 401, 'what came of the code ends');
  t.match(await client.refresh(json.refresh_token), { status: 400, json: { error: 'invalid_grant' } });
  t.equal(kindsOf(await served.audit('acme')).filter((kind) => kind === 'login.reused').length, 2);
});

t.test('a refresh token that comes twice ends its family, and no other; a revoked one ends at once', async (t) => {
  const { served, client, acme } = await connected(t);
  const person = new Person();
  const first = (await client.redeem((await person.through(client.url(acme))).get('code') ?? '')).json;
  const other = (await client.redeem(new URL((await person.open(client.url(acme))).url).searchParams.get('code') ?? '')).json;
  const second = (await client.refresh(first.refresh_token)).json;
  t.not(second.refresh_token, first.refresh_token);
  const works = async (token: string) => (await served.call('acme', 'whoami', {}, { token })).status === 200;
  t.ok(await works(second.access_token));
  t.match(await client.refresh(first.refresh_token), { status: 400, json: { error: 'invalid_grant' } });
  t.match(await client.refresh(second.refresh_token), { status: 400, json: { error: 'invalid_grant' } });
  t.strictSame([await works(first.access_token), await works(second.access_token)], [false, false]);
  t.ok(await works(other.access_token), 'another sign-in of the same client');
  t.equal((await client.post('/oauth/revoke', { token: other.refresh_token })).status, 200);
  t.notOk(await works(other.access_token));
  const kinds = kindsOf(await served.audit('acme'));
  t.ok(kinds.includes('login.reused') && kinds.includes('login.revoked'));

  // Taken back between two refreshes.
  const third = (await client.redeem(new URL((await person.open(client.url(acme))).url).searchParams.get('code') ?? '')).json;
  served.vault.memberships.grant('acme', 'ada', ['issues:read'], Date.now());
  const fewer = (await client.refresh(third.refresh_token)).json;
  t.equal(fewer.scope, 'mcp issues:read');
  served.vault.memberships.revoke('acme', 'ada');
  t.match(await client.refresh(fewer.refresh_token), { status: 400, json: { error: 'invalid_grant' } });
  // A user who is gone and comes back is another one.
  served.vault.memberships.grant('acme', 'ada', [], Date.now() + 2000);
  t.notOk(await works(fewer.access_token), 'older than the membership');
});

t.test('authorization requests that are refused', async (t) => {
  const { served, client, acme, globex } = await connected(t);
  const person = new Person();
  const errorOf = async (url: string) => answerAt((await person.open(url)).url).get('error');
  for (const [why, url, error] of [
    ['no PKCE', client.url(acme, { code_challenge: undefined, code_challenge_method: undefined }), 'invalid_request'],
    ['plain PKCE', client.url(acme, { code_challenge_method: 'plain' }), 'invalid_request'],
    ['no resource', client.url(acme, { resource: undefined }), 'invalid_target'],
    ['not ours', client.url('https://evil.example/t/acme/mcp'), 'invalid_target'],
    ['two resources', `${client.url(acme)}&resource=${encodeURIComponent(globex)}`, 'invalid_target'],
    ['not embedded', client.url(served.endpoint('closed')), 'invalid_target'],
    ['implicit', client.url(acme, { response_type: 'token' }), 'unsupported_response_type'],
  ] as const)
    t.equal(await errorOf(url), error, why);
  for (const [why, url] of [
    ['another address', client.url(acme, { redirect_uri: 'https://evil.example/cb' })],
    ['another path', client.url(acme, { redirect_uri: 'http://127.0.0.1:9/callback/../x' })],
    ['no address', client.url(acme, { redirect_uri: undefined })],
    ['unknown client', client.url(acme, { client_id: 'nobody' })],
    ['document on a private address', client.url(acme, { client_id: 'https://127.0.0.1/client.json' })],
  ] as const) {
    const page = await person.open(url);
    t.match(page, { status: 400, text: /This application cannot be connected/ }, why);
    t.notMatch(page.text, /evil|<script/);
  }
  for (const metadata of [
    { redirect_uris: ['http://evil.example/cb'] },
    { redirect_uris: ['javascript:alert(1)'] },
    { redirect_uris: ['cursor://cb'] },
    { redirect_uris: [] },
    { grant_types: ['password'] },
    { grant_types: ['client_credentials'] },
  ])
    t.equal((await client.register(metadata)).status, 400, JSON.stringify(metadata));
  for (const grant of ['password', 'client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'])
    t.match(await client.post('/oauth/token', { grant_type: grant }), { status: 400 }, grant);
  let registered = 0;
  for (let n = 0; n < 12; n += 1) if ((await client.register()).status === 201) registered += 1;
  t.ok(registered < 12, 'registrations are limited');
});

t.test('pages: no step of another browser, no form of another site, no member by wish', async (t) => {
  const { served, client, acme, globex } = await connected(t);
  const person = new Person();
  const page = await person.open(client.url(globex));
  t.match(page.text, /wants to use <strong>globex/);
  const other = new Person();
  t.equal((await other.open(page.url)).status, 404, 'another browser');
  t.equal((await person.fetch(page.url, { method: 'POST', body: new URLSearchParams({ do: 'deny' }) })).status, 403, 'no Origin');
  t.match(await person.submit({ ...page, text: '' }, { do: 'deny' }), { status: 403, text: /form has expired/ }, 'no token');
  const wrong = await person.submit(page, { do: 'sign-in', name: 'ada', password: 'nope' });
  const nobody = await person.submit(page, { do: 'sign-in', name: 'nobody', password: 'canary-typed-here' });
  const shape = ({ status, text }: { status: number; text: string }) => [status, text.replace(/value="[^"]+"/g, '')];
  t.strictSame(shape(nobody), shape(wrong), 'a name that does not exist looks like a wrong password');
  const refused = await person.submit(wrong, { do: 'sign-in', name: 'ada', password: 'canary-correct-horse' });
  t.match(refused, { status: 403, text: /ada cannot use globex/ });
  t.match(await person.submit(refused, { do: 'allow' }), { status: 404 }, 'no member allows anything');
  const gone = await person.open(client.url(served.endpoint('nowhere')));
  t.equal(shape(gone)[0], 403);
  t.match(gone.text, /ada cannot use nowhere/, 'a tenant that does not exist looks the same');
  const denied = await person.submit(gone, { do: 'deny' });
  t.match(new URL(denied.url).searchParams.get('error'), 'access_denied');
  const again = await person.submit(await person.open(client.url(globex)), { do: 'another' });
  t.match(again.text, /name="password"/, 'another account');
  t.match(await person.submit(again, { do: 'sign-in', name: 'eve', password: 'canary-correct-horse' }), { text: /Allow Wire\?/ });

  // Attempts from one address, for one name; another name goes on.
  let last = await person.open(client.url(acme, { prompt: 'login' }));
  for (let n = 0; n < 6; n += 1) last = await person.submit(last, { do: 'sign-in', name: 'ada', password: `no ${n}` });
  t.match(last, { status: 429, text: /Too many attempts/ });
  const records = JSON.stringify([...(await served.audit('acme')), ...(await served.audit('globex'))]) + served.logs.join('');
  t.notMatch(records, /canary/);

  const out = await person.open(`${served.runtime.url}/sign-out`);
  t.match(await person.submit(out, {}), { text: /You are signed out/ });
  t.match((await person.open(client.url(globex))).text, /name="password"/);
});

t.test('who is signed in needs no code to connect an account, and somebody else finds nothing', async (t) => {
  const { served, client, acme } = await connected(t);
  const { vault, runtime } = served;
  const audit = { append: async () => undefined, healthy: () => true, close: async () => undefined };
  const connection = runtime.registry.get('acme')?.config.connections.get('crm') as OAuth2Connection;
  const owner = { issuer: runtime.url, subject: 'ada' };
  const { url } = await connectOffer({ flows: vault.flows, audit, now: Date.now }, runtime.url, {
    key: { tenant: 'acme', slot: 'crm', owner },
    connection,
    scopes: [],
    asker: { ...owner, correlation: 'C' },
  });
  vault.memberships.grant('acme', 'eve', [], Date.now());
  const [nobody, ada, eve] = [new Person(), new Person(), new Person()];
  t.match(await nobody.open(url), { status: 200, text: /name="code"/ });
  await ada.signIn(client.url(acme));
  const page = await ada.open(url);
  t.equal(page.status, 200);
  t.notMatch(page.text, /name="code"/);
  await eve.signIn(client.url(acme), 'eve');
  t.equal((await eve.open(url)).status, 404);
});

t.test('nothing is there where no tenant wants it', async (t) => {
  const served = await scene(t, { auth: {} });
  for (const path of ['/.well-known/oauth-authorization-server', '/oauth/authorize', '/oauth/jwks', '/sign-in/x', '/sign-out'])
    t.equal((await fetch(served.runtime.url + path)).status, 404, path);
});

t.test('metadata says what there is; private keys stay; a changed token is none', async (t) => {
  const { served, client, acme } = await connected(t);
  const metadata: any = await (await fetch(`${served.runtime.url}/.well-known/oauth-authorization-server`)).json();
  t.match(metadata, {
    issuer: served.runtime.url,
    code_challenge_methods_supported: ['S256'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    response_types_supported: ['code'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: true,
    revocation_endpoint: /./,
  });
  const { keys }: any = await (await fetch(metadata.jwks_uri)).json();
  t.equal(keys.length, 1);
  t.strictSame([keys[0].alg, keys[0].d], ['ES256', undefined], 'public only');
  t.equal(
    (await fetch(`${served.runtime.url}/oauth/jwks`, { headers: { host: 'x', 'x-forwarded-host': 'evil.example' } })).status,
    200,
  );
  const token = (await client.redeem((await new Person().through(client.url(acme))).get('code') ?? '')).json.access_token;
  const [head = '', , signature = ''] = token.split('.');
  const claims = { ...decodeJwt(token), sub: 'eve' };
  const forged = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
  t.equal((await served.call('acme', 'whoami', {}, { token: forged })).status, 401);
  t.equal((await served.call('acme', 'whoami', {}, { token })).status, 200);
});

t.test('behind a proxy: addresses are those of the public URL, cookies are bound to https', async (t) => {
  const { served } = await connected(t, { publicUrl: 'https://mcp.example.test/base' }, false);
  const { port } = served.runtime;
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const request = httpRequest({
      port,
      path,
      headers: { host: 'mcp.example.test', 'x-forwarded-host': 'evil.example', ...headers },
    });
    const [response] = await once(request.end(), 'response');
    let text = '';
    for await (const part of response) text += part;
    return { status: response.statusCode, headers: response.headers, text };
  };
  const base = 'https://mcp.example.test/base';
  for (const path of ['/.well-known/oauth-authorization-server/base', '/.well-known/oauth-authorization-server'])
    t.match(JSON.parse((await get(path)).text), {
      issuer: base,
      authorization_endpoint: `${base}/oauth/authorize`,
      token_endpoint: `${base}/oauth/token`,
      registration_endpoint: `${base}/oauth/register`,
      jwks_uri: `${base}/oauth/jwks`,
    });
  served.vault.login.put('Client', 'c', { value: CLIENT, expiresAt: Date.now() + 60_000 }, {}, 10);
  const client = new WireClient('');
  client.id = 'c';
  const sent = await get(client.url(`${base}/t/acme/mcp`));
  t.match(sent, { status: 303, headers: { location: /^https:\/\/mcp\.example\.test\/base\/sign-in\/[\w-]+$/ } });
  const cookies: string[] = sent.headers['set-cookie'] ?? [];
  t.equal(cookies.length, 4, 'two, and their signatures');
  for (const cookie of cookies) t.match(cookie, /^lh-(?:interaction|resume)(?:\.sig)?=.*; path=\/base\/.*; secure; httponly/i);
  const page = await get(new URL(sent.headers.location ?? '').pathname.slice('/base'.length), {
    cookie: cookies.map((cookie) => cookie.split(';')[0]).join('; '),
  });
  t.match(page, { status: 200, text: /wants to use <strong>acme/ });
});
const CLIENT = {
  client_id: 'c',
  redirect_uris: [REDIRECT],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
  application_type: 'native',
};
