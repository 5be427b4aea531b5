// Access tokens of a foreign issuer against a whole running server: what lets in, and tables of what must not.
import { createHmac } from 'node:crypto';
import { exportSPKI, generateKeyPair, importJWK } from 'jose';
import t, { type Test } from 'tap';
import { IssuerKeys } from '../../src/auth/issuer-keys.ts';
import { toolset, writeTenant } from '../helpers/estate.ts';
import { modern, post, raw, type Reply, rpc } from '../helpers/mcp-wire.ts';
import { serve, type ServedEstate } from '../helpers/runtime.ts';
import { type ForeignIssuer, INTROSPECTION_SECRET, startForeignIssuer } from './foreign-issuer.ts';

t.setTimeout(240_000);

const TOOLS = toolset(`
  whoami: defineTool({ description: 'who', handler: (_a, ctx) => [ctx.tenant, ctx.subject, [...ctx.scopes].toSorted().join('+')].join(' ') }),
  write: defineTool({ description: 'w', scopes: ['write', 'audit'], handler: () => 'written' }),
`);

interface Scene {
  readonly served: ServedEstate;
  readonly issuer: ForeignIssuer;
  /** Address of the tenant's endpoint: the audience. */
  readonly aud: (tenant?: string) => string;
  readonly whoami: (token: string, tenant?: string, headers?: Record<string, string>) => Promise<Reply>;
  readonly said: (token: string, tenant?: string) => Promise<string>;
  /** Refusals in the audit of the tenant, oldest first. */
  readonly denials: (tenant?: string) => Promise<{ code: string; reason: string }[]>;
}

async function scene(
  t: Test,
  auth: (origin: string) => object,
  more: { tenants?: object; server?: object } = {},
): Promise<Scene> {
  const issuer = await startForeignIssuer(t);
  const tenants = (more.tenants ?? { acme: {}, globex: {} }) as Record<string, object>;
  const served = await serve(t, {
    server: { auth: auth(issuer.origin), egress: { privateOrigins: [issuer.origin] }, ...more.server },
    tenants: Object.fromEntries(
      Object.entries(tenants).map(([id, tenant]) => [
        id,
        { tenant: tenant as Record<string, unknown>, tools: { 'w.ts': TOOLS } },
      ]),
    ),
  });
  served.vault.secrets.set('_server', 'introspection', INTROSPECTION_SECRET, Date.now());
  const whoami: Scene['whoami'] = (token, tenant = 'acme', headers = {}) => {
    const { body, headers: mirrored } = modern('tools/call', { name: 'whoami', arguments: {} });
    return post(served.endpoint(tenant), token, body, { ...mirrored, ...headers });
  };
  return {
    served,
    issuer,
    aud: (tenant = 'acme') => served.endpoint(tenant),
    whoami,
    said: async (token, tenant) => (await whoami(token, tenant)).json?.result?.content?.[0]?.text ?? '',
    denials: async (tenant = 'acme') => (await served.audit(tenant)).filter(({ kind }) => kind === 'auth.denied'),
  };
}

const direct = (origin: string) => ({ issuers: [{ issuer: origin }] });

/** Without what differs from request to request. */
function outside({ status, headers, text }: Reply): object {
  return { status, challenge: headers.get('www-authenticate'), body: text.replace(/[0-9A-HJKMNP-TV-Z]{26}/g, '') };
}

