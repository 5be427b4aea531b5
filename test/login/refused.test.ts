// What the embedded authorization server does not do, whoever asks: each is refused, and what was stolen ends.
// Not responsible for stock clients (`clients`).
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose';
import t, { type Test } from 'tap';
import type { OAuth2Connection } from '../../src/config/compiled.ts';
import { connectOffer } from '../../src/connections/connect/connect-link.ts';
import { hashPassword } from '../../src/login/passwords.ts';
import { ROTATE_MS } from '../../src/login/signing-keys.ts';
import { SERVER_OWNER } from '../../src/shared/ids.ts';
import { INTROSPECTION_SECRET, SIGN_IN_CLIENT, startForeignIssuer } from '../auth/foreign-issuer.ts';
import { until } from '../helpers/cli.ts';
import type { ServedEstate } from '../helpers/runtime.ts';
import { PASSWORD, Person, REDIRECT, scene, signInAt, WireClient } from './login-scene.ts';
import { CANARY, ID_TOKENS, idToken, RULES, USER_INFOS, WAYS_BACK } from './upstream-answers.ts';

async function connected(t: Test, server?: Record<string, unknown>, registered = true) {
  const served = await scene(t, server);
  const client = new WireClient(served.runtime.url);
  if (registered) await client.register();
  return { served, client, acme: served.endpoint('acme'), globex: served.endpoint('globex') };
}
t.setTimeout(240_000);

const kindsOf = (records: { kind: string }[]) => records.map(({ kind }) => kind);