await t.test('access tokens of an issuer: who they stand for', async (t) => {
  const { served, issuer, aud, said, whoami } = await scene(t, (origin) => ({
    issuers: [
      {
        issuer: origin,
        roleScopes: { chief: ['write'] },
        groupScopes: { auditors: ['audit'] },
        claims: { roles: '/realm_access/roles', groups: 'groups' },
      },
    ],
    scopes: { implies: { write: ['read'], admin: ['write'] } },
  }));
  t.equal(
    await said(await issuer.grant(aud())),
    'acme machine read',
    'from its token endpoint, by client credentials: the subject is the client',
  );
  t.equal(await said(await issuer.sign(aud())), 'acme ada read');
  t.equal(await said(await issuer.sign([aud(), 'https://elsewhere.example'])), 'acme ada read', 'one of several audiences');
  t.equal(await said(await issuer.sign(aud().replace('http:', 'HTTP:'))), 'acme ada read', 'R15 scheme and host in any case');
  t.equal(
    await said(await issuer.sign(aud(), { scope: 'admin' })),
    'acme ada admin+read+write',
    'R8 hierarchies, followed to the end',
  );
  t.equal(await said(await issuer.sign(aud(), { scope: undefined, scp: ['read', 'x'] })), 'acme ada read+x');
  t.equal(await said(await issuer.sign(aud(), { scope: '* read' })), 'acme ada read', 'no token brings all scopes');
  t.equal(
    await said(await issuer.sign(aud(), { scope: undefined, realm_access: { roles: ['chief'] } })),
    'acme ada read+write',
    'roles',
  );
  t.equal(
    await said(await issuer.sign(aud(), { scope: undefined, groups: ['auditors', 'constructor'] })),
    'acme ada audit',
    'groups',
  );
  t.equal(await said(await issuer.sign(aud(), { sub: undefined })), 'acme client:app read', 'a client without a user');
  t.equal(await said(await issuer.sign(aud('globex')), 'globex'), 'globex ada read', 'another tenant by its own audience');
  t.equal(await said(served.token('acme')), 'acme ada *', 'tokens minted here are good beside');
  const cut = await issuer.sign(aud());
  const replies = await Promise.all(Array.from({ length: 20 }, () => whoami(cut)));
  t.ok(replies.every(({ status }) => status === 200));
  t.equal(issuer.asked.filter((path) => path === '/jwks').length, 1, 'the keys are fetched once');
  const record = (await served.audit('acme')).find(({ kind, subject }) => kind === 'call.request' && subject === 'ada');
  t.match(record, { issuer: issuer.origin, credential: /^sha256:/ });
  t.notOk(JSON.stringify(await served.audit('acme')).includes(cut.slice(-40)), 'R9 no token in the audit');
  t.notOk(served.logs.join('').includes(cut.slice(-40)), 'R9 no token in the log');
});

type Make = (scene: Scene, own: { rsa: CryptoKey }) => Promise<string> | string;
const b64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const claims = ({ issuer, aud }: Scene) => ({
  iss: issuer.origin,
  sub: 'ada',
  aud: aud(),
  exp: Math.floor(Date.now() / 1000) + 600,
});
const nowS = () => Math.floor(Date.now() / 1000);

/** Each: a token, and the exact reason in the audit. */
const FORGED: readonly [what: string, make: Make, reason: string | RegExp][] = [
  ['alg none', (s) => `${b64({ alg: 'none', typ: 'at+jwt' })}.${b64(claims(s))}.`, 'the bearer token is malformed|no issuer'],
  [
    'alg none with a signature',
    (s) => `${b64({ alg: 'none', typ: 'at+jwt' })}.${b64(claims(s))}.AA`,
    'the algorithm of the token is not allowed',
  ],
  ['alg NoNe', (s) => `${b64({ alg: 'NoNe', typ: 'at+jwt' })}.${b64(claims(s))}.AA`, 'the algorithm of the token is not allowed'],
  [
    'HS256 with the public key as PEM',
    async (s) => hmac(s, await exportSPKI((await importJWK(s.issuer.publicJwk, 'RS256')) as CryptoKey)),
    'the algorithm of the token is not allowed',
  ],
  [
    'HS256 with the public key as JWK',
    (s) => hmac(s, JSON.stringify(s.issuer.publicJwk)),
    'the algorithm of the token is not allowed',
  ],
  ['another key', (s, own) => s.issuer.sign(s.aud(), {}, {}, own.rsa), 'the signature of the token is wrong'],
  ['an unknown kid', (s, own) => s.issuer.sign(s.aud(), {}, { kid: 'k2' }, own.rsa), 'the issuer has no such key'],
  [
    'kid as a path',
    (s, own) => s.issuer.sign(s.aud(), {}, { kid: '../../../../dev/null' }, own.rsa),
    'the issuer has no such key',
  ],
  ['kid as SQL', (s, own) => s.issuer.sign(s.aud(), {}, { kid: "x' UNION SELECT 'k" }, own.rsa), 'the issuer has no such key'],
  ['kid __proto__', (s, own) => s.issuer.sign(s.aud(), {}, { kid: '__proto__' }, own.rsa), 'the issuer has no such key'],
  [
    'kid as an object',
    (s) => resigned(s, { alg: 'RS256', typ: 'at+jwt', kid: { a: 1 } }),
    'the key id of the token is malformed',
  ],
  [
    'kid of 5000 characters',
    (s) => resigned(s, { alg: 'RS256', typ: 'at+jwt', kid: 'k'.repeat(2500) }),
    'the key id of the token is malformed',
  ],
  [
    'jku',
    (s, own) => s.issuer.sign(s.aud(), {}, { jku: `${s.issuer.origin}/evil` }, own.rsa),
    'the token brings its own key (jku)',
  ],
  [
    'x5u',
    (s, own) => s.issuer.sign(s.aud(), {}, { x5u: 'https://evil.example/c.pem' }, own.rsa),
    'the token brings its own key (x5u)',
  ],
  ['x5c', (s, own) => s.issuer.sign(s.aud(), {}, { x5c: ['AAAA'] }, own.rsa), 'the token brings its own key (x5c)'],
  [
    'jwk',
    (s, own) => s.issuer.sign(s.aud(), {}, { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } }, own.rsa),
    'the token brings its own key (jwk)',
  ],
  [
    'crit',
    (s) => resigned(s, { alg: 'RS256', typ: 'at+jwt', kid: 'k1', crit: ['b64'], b64: false }),
    'the token has a critical header (crit) that is not understood',
  ],
  [
    'changed claims',
    async (s) => changed(await s.issuer.sign(s.aud()), { ...claims(s), sub: 'root' }),
    'the signature of the token is wrong',
  ],
  ['another audience', (s) => s.issuer.sign('https://elsewhere.example/mcp'), 'the token is for another audience'],
  ['the audience of another tenant', (s) => s.issuer.sign(s.aud('globex')), 'the token is for another tenant'],
  ['two tenants', (s) => s.issuer.sign([s.aud(), s.aud('globex')]), 'the token is for another tenant, too'],
  ['an audience that only begins so', (s) => s.issuer.sign(`${s.aud()}x`), 'the token is for another audience'],
  ['an audience that ours begins with', (s) => s.issuer.sign(s.aud().slice(0, -4)), 'the token is for another audience'],
  ['the origin as audience', (s) => s.issuer.sign(new URL(s.aud()).origin), 'the token is for another audience'],
  ['a trailing slash', (s) => s.issuer.sign(`${s.aud()}/`), 'the token is for another audience'],
  ['a fragment', (s) => s.issuer.sign(`${s.aud()}#x`), 'the token is for another audience'],
  [
    'dots in the audience',
    (s) => s.issuer.sign(s.aud().replace('/t/acme', '/t/globex/../acme')),
    'the token is for another audience',
  ],
  ['the tenant in capitals', (s) => s.issuer.sign(s.aud().replace('acme', 'ACME')), 'the token is for another audience'],
  ['a tenant that looks alike', (s) => s.issuer.sign(s.aud().replace('acme', 'аcme')), 'the token is for another audience'],
  ['no audience', (s) => s.issuer.sign(undefined), 'the token has no audience'],
  ['an audience that is a number', (s) => s.issuer.sign([7]), /the audience of the token is malformed/],
  ['an audience within an audience', (s) => s.issuer.sign([[s.aud()]]), /the audience of the token is malformed/],
  ['an empty list of audiences', (s) => s.issuer.sign([]), /the token is for another audience|has no audience/],
  [
    'a thousand audiences',
    (s) => s.issuer.sign([s.aud(), ...Array.from({ length: 200 }, (_, i) => `u:${i}`)]),
    'the audience of the token is malformed',
  ],
  [
    'another issuer',
    (s) => s.issuer.sign(s.aud(), { iss: 'https://login.example.com' }),
    'no issuer of this tenant makes such tokens',
  ],
  [
    'an issuer with a slash',
    (s) => s.issuer.sign(s.aud(), { iss: `${s.issuer.origin}/` }),
    'no issuer of this tenant makes such tokens',
  ],
  ['no issuer', (s) => s.issuer.sign(s.aud(), { iss: undefined }), 'no issuer of this tenant makes such tokens'],
  ['a list of issuers', (s) => s.issuer.sign(s.aud(), { iss: [s.issuer.origin] }), 'no issuer of this tenant makes such tokens'],
  ['an ID token', (s) => s.issuer.sign(s.aud(), { nonce: 'n' }, { typ: 'JWT' }), 'the token is no access token (typ)'],
  ['an ID token in disguise', (s) => s.issuer.sign(s.aud(), { nonce: 'n', at_hash: 'x' }), 'the token is an ID token'],
  ['a refresh token', (s) => s.issuer.sign(s.aud(), { typ: 'Refresh' }), 'the token is of another use'],
  ['a logout token', (s) => s.issuer.sign(s.aud(), { events: {} }, { typ: 'logout+jwt' }), 'the token is no access token (typ)'],
  ['no typ', (s) => s.issuer.sign(s.aud(), {}, { typ: undefined }), 'the token is no access token (typ)'],
  ['an ID-JAG', (s) => s.issuer.sign(s.aud(), {}, { typ: 'oauth-id-jag+jwt' }), 'the token is no access token (typ)'],
  ['bound to a key', (s) => s.issuer.sign(s.aud(), { cnf: { jkt: 'x' } }), 'the token is bound to a key of its holder (cnf)'],
  ['expired', (s) => s.issuer.sign(s.aud(), { exp: nowS() - 31 }), 'the token has expired'],
  ['no end', (s) => s.issuer.sign(s.aud(), { exp: undefined }), 'the token fails its check of exp'],
  ['an end that is a text', (s) => s.issuer.sign(s.aud(), { exp: '9999999999' }), /the token fails its check of exp|malformed/],
  ['not yet valid', (s) => s.issuer.sign(s.aud(), { nbf: nowS() + 60 }), 'the token fails its check of nbf'],
  ['an empty subject', (s) => s.issuer.sign(s.aud(), { sub: '' }), 'the subject of the token is malformed'],
  [
    'a subject of 300 characters',
    (s) => s.issuer.sign(s.aud(), { sub: 'a'.repeat(300) }),
    'the subject of the token is malformed',
  ],
  ['a subject with a line end', (s) => s.issuer.sign(s.aud(), { sub: 'ada\nroot' }), 'the subject of the token is malformed'],
  ['a subject that is an object', (s) => s.issuer.sign(s.aud(), { sub: { a: 1 } }), 'the subject of the token is malformed'],
  [
    'a subject that is called as a client',
    (s) => s.issuer.sign(s.aud(), { sub: 'client:app' }),
    'the subject of the token is in the name space of clients',
  ],
  [
    'nobody',
    (s) => s.issuer.sign(s.aud(), { sub: undefined, client_id: undefined }),
    'the token names neither a subject nor a client',
  ],
  [
    'thousands of scopes',
    (s) => s.issuer.sign(s.aud(), { scope: 'a '.repeat(600) }),
    'the token has too many scopes, roles or groups',
  ],
  ['thousands of segments', () => 'a.'.repeat(3000), 'no issuer of this tenant makes such tokens'],
  ['five segments', () => 'aaaa.bbbb.cccc.dddd.eeee', 'no issuer of this tenant makes such tokens'],
  [
    'claims that are a list',
    (s) => `${b64({ alg: 'RS256', typ: 'at+jwt' })}.${b64([claims(s)])}.AAAA`,
    'no issuer of this tenant makes such tokens',
  ],
  [
    'deep claims',
    (s) =>
      `${b64({ alg: 'RS256', typ: 'at+jwt', kid: 'k1' })}.${b64(`{"iss":"${s.issuer.origin}","a":${'['.repeat(2000)}${']'.repeat(2000)}}`)}.AAAA`,
    'the signature of the token is wrong',
  ],
  ['opaque', () => 'opaque-token-of-somebody', 'no issuer of this tenant makes such tokens'],
  [
    'longer than a header may be',
    (s) => s.issuer.sign(s.aud(), { pad: 'x'.repeat(9000) }),
    'the Authorization header is too long',
  ],
];