/** A number is a status without a body; a text is no JSON. */
function answer(response: ServerResponse, body: unknown): void {
  if (typeof body === 'number') response.writeHead(body, { location: '/elsewhere' }).end();
  else
    response.writeHead(200, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Errors of flows that are not known come behind a `#`. */
function answerAt(url: string): URLSearchParams {
  const { search, hash } = new URL(url);
  return new URLSearchParams(search === '' ? hash.slice(1) : search);
}

t.test('a token is for one tenant, one client, one use of its code', async (t) => {
  const { served, client, acme, globex } = await connected(t);
  // Nothing but what a token is for keeps it out of the other tenant.
  served.vault.memberships.grant('globex', 'ada', [], Date.now() - 60_000);
  const person = new Person();
  const answer = await person.through(client.url(acme));
  t.match(Object.fromEntries(answer), { state: 's', iss: served.runtime.url });
  const code = answer.get('code') ?? '';
  const other = new WireClient(served.runtime.url);
  await other.register();
  t.match(await other.redeem(code), { status: 400, json: { error: 'invalid_grant' } }, 'of another client');
  t.match((await person.open(other.url(acme))).text, /Allow Wire\?/, 'R11 what one application may, another one must ask for');
  t.match((await person.open(client.url(globex))).text, /Allow Wire\?/, 'and in each tenant');
  const elsewhere = 'https://app.example/cb';
  const careful = new WireClient(served.runtime.url);
  await careful.register({ redirect_uris: [REDIRECT, elsewhere] });
  await person.submit(await person.open(careful.url(acme, { scope: 'issues:read' })), { do: 'allow' });
  for (const [what, url, asked] of [
    ['the same', { scope: 'issues:read' }, false],
    ['more scopes', { scope: 'issues:read issues:write' }, true],
    ['another place to go back to', { scope: 'issues:read', redirect_uri: elsewhere }, true],
  ] as const)
    t.equal((await person.open(careful.url(acme, url))).text.includes('Allow Wire?'), asked, what);
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
  served.vault.memberships.grant('acme', 'ada', [], Date.now());
  const codeOf = async () => new URL((await person.open(client.url(acme))).url).searchParams.get('code') ?? '';
  const fourth = (await client.redeem(await codeOf())).json;
  const unused = await codeOf();
  t.equal((await client.refresh(fourth.refresh_token)).status, 200);
  const fifth = (await client.redeem(await codeOf())).json;
  // Somebody who is gone and comes back is another one.
  served.vault.memberships.revoke('acme', 'ada');
  served.vault.memberships.grant('acme', 'ada', [], Date.now() + 2000);
  t.notOk(await works(fifth.access_token), 'older than the membership');
  const ended = { status: 400, json: { error: 'invalid_grant' } };
  t.match(await client.refresh(fifth.refresh_token), ended, 'nor does an older sign-in give another one');
  t.match(await client.redeem(unused), ended);

  // Proved with a password that is changed before the browser goes on.
  const late = new Person();
  const on = await late.prove(client.url(acme));
  served.vault.users.setPassword('ada', await hashPassword('canary-another-password'), Date.now());
  await late.open(on);
  t.match((await late.open(client.url(acme))).text, /name="password"/, 'nobody is signed in by it');
  // Nor with one that is changed while it is compared: others' are before it.
  const [before, after] = [await hashPassword(PASSWORD), await hashPassword('canary-a-third-password')];
  served.vault.users.setPassword('ada', before, Date.now());
  const crowd = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(async (name) => [name, new Person()] as const));
  const pages = await Promise.all(crowd.map(async ([, one]) => one.open(client.url(acme))));
  const tried = crowd.map(([name, one], n) => one.submit(pages[n] as (typeof pages)[0], { do: 'sign-in', name, password: 'x' }));
  const page = await late.open(client.url(acme));
  const proving = late.submit(page, { do: 'sign-in', name: 'ada', password: PASSWORD });
  await tried[0];
  served.vault.users.setPassword('ada', after, Date.now());
  t.match(await proving, { status: 403, text: /password is wrong/ });
  await Promise.all(tried);
});

t.test('authorization requests that are refused', async (t) => {
  const inside = await startForeignIssuer(t);
  const { served, client, acme, globex } = await connected(t, { egress: { privateOrigins: [inside.origin] } });
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
  // Keys of clients, too, come over https only, whatever the operator lets connections do.
  await client.register({ token_endpoint_auth_method: 'private_key_jwt', jwks_uri: `${inside.origin}/keys` });
  const { privateKey } = await generateKeyPair('ES256');
  const assertion = await new SignJWT({ iss: client.id, sub: client.id, aud: served.runtime.url, jti: 'j' })
    .setProtectedHeader({ alg: 'ES256', kid: 'k' })
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(privateKey);
  const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
  const more = { client_assertion: assertion, client_assertion_type: jwtBearer };
  t.match(await client.redeem('c', more), { status: 401, json: { error: 'invalid_client' } });
  t.strictSame(inside.asked, []);
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
  for (const name of ['ada', 'Ada', ' ada', 'ADA ', 'aDa', 'ada'])
    last = await person.submit(last, { do: 'sign-in', name, password: `no ${name}` });
  t.match(last, { status: 429, text: /Too many attempts/ });
  const records = JSON.stringify([...(await served.audit('acme')), ...(await served.audit('globex'))]) + served.logs.join('');
  t.notMatch(records, /canary/);

  const out = await person.open(`${served.runtime.url}/sign-out`);
  t.match(await person.submit(out, {}), { text: /You are signed out/ });

  // A name is one short line, and turns nothing around.
  await client.register({ client_name: `Good\u202e\u200b\n${'x'.repeat(5000)}` });
  const named = await new Person().open(client.url(acme));
  t.match(named.text, /<strong>Goodx{96}<\/strong> wants to use/);
  await client.register({ client_name: '\u2066\u00ad ' });
  t.match((await new Person().open(client.url(acme))).text, /<strong>an application at 127\.0\.0\.1:9<\/strong> wants/);
  // Whoever is brought to sign in at a request that somebody else began, signs in nobody but themselves.
  const [thief, victim] = [new Person(), new Person()];
  const { url: planted } = await thief.open(client.url(globex));
  victim.plant(thief);
  const on = await victim.prove(planted, 'eve');
  t.match(on, /\/oauth\/authorize\//);
  t.match(await thief.open(on), { status: 400, text: /cannot be connected/ });
  t.match((await thief.open(client.url(globex))).text, /name="password"/);
  t.match((await victim.open(on)).text, /Allow/);

  // RFC 3986, section 3.4: a query may hold a question mark.
  const marked = client.url(globex, { state: undefined }).replace('?', '?state=a?b&');
  const mark = await new Person().through(marked, 'eve');
  t.match(Object.fromEntries(mark), { state: 'a?b', code: /./ });
  t.match((await person.open(client.url(globex))).text, /name="password"/);
});

t.test('by a provider: whatever is not proved signs nobody in, and is told exactly to the operator alone', async (t) => {
  const upstream = await startForeignIssuer(t);
  const { origin } = upstream;
  const application = { clientId: SIGN_IN_CLIENT, clientSecret: { secret: 'sign-in' } };
  const plain = (name: string) => ({
    ...application,
    title: name,
    endpoints: { authorization: `${origin}/authorize`, token: `${origin}/${name}/token`, userinfo: `${origin}/${name}/user` },
    subject: 'id',
  });
  const { auth } = signInAt(upstream, {
    strict: { ...application, issuer: origin, allow: { emailDomains: ['acme.example'], claims: { hd: ['acme.example'] } } },
    hub: plain('hub'),
    slow: plain('slow'),
    inside: { ...plain('inside'), endpoints: { ...plain('inside').endpoints, userinfo: 'https://169.254.169.254/latest' } },
    down: { ...application, issuer: 'http://127.0.0.1:1' },
    elsewhere: { ...plain('elsewhere'), tenants: ['globex'] },
  });
  const { served, client, acme, globex } = await connected(t, {
    auth: { embedded: { ...(auth as { embedded: object }).embedded, accounts: false } },
    egress: { privateOrigins: [origin, 'http://127.0.0.1:1'] },
    trustedProxies: ['127.0.0.1'],
  });
  served.vault.secrets.set(SERVER_OWNER, 'sign-in', INTROSPECTION_SECRET, Date.now());
  const { privateKey: strangerKey } = await generateKeyPair('RS256', { extractable: true });

  let tokens: unknown;
  let info: unknown;
  let asked = new URLSearchParams();
  const held: (() => void)[] = [];
  t.teardown(() => held.forEach((end) => end()));
  const verifiers: string[] = [];
  upstream.spoil = (request, response) => {
    const { url = '' } = request;
    if (url === '/slow/token') held.push(() => response.destroy());
    else if (url.endsWith('/token'))
      void text(request).then((body) => {
        verifiers.push(
          createHash('sha256')
            .update(new URLSearchParams(body).get('code_verifier') ?? '')
            .digest('base64url'),
        );
        answer(response, tokens);
      });
    else if (url.endsWith('/user') || url === '/me') answer(response, info);
    else return false;
    return true;
  };

  /** A person at the sign-in page. */
  async function at(resource = acme, more = {}): Promise<{ person: Person; page: { url: string; text: string } }> {
    const person = new Person(`${origin}/`);
    person.address = `192.0.2.${(people += 1)}`;
    return { person, page: await person.open(client.url(resource, more)) };
  }
  let people = 0;
  /** The query of a good way back, before anything is changed. */
  async function sent({ person, page }: Awaited<ReturnType<typeof at>>, provider: string): Promise<URLSearchParams> {
    const { url } = await person.submit(page, { do: 'sign-in-with', provider });
    asked = new URL(url).searchParams;
    return new URLSearchParams({ code: 'c', state: asked.get('state') ?? '', iss: origin });
  }
  const back = (person: Person, query: URLSearchParams) =>
    person.open(`${served.runtime.url}/sign-in/callback?${query.toString()}`);
  const good = async (claims: object = {}) => ({
    access_token: CANARY,
    token_type: 'Bearer',
    id_token: await idToken(upstream, asked.get('nonce') ?? '', claims),
  });
  const failures = async () => (await served.audit('acme')).filter(({ kind }: { kind: string }) => kind === 'login.failed');

  const slowly = at().then(async (who) => back(who.person, await sent(who, 'slow')));
  await t.test('the page', async (t) => {
    const { person, page } = await at();
    t.match(page.text, /Continue with The Company/);
    t.notMatch(page.text, /name="password"|Continue with elsewhere/, 'no accounts, and no provider of another tenant');
    t.match((await at(globex)).page.text, /Continue with elsewhere/);
    for (const provider of ['elsewhere', 'nobody', '__proto__', ''])
      t.equal((await person.submit(page, { do: 'sign-in-with', provider })).status, 404, provider);
    t.equal((await person.submit(page, { do: 'sign-in', name: 'ada', password: 'canary-correct-horse' })).status, 404);
    t.match(await person.submit(page, { do: 'sign-in-with', provider: 'down' }), { status: 502, text: /cannot be used/ });
    await sent({ person, page }, 'company');
    t.match(Object.fromEntries(asked), {
      client_id: SIGN_IN_CLIENT,
      redirect_uri: `${served.runtime.url}/sign-in/callback`,
      response_type: 'code',
      scope: 'openid profile email',
      code_challenge_method: 'S256',
      code_challenge: /^[\w-]{43}$/,
      state: /^[\w-]{43}$/,
      nonce: /^[\w-]{43}$/,
    });
    t.notOk(asked.has('prompt'));
    const again = await at(acme, { prompt: 'login' });
    await sent(again, 'company');
    t.equal(asked.get('prompt'), 'login', 'who must sign in again, must at the provider, too');
  });

  /** Sends the browser there and back, and expects a page that helps, an exact record, and nobody signed in. */
  async function refused(t: Test, why: string, provider: string, spoil: (query: URLSearchParams) => unknown, reason: RegExp) {
    if (people % 25 === 0 || crowd === undefined) crowd = await at();
    else people += 1;
    const query = await sent(crowd, provider);
    tokens = await good();
    await spoil(query);
    const page = await back(crowd.person, query);
    t.ok([200, 403, 502].includes(page.status), `${why}: ${page.status}`);
    t.match(page.text, /Try again/, why);
    t.notMatch(page.text, /canary|<b>|eyJ/, why);
    t.match((await crowd.person.open(crowd.page.url)).text, /Continue with/, `${why}: nobody is signed in`);
    const recorded = (await failures()).at(-1);
    t.match(recorded, { provider, reason, client: client.id, address: crowd.person.address }, why);
    t.ok(page.status === 200 || page.text.includes(recorded.correlation), `${why}: the operator finds it`);
  }
  let crowd: Awaited<ReturnType<typeof at>> | undefined;

  await t.test('ID tokens', async (t) => {
    for (const [why, make, reason] of ID_TOKENS)
      await refused(
        t,
        why,
        'company',
        async () =>
          (tokens = {
            access_token: CANARY,
            token_type: 'Bearer',
            id_token: await make({ issuer: upstream, nonce: asked.get('nonce') ?? '', strangerKey }),
          }),
        reason,
      );
  });
  await t.test('token endpoints', async (t) => {
    for (const [why, body, reason] of [
      ['no tokens', {}, /it failed \(|no tokens/],
      ['an error', { error: 'invalid_grant', error_description: CANARY }, /token request: invalid_grant/],
      ['a server error', 500, /token request: HTTP 500/],
      ['a redirect', 302, /token request: HTTP 302/],
      ['no JSON', CANARY, /no JSON|not a JSON object/],
      ['giant', { access_token: 'x'.repeat(300_000), token_type: 'Bearer' }, /too large/],
    ] as const)
      await refused(t, why, 'company', () => (tokens = body), reason);
  });
  await t.test('user info', async (t) => {
    for (const [why, body, reason] of USER_INFOS) await refused(t, why, 'hub', () => (info = body), reason);
    await refused(t, 'a private address', 'inside', () => undefined, /user info: .*ADDRESS_REFUSED/);
    for (const [why, body, reason, claims] of RULES) {
      const spoil = async () => {
        info = body;
        tokens = await good(claims);
      };
      await refused(t, why, 'strict', spoil, reason);
    }
    // The provider would give the same account once more.
    const { person } = await at();
    const page = await person.open(client.url(acme));
    const query = await sent({ person, page }, 'strict');
    t.equal(asked.get('prompt'), null);
    [tokens, info] = [await good(), { sub: 'ada' }];
    const answered = await back(person, query);
    const retry = /href="([^"]+)">Try again/.exec(answered.text)?.[1] ?? '';
    await sent({ person, page: await person.open(retry) }, 'strict');
    t.equal(asked.get('prompt'), 'login');
  });
  await t.test('ways back', async (t) => {
    for (const [why, change, reason] of WAYS_BACK) await refused(t, why, 'company', change, reason);
  });

  await t.test('a state is of one browser, and used once', async (t) => {
    const [ada, eve] = [await at(), await at()];
    const query = await sent(ada, 'hub');
    [tokens, info] = [await good(), { id: 42, login: 'ada <b>', email: CANARY.slice(0, 6) }];
    t.match(await back(eve.person, query), { status: 403, text: /begun in another browser/ });
    t.match((await failures()).at(-1), { reason: 'the state is of another browser', provider: 'hub' });
    t.match(await back(new Person(), query), { status: 403 }, 'nor of none');
    verifiers.length = 0;
    const both = await Promise.all([back(ada.person, query), back(ada.person, query)]);
    t.strictSame(verifiers, [asked.get('code_challenge')], 'the code comes with the verifier of its request (RFC 7636)');
    t.strictSame(
      both.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 404],
      'at the same moment: one of them',
    );
    t.match((await failures()).at(-1), { reason: 'the state was used already' });
    t.equal((await back(ada.person, query)).status, 404);
    for (const state of ['', 'x', 'x'.repeat(43), 'x'.repeat(2000)])
      t.equal(
        (await back(ada.person, new URLSearchParams({ ...Object.fromEntries(query), state }))).status,
        404,
        state.slice(0, 9),
      );
    t.match((await served.audit('_server')).at(-1), { kind: 'login.failed', reason: /no such state/ });
    t.equal((await back(eve.person, query)).status, 403);
    t.match((await eve.person.open(eve.page.url)).text, /Continue with/);

    // Of the two answers one signed in.
    const on = both.find(({ status }) => status === 200)?.text ?? '';
    const nobody = await ada.person.open(/url=([^"]+)"/.exec(on)?.[1] ?? '');
    t.match(nobody, { status: 403, text: /<code>leasehold user grant acme hub:42<\/code>/ });
    t.match(nobody.text, /canary \(hub\)/);
    t.notMatch(nobody.text, /<b>/);
    t.match(
      (await served.audit('acme')).findLast(({ kind }: { kind: string }) => kind === 'login.signed_in'),
      {
        subject: 'hub:42',
        provider: 'hub',
      },
    );

    // Somebody else in the same browser ends that session; what the rules need comes from user info.
    const again = { person: ada.person, page: await ada.person.open(client.url(acme, { prompt: 'login' })) };
    const next = await sent(again, 'strict');
    [tokens, info] = [await good(), { sub: 'ada', hd: 'acme.example', email: 'Ada@Acme.example', email_verified: true }];
    const second = await back(ada.person, next);
    t.match(await ada.person.open(/url=([^"]+)"/.exec(second.text)?.[1] ?? ''), { status: 403, text: /grant acme strict:ada</ });

    served.vault.memberships.grant('acme', 'strict:ada', [], Date.now());
    served.vault.memberships.grant('acme', 'elsewhere:7', [], Date.now());
    const allowed = await ada.person.submit(await ada.person.open(client.url(acme)), { do: 'allow' });
    const { json } = await client.redeem(new URL(allowed.url).searchParams.get('code') ?? '');
    t.match(await served.call('acme', 'whoami', {}, { token: json.access_token }), { text: /^acme strict:ada / });
  });

  t.match(await slowly, { status: 502, text: /slow could not sign you in/ });
  t.match((await failures()).at(-1), { provider: 'slow', reason: 'there was no answer in time' });
  const trail = JSON.stringify([...(await served.audit('acme')), ...(await served.audit('_server'))]) + served.logs.join('');
  t.notMatch(trail, /canary|eyJ/);
  const signedIn = (await served.audit('acme')).filter(({ kind }: { kind: string }) => kind === 'login.signed_in');
  t.equal(signedIn.length, 2);
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

t.test('no record: nobody is signed in, nothing is allowed, no token is given; and all of it works afterwards', async (t) => {
  const { served, client, acme } = await connected(t);
  const ada = new Person();
  const tokens = (await client.redeem((await ada.through(client.url(acme))).get('code') ?? '')).json;
  const session = ada.set.find((cookie) => cookie.includes('session'));
  t.match(session, /^lh-session=[^;]+; path=\/; .*samesite=lax; httponly$/i, 'on loopback, where there is no https');
  const codeOf = async () => new URL((await ada.open(client.url(acme))).url).searchParams.get('code') ?? '';
  const code = await codeOf();
  const eve = new Person();
  served.vault.memberships.grant('acme', 'eve', [], Date.now());
  const asked = await eve.open(client.url(acme));
  const other = new Person();
  const consent = await other.signIn(client.url(acme, { prompt: 'consent' }));

  const empty = await fillAuditDisk(served);
  const redeemed = await client.redeem(code);
  t.ok(redeemed.status >= 500 && redeemed.json.access_token === undefined && redeemed.json.refresh_token === undefined);
  const refreshed = await client.refresh(tokens.refresh_token);
  t.ok(refreshed.status >= 500 && refreshed.json.access_token === undefined && refreshed.json.refresh_token === undefined);
  t.ok((await eve.submit(asked, { do: 'sign-in', name: 'eve', password: PASSWORD })).status >= 500);
  t.match((await eve.open(client.url(acme))).text, /name="password"/, 'she is not signed in');
  t.ok((await other.submit(consent, { do: 'allow' })).status >= 500);
  t.ok((await ada.submit(await ada.open(`${served.runtime.url}/sign-out`), {})).status >= 500);
  const grants = served.vault.login.list('Grant', Date.now()).length;
  await empty();

  t.equal(served.vault.login.list('Grant', Date.now()).length, grants, 'nothing came of it later');
  t.match(await other.submit(consent, { do: 'allow' }), { url: /code=/ });
  t.match((await eve.signIn(client.url(acme), 'eve')).text, /Allow Wire/);
  t.equal((await client.redeem(await codeOf())).status, 200);
  const kinds = kindsOf(await served.audit('acme'));
  t.ok(kinds.includes('audit.gap'));
});

/** As if the disk under the audit were full, and no other: its journal's descriptor leads to /dev/full, and no other segment can be begun. */
async function fillAuditDisk({ dataDir, runtime }: ServedEstate): Promise<() => Promise<void>> {
  const folder = join(dataDir, 'audit', 'journal');
  const fd = readdirSync('/proc/self/fd')
    .map(Number)
    .find((one) => isIn(folder, one));
  if (fd === undefined) throw new Error('no journal is open');
  renameSync(folder, `${folder}.away`);
  writeFileSync(folder, '');
  closeSync(fd);
  if (openSync('/dev/full', 'w') !== fd) throw new Error('another file took the place of the journal');
  return async () => {
    rmSync(folder);
    renameSync(`${folder}.away`, folder);
    await until(async () => (await fetch(`${runtime.url}/readyz`)).status === 200);
  };
}

function isIn(folder: string, fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${folder}/`);
  } catch {
    return false;
  }
}

t.test(
  'signing keys are replaced under a running server: old tokens are good to their end, new ones are of the new key',
  async (t) => {
    const clock = Date.now;
    let ahead = 0;
    Date.now = () => clock() + ahead;
    t.teardown(() => (Date.now = clock));
    const { served, client, acme } = await connected(t);
    const person = new Person();
    const keys = async () => {
      const { keys }: any = await (await fetch(`${served.runtime.url}/oauth/jwks`)).json();
      return keys.map(({ kid }: { kid: string }) => kid) as string[];
    };
    const kidOf = (token: string) => decodeProtectedHeader(token).kid;
    const works = async (token: string) => (await served.call('acme', 'whoami', {}, { token })).status === 200;
    const [first] = await keys();
    ahead = ROTATE_MS - 60_000;
    await client.register();
    const old = (await client.redeem((await person.through(client.url(acme))).get('code') ?? '')).json;
    t.equal(kidOf(old.access_token), first);
    ahead += 120_000;
    const anew = (await client.refresh(old.refresh_token)).json;
    const [second, ...others] = await keys();
    t.strictSame([kidOf(anew.access_token), others], [second, [first]], 'both are published');
    t.not(second, first);
    t.strictSame([await works(old.access_token), await works(anew.access_token)], [true, true]);
    ahead += 600_000;
    t.strictSame([await works(old.access_token), await works(anew.access_token)], [false, false], 'ten minutes each');
    ahead += 86_400_000;
    t.strictSame(await keys(), [second]);
    t.ok(await works((await client.refresh(anew.refresh_token)).json.access_token));
  },
);

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
  const get = async (path: string, more: Record<string, string> = {}, method = 'GET', body = '') => {
    const headers = { host: 'mcp.example.test', 'x-forwarded-host': 'evil.example', ...more };
    const request = httpRequest({ port, path, method, headers });
    const [response] = (await once(request.end(body), 'response')) as [IncomingMessage];
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

  // Somebody signed in: that cookie no sibling host and no plain http can set or see.
  class Proxied extends Person {
    protected override async send(url: string, { body, headers, method }: RequestInit): Promise<Response> {
      const form = { ...(headers as Record<string, string>), 'content-type': 'application/x-www-form-urlencoded' };
      const path = url.slice(base.length);
      const answer = await get(path, form, method, body instanceof URLSearchParams ? body.toString() : '');
      const { location, 'set-cookie': set = [] } = answer.headers;
      const kept = [...set.map((line) => ['set-cookie', line]), ...(location === undefined ? [] : [['location', location]])];
      return new Response(answer.text, { status: answer.status ?? 0, headers: kept as [string, string][] });
    }
  }
  const person = new Proxied();
  const browsed = Object.assign(new WireClient(base), { id: 'c' });
  t.match((await person.through(browsed.url(`${base}/t/acme/mcp`))).get('code'), /./);
  const sessions = person.set.filter((cookie) => cookie.includes('session'));
  t.ok(sessions.length >= 2, 'it, and its signature');
  for (const cookie of sessions) {
    t.match(cookie, /^__Host-lh-session(?:\.sig)?=[^;]+; path=\/; .*samesite=lax; secure; httponly$/i);
    t.notMatch(cookie, /domain/i);
  }
});
const CLIENT = {
  client_id: 'c',
  redirect_uris: [REDIRECT],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
  application_type: 'native',
};