function hmac(s: Scene, secret: string): string {
  const signed = `${b64({ alg: 'HS256', typ: 'at+jwt', kid: 'k1' })}.${b64(claims(s))}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
function changed(token: string, payload: object): string {
  const [header, , signature] = token.split('.');
  return `${header}.${b64(payload)}.${signature}`;
}
/** Headers that no library would write, over a true signature. */
async function resigned(s: Scene, header: object): Promise<string> {
  const signed = `${b64(header)}.${b64(claims(s))}`;
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', s.issuer.privateKey, Buffer.from(signed));
  return `${signed}.${Buffer.from(signature).toString('base64url')}`;
}

await t.test('forged, foreign and spent tokens: refused alike, cheaply, with the exact reason in the audit', async (t) => {
  const here = await scene(t, direct);
  const { issuer, whoami, aud, denials } = here;
  const own = { rsa: (await generateKeyPair('RS256', { extractable: true })).privateKey };
  t.equal((await whoami(await issuer.sign(aud()))).status, 200);
  const generic = outside(await whoami('lh_acme_unknown'));
  t.match(generic, { status: 401, challenge: /error="invalid_token"/ });
  issuer.asked.length = 0;
  for (const [what, make, reason] of FORGED) {
    const before = (await denials()).length;
    t.strictSame(outside(await whoami(await make(here, own))), generic, `${what}: the generic answer`);
    const [told, ...others] = (await denials()).slice(before);
    t.equal(others.length, 0);
    const wanted =
      typeof reason === 'string' && !reason.includes('|')
        ? new RegExp(`^${reason.replaceAll(/[()+]/g, '\\$&')}$`)
        : new RegExp(reason);
    t.match(told?.reason, wanted, `${what}: the exact reason`);
  }
  t.strictSame(issuer.asked, [], 'the issuer is not asked for what its keys do not verify');
});

await t.test('where a token stands, and how often', async (t) => {
  const { issuer, aud, served, denials, whoami } = await scene(t, direct);
  const token = await issuer.sign(aud());
  const { body, headers } = modern('tools/call', { name: 'whoami', arguments: {} });
  const send = (url: string, sent: Record<string, string>) => post(url, undefined, body, { ...headers, ...sent });
  t.equal((await send(`${aud()}?access_token=${token}`, {})).status, 401, 'R7 not in the query');
  t.equal((await send(aud(), { 'x-access-token': token, cookie: `access_token=${token}` })).status, 401);
  t.equal((await send(aud(), { authorization: `DPoP ${token}` })).status, 401);
  const twice = await raw(
    new URL(served.runtime.url).port as unknown as number,
    `POST /t/acme/mcp HTTP/1.1\r\nHost: ${new URL(aud()).host}\r\nAuthorization: Bearer wrong\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
  );
  t.match(twice, /^HTTP\/1\.1 400/, 'two Authorization headers');
  for (const tenant of [
    'ACME',
    'Acme',
    'аcme',
    'ａcme',
    'acme%00',
    'acme%2e',
    '%61cme',
    'acme%20',
    'acme.',
    '-acme',
    '__proto__',
  ])
    t.equal((await send(`${served.runtime.url}/t/${tenant}/mcp`, { authorization: `Bearer ${token}` })).status, 404, tenant);
  t.equal((await whoami(token, 'globex')).status, 401, 'R6 a token for another tenant’s endpoint');
  t.match((await denials('globex')).at(-1), { reason: 'the token is for another tenant' });
});

await t.test('an issuer that answers wrongly lets nobody in, and is not asked again at once', async (t) => {
  const attacks: [string, (origin: string) => NonNullable<ForeignIssuer['spoil']>, RegExp][] = [
    ['hangs', () => () => true, /timeout/],
    ['is huge', () => (_q, response) => Boolean(response.end(Buffer.alloc(2_000_000, 32))) || true, /too_large/],
    [
      'redirects',
      () => (_q, response) => Boolean(response.writeHead(302, { location: 'http://169.254.169.254/' }).end()) || true,
      /./,
    ],
    ['is no JSON', () => (_q, response) => Boolean(response.end('<html>')) || true, /./],
    [
      'speaks of another issuer',
      () => (request, response) =>
        (request.url ?? '').includes('.well-known') &&
        (Boolean(
          response
            .setHeader('content-type', 'application/json')
            .end('{"issuer":"https://evil.example","jwks_uri":"https://evil.example/jwks"}'),
        ) ||
          true),
      /./,
    ],
    [
      'sends to a private address',
      (origin) => (request, response) =>
        (request.url ?? '').includes('.well-known') &&
        (Boolean(
          response
            .setHeader('content-type', 'application/json')
            .end(JSON.stringify({ issuer: origin, jwks_uri: 'https://127.0.0.1:1/jwks', authorization_endpoint: `${origin}/a` })),
        ) ||
          true),
      /ADDRESS_REFUSED/,
    ],
    [
      'sends to a file',
      (origin) => (request, response) =>
        (request.url ?? '').includes('.well-known') &&
        (Boolean(
          response
            .setHeader('content-type', 'application/json')
            .end(JSON.stringify({ issuer: origin, jwks_uri: 'file:///etc/passwd' })),
        ) ||
          true),
      /./,
    ],
  ];
  const issuers = await Promise.all(attacks.map(() => startForeignIssuer(t)));
  const origins = issuers.map(({ origin }) => origin);
  const served = await serve(t, {
    server: { auth: { issuers: origins.map((issuer) => ({ issuer })) }, egress: { privateOrigins: origins } },
    tenants: { acme: { tools: { 'w.ts': TOOLS } } },
  });
  const url = served.endpoint('acme');
  await Promise.all(
    attacks.map(async ([what, spoil, reason], at) => {
      const issuer = issuers[at] as ForeignIssuer;
      issuer.spoil = spoil(issuer.origin);
      const tokens = await Promise.all(Array.from({ length: 5 }, (_, i) => issuer.sign(url, { jti: String(i) })));
      for (const reply of await Promise.all(tokens.map((token) => rpc(url, token, 'tools/list'))))
        t.match(reply, { status: 503, json: { error: { message: 'The access token cannot be checked now.' } } }, what);
      t.ok(issuer.asked.length <= 3, `${what}: asked once by all (${issuer.asked.join(' ')})`);
      t.equal((await rpc(url, served.token('acme'), 'tools/list')).status, 200, `${what}: others are served`);
      const log = served.logs.filter((line) => line.includes(issuer.origin));
      t.match(log[0], /an issuer of access tokens cannot be asked/, `${what}: the operator is told`);
      t.match(log[0], reason, what);
    }),
  );
  const denied = (await served.audit('acme')).filter(({ kind }) => kind === 'auth.denied');
  t.equal(denied.length, 5 * attacks.length);
  for (const record of denied) t.match(record, { code: 'auth_unavailable', reason: /^the keys of the issuer cannot be had: / });
  t.notMatch(JSON.stringify(denied), /<html>|passwd|evil/, 'what an issuer said is not repeated');
});

await t.test('a new key is taken up, unknown ones cause no flood', async (t) => {
  const { issuer, aud, whoami } = await scene(t, direct, { tenants: { acme: {} } });
  t.equal((await whoami(await issuer.sign(aud()))).status, 200);
  const strangers = await Promise.all(Array.from({ length: 30 }, (_, i) => issuer.sign(aud(), {}, { kid: `k${i + 2}` })));
  for (const token of strangers) t.equal((await whoami(token)).status, 401);
  t.ok(issuer.asked.filter((path) => path === '/jwks').length <= 2, 'within its cooldown one fetch at most');
});

await t.test('keys of an issuer over time: rotated, withdrawn, out of reach', async (t) => {
  const issuer = await startForeignIssuer(t);
  let answer: object | undefined = { keys: [issuer.publicJwk] };
  let fetched = 0;
  issuer.spoil = (_request, response) => {
    fetched += 1;
    if (answer === undefined) response.writeHead(500).end();
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    return true;
  };
  const failures: string[] = [];
  let now = 1_000_000;
  const keys = new IssuerKeys({
    issuer: issuer.origin,
    jwksUri: `${issuer.origin}/jwks`,
    fetch: (url, { method, headers }) => fetch(url, { method, headers }),
    metadata: () => Promise.reject(new Error('not asked')),
    now: () => now,
    onFailure: (_issuer, reason) => failures.push(reason),
  });
  const find = (kid?: string) => keys.find({ alg: 'RS256', ...(kid === undefined ? {} : { kid }) });
  await Promise.all(Array.from({ length: 20 }, () => find('k1')));
  t.equal(fetched, 1, 'one fetch for all');
  t.ok(await find(), 'the only one, for a token that names none');
  answer = { keys: [issuer.publicJwk, { ...issuer.publicJwk, kid: 'k2' }] };
  await t.rejects(find('k2'), { name: 'KeyUnknown' }, 'not yet');
  now += 31_000;
  await Promise.all(Array.from({ length: 20 }, () => find('k2')));
  t.equal(fetched, 2, 'after the cooldown, once for all');
  await t.rejects(find(), { name: 'KeyUnknown' }, 'two fit, and the token does not say which');
  answer = { keys: [{ ...issuer.publicJwk, kid: 'k2' }] };
  now += 600_000;
  await t.rejects(find('k1'), { name: 'KeyUnknown' }, 'withdrawn');
  answer = undefined;
  now += 601_000;
  const before = fetched;
  t.ok(await find('k2'), 'old keys while it is out of reach');
  await find('k2');
  t.equal(fetched, before + 1, 'which is tried once in a while only');
  now += 3_000_000;
  await t.rejects(find('k2'), { name: 'KeysUnavailable', message: 'the keys were answered with status 500' }, 'but not for ever');
  t.strictSame(failures, ['the keys were answered with status 500', 'the keys were answered with status 500']);
  for (const odd of [
    { keys: 'x' },
    { keys: Array.from({ length: 101 }, () => issuer.publicJwk) },
    [],
    { keys: [{ kty: 'oct', k: 'AAAA', kid: 'k2', alg: 'HS256' }] },
  ]) {
    answer = odd;
    now += 4_000_000;
    await t.rejects(find('k2'), { name: /^Key(?:sUnavailable|Unknown)$/ }, JSON.stringify(odd).slice(0, 40));
    await t.rejects(keys.find({ alg: 'HS256', kid: 'k2' }), /./, 'never a shared secret');
  }
});

await t.test('issuers that differ: typ any, a fixed audience with a tenant claim, other names', async (t) => {
  const { issuer, said, whoami, denials } = await scene(
    t,
    (origin) => ({
      tokens: false,
      issuers: [
        {
          issuer: origin,
          typ: 'any',
          audience: 'api://leasehold',
          algorithms: ['RS256'],
          claims: { tenant: 'org', subject: 'email', scopes: 'permissions' },
        },
      ],
    }),
    { tenants: { acme: { auth: { claimValues: ['org_1', 'org_2'] } }, globex: {} } },
  );
  const token = (more: object, header = {}) =>
    issuer.sign(
      'api://leasehold',
      { email: 'ada@acme.com', email_verified: true, permissions: ['p'], ...more },
      { typ: 'JWT', ...header },
    );
  t.equal(await said(await token({ org: 'org_2' })), 'acme ada@acme.com p');
  const machine = { org: 'org_2', permissions: undefined, client_id: undefined, azp: 'another-client' };
  t.equal(await said(await token(machine)), 'acme ada@acme.com ', 'without scopes, for another client than its audience');
  t.equal(await said(await token({ org: ['globex', 'org_1'] })), 'acme ada@acme.com p');
  t.equal(
    await said(await token({ org: ['globex', 'org_1'] }), 'globex'),
    'globex ada@acme.com p',
    'a member of both, at either',
  );
  const refused: [object, object, RegExp][] = [
    [{ org: 'acme' }, {}, /names another tenant/],
    [{}, {}, /names no tenant/],
    [{ org: { acme: true } }, {}, /names no tenant/],
    [{ org: 'org_1', email_verified: false }, {}, /not verified/],
    [{ org: 'org_1', nonce: 'x' }, {}, /ID token/],
    [{ org: 'org_1', token_use: 'id' }, {}, /another use/],
    [{ org: 'org_1' }, { typ: 'dpop+jwt' }, /typ/],
    [{ org: 'org_1', scope: undefined, permissions: undefined, client_id: undefined }, {}, /no access token/],
    [{ org: 'org_1', scope: undefined, permissions: undefined, client_id: 'api://leasehold' }, {}, /no access token/],
  ];
  for (const [more, header, reason] of refused) {
    t.equal((await whoami(await token(more, header))).status, 401);
    t.match((await denials()).at(-1)?.reason, reason);
  }
});

await t.test('another tenant’s issuer', async (t) => {
  const other = await startForeignIssuer(t);
  const { issuer, aud, said, whoami, denials } = await scene(t, direct, {
    tenants: { acme: {}, globex: { auth: { issuers: [{ issuer: other.origin }] } } },
    server: {},
  });
  t.equal(await said(await issuer.sign(aud())), 'acme ada read');
  t.equal((await whoami(await other.sign(aud()))).status, 401, 'its issuer vouches for nobody at acme');
  t.match((await denials()).at(-1)?.reason, /no issuer of this tenant/);
  t.equal(
    (await whoami(await issuer.sign(aud('globex')), 'globex')).status,
    401,
    'nor the server’s where the tenant has its own',
  );
  t.strictSame(other.asked, [], 'nobody asked it');
});

await t.test('an issuer that is taken out of tenant.json lets nobody in any more, also where the tools are broken', async (t) => {
  const { issuer, aud, said, served } = await scene(t, () => ({}), {
    tenants: { acme: {} },
  });
  const files = (tenant: Record<string, unknown>, tools: string) =>
    writeTenant(served.estate, 'acme', { tenant, tools: { 'w.ts': tools } });
  files({ auth: { issuers: [{ issuer: issuer.origin }] } }, TOOLS);
  await served.runtime.registry.reload('acme');
  const token = await issuer.sign(aud());
  t.equal(await said(token), 'acme ada read');
  files({ auth: { issuers: [] } }, 'this is no toolset');
  await served.runtime.registry.reload('acme');
  t.equal((await rpc(aud(), token, 'tools/list')).status, 401, 'although it was verified a moment ago');
  t.match((await rpc(aud(), served.token('acme'), 'tools/list')).text, /whoami/, 'the old tools still serve');
});

await t.test('opaque tokens: introspected once, kept briefly, never beyond their end', async (t) => {
  const { issuer, aud, said, whoami, denials, served } = await scene(t, (origin) => ({
    introspection: [{ issuer: origin, clientId: 'leasehold', clientSecret: { secret: 'introspection' }, cacheMs: 60_000 }],
  }));
  const token = await issuer.grant(`${aud()}?opaque`, 'read write');
  t.notMatch(token, /\./, 'opaque');
  const introspected = () => issuer.asked.filter((path) => path === '/token/introspection').length;
  const replies = await Promise.all(Array.from({ length: 10 }, () => whoami(token)));
  t.ok(replies.every(({ status }) => status === 200));
  t.equal(introspected(), 1, 'single flight');
  t.equal(await said(token), 'acme client:machine read+write');
  t.equal(introspected(), 1, 'kept');
  t.equal((await whoami(token, 'globex')).status, 401, 'proved for acme, not for globex');
  t.match((await denials('globex')).at(-1)?.reason, 'the token is for another tenant');
  const asked = introspected();
  for (let i = 0; i < 3; i += 1) t.equal((await whoami('nonsense')).status, 401);
  t.equal(introspected(), asked + 1, 'a refusal is kept, too');
  t.match((await denials()).at(-1)?.reason, /not active/);

  const answers: [string, object | string, number, RegExp][] = [
    ['active is a text', { active: 'true', sub: 'a', aud: aud() }, 401, /not active/],
    ['no audience', { active: true, sub: 'a' }, 401, /no audience/],
    ['expired', { active: true, sub: 'a', aud: aud(), exp: nowS() - 60 }, 401, /expired/],
    ['not yet valid', { active: true, sub: 'a', aud: aud(), nbf: nowS() + 60 }, 401, /not valid yet/],
    ['another issuer', { active: true, sub: 'a', aud: aud(), iss: 'https://evil.example' }, 401, /another issuer/],
    ['bound', { active: true, sub: 'a', aud: aud(), token_type: 'DPoP' }, 401, /no bearer/],
    ['a list', [], 503, /no JSON object/],
    ['no JSON', '<html>', 503, /no JSON/],
  ];
  for (const [what, answer, status, reason] of answers) {
    issuer.spoil = (_q, response) => {
      response.setHeader('content-type', 'application/json').end(typeof answer === 'string' ? answer : JSON.stringify(answer));
      return true;
    };
    // The metadata are known by now, so that only the introspection is spoiled.
    t.equal((await whoami(`odd-${what.replaceAll(' ', '-')}`)).status, status, what);
    t.match((await denials()).at(-1)?.reason, reason, what);
  }
  const ends = { active: true, sub: 'soon', aud: aud(), exp: nowS() - 28 };
  issuer.spoil = (_q, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(ends));
    return true;
  };
  t.equal(await said('short-lived'), 'acme soon ');
  for (let last = 200; last === 200; last = (await whoami('short-lived')).status);
  t.pass('refused once it has ended, although its answer could be kept for a minute');
  t.notOk(served.logs.join('').includes(INTROSPECTION_SECRET));
});
