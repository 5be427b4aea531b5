// leasehold.json and tenant.json: precedence, refusals with their place, tripwire, data folder, editor schemas.
import { mkdirSync, readFileSync, realpathSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { prepareDataDir } from '../../src/config/data-dir.ts';
import { writeEditorSchemas } from '../../src/config/editor-schemas.ts';
import { loadServerConfig } from '../../src/config/load-server.ts';
import { listTenants, loadTenantConfig } from '../../src/config/load-tenant.ts';
import { BindingFileSchema } from '../../src/config/binding-schema.ts';
import { ServerOptionsSchema, TenantOptionsSchema } from '../../src/config/schema.ts';
import type { CompiledAuth } from '../../src/config/compiled-auth.ts';
import { authProblems, signInProblems } from '../../src/tenants/auth-problems.ts';
import { DEFAULT_LIMITS, LimitsSchema } from '../../src/shared/limits.ts';

function estate(test: Test, files: { [path: string]: string }): string {
  const dir = realpathSync(test.testdir({}));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return dir;
}
const tenant = (test: Test, json: string) => {
  const dir = estate(test, { 'tenants/acme/tenant.json': json });
  return loadTenantConfig(dir, 'acme', DEFAULT_LIMITS);
};

t.test('defaults without a file', async (t) => {
  const dir = estate(t, {});
  const { value, problems } = loadServerConfig(dir);
  t.strictSame(problems, []);
  t.strictSame(value?.listen, { host: '127.0.0.1', port: 8741 });
  t.equal(value?.dataDir, join(dir, '.leasehold'));
  t.strictSame(value?.masterKey, { source: 'file', path: join(dir, '.leasehold/master.key') });
  t.equal(value?.publicUrl, undefined);
  t.strictSame(value?.unsafe, []);
  t.strictSame(value?.limits, { ...DEFAULT_LIMITS });
  t.ok(Object.isFrozen(value) && Object.isFrozen(value?.listen) && Object.isFrozen(value?.privateOrigins));
});

t.test('who may call, and where a request names its tenant', async (t) => {
  const server = (options: object) => loadServerConfig(estate(t, { 'leasehold.json': JSON.stringify(options) }));
  const plain = server({}).value;
  t.strictSame(plain?.auth, {
    tokens: true,
    issuers: [],
    introspection: [],
    embedded: false,
    implied: {},
    basicScopes: [],
    claimValues: undefined,
  });
  t.strictSame(plain?.routing, { path: true, host: undefined, header: undefined, claim: false });
  t.strictSame(plain?.rates, { addressPerSecond: 0, refusalsPerMinute: 120 });
  const full = server({
    auth: {
      issuers: [
        { issuer: 'https://a.example', audience: 'api://x', claims: { tenant: '/org/id', roles: 'https://a.example/roles' } },
      ],
      scopes: { implies: { a: ['b'], b: ['c', 'a'], d: ['d'] }, basic: ['a'] },
    },
    routing: { path: false, host: 'mcp-{tenant}.Example.com', header: 'X-Tenant', claim: true },
  }).value;
  t.match(full?.auth.issuers[0], {
    audience: ['api://x'],
    typ: 'at+jwt',
    skewMs: 30_000,
    claims: { subject: ['sub'], tenant: ['org', 'id'], roles: ['https://a.example/roles'] },
  });
  t.notOk(
    full?.auth.issuers[0]?.algorithms.some((name) => /^HS|none/i.test(name)),
    'asymmetric only',
  );
  t.match(full?.auth.implied, { a: ['b', 'c'], b: ['c', 'a'], d: [] }, 'followed to the end, circles and all');
  t.strictSame(full?.routing, { path: false, host: { before: 'mcp-', after: '.example.com' }, header: 'x-tenant', claim: true });
  t.ok(Object.isFrozen(full?.auth.issuers[0]?.claims) && Object.isFrozen(full?.routing));
  const wrong: [object, RegExp][] = [
    [
      { auth: { issuers: [{ issuer: 'https://a.example', audience: 'api://x' }] } },
      /^\/auth\/issuers\/0\/audience would make a token .* every tenant/,
    ],
    [{ auth: { issuers: [{ issuer: 'http://a.example' }] } }, /^\/auth\/issuers\/0\/issuer must be an https URL/],
    [{ auth: { issuers: [{ issuer: 'https://a.example', algorithms: ['HS256'] }] } }, /algorithms/],
    [{ auth: { issuers: [{ issuer: 'https://a.example' }, { issuer: 'https://a.example' }] } }, /stands there twice/],
    [
      {
        auth: {
          introspection: ['https://a.example', 'https://b.example'].map((issuer) => ({
            issuer,
            clientId: 'c',
            clientSecret: { secret: 's' },
          })),
        },
      },
      /must tell its tokens from those of the others/,
    ],
    [
      {
        auth: {
          issuers: [{ issuer: 'https://a.example' }],
          introspection: [{ issuer: 'https://a.example', clientId: 'c', clientSecret: { secret: 's' } }],
        },
      },
      /is among the issuers, too/,
    ],
    [{ auth: { introspection: [{ issuer: 'https://a.example', clientId: 'c', clientSecret: 'canary' }] } }, /clientSecret/],
    [{ auth: { scopes: { basic: ['offline_access'] } } }, /basic\/0 is no scope of ours/],
    [{ auth: { issuers: [{ issuer: 'https://a.example', claims: { roles: '/a//b' } }] } }, /has an empty step/],
    [{ routing: { path: false } }, /^\/routing leaves no way/],
    [{ routing: { host: 'example.com' } }, /host name with one \{tenant\}/],
    [{ routing: { host: '{tenant}.{tenant}.example.com' } }, /one \{tenant\}/],
    [{ routing: { host: '{tenant}' } }, /one \{tenant\}/],
    ...['Authorization', 'host', 'Mcp-Name', 'x-forwarded-host', 'cookie', 'a b', ''].map((header): [object, RegExp] => [
      { routing: { header } },
      /\/routing\/header/,
    ]),
  ];
  for (const [options, reason] of wrong) {
    const { value, problems } = server(options);
    t.equal(value, undefined);
    t.match(problems[0]?.reason, reason);
    t.notMatch(JSON.stringify(problems), /canary/);
  }
  const dir = estate(t, {
    'tenants/acme/tenant.json': JSON.stringify({ auth: { tokens: false, claimValues: ['org_1'] } }),
    'tenants/globex/tenant.json': '{}',
  });
  const own = loadTenantConfig(dir, 'acme', DEFAULT_LIMITS, {}, full?.auth).value?.auth;
  t.equal(own?.issuers, full?.auth.issuers, 'what a tenant does not say is the server’s, and the same object');
  t.match(own, { tokens: false, claimValues: ['org_1'] });
  t.equal(loadTenantConfig(dir, 'globex', DEFAULT_LIMITS, {}, full?.auth).value?.auth, full?.auth);
  t.match(tenant(t, '{"auth": {"issuers": [{"issuer": "ftp://x"}]}}').problems, [
    { file: 'tenants/acme/tenant.json', line: 1, reason: /^\/auth\/issuers\/0\/issuer must be an https URL/ },
  ]);
  t.match(tenant(t, '{"auth": {"issuer": []}}').problems, [{ hint: 'did you mean "issuers"?' }]);
  const none = { list: () => [] };
  const introspecting = server({
    auth: { introspection: [{ issuer: 'https://a.example', clientId: 'c', clientSecret: { secret: 's' } }] },
  });
  const found = (auth: CompiledAuth | undefined) =>
    authProblems(auth as CompiledAuth, 'leasehold.json', { privateOrigins: [] }, none);
  t.match(found(introspecting.value?.auth), [{ reason: /needs the secret "s"/, hint: 'leasehold secret set --server s' }]);
  t.match(found(server({ auth: { issuers: [{ issuer: 'http://127.0.0.1:9' }] } }).value?.auth), [{ hint: /privateOrigins/ }]);
  t.match(found(server({ auth: { tokens: false } }).value?.auth), [{ reason: /lets nobody in/ }]);
});

t.test('how people sign in: presets, issuers, endpoints, and what is refused', async (t) => {
  const server = (embedded: unknown, more: object = {}) =>
    loadServerConfig(estate(t, { 'leasehold.json': JSON.stringify({ auth: { embedded }, ...more }) }));
  const application = { clientId: 'c', clientSecret: { secret: 's' } };
  const directory = '00000000-0000-4000-8000-0000000000aa';
  t.strictSame(server(true).value?.signIn, { accounts: true, providers: {} });
  const full = server({
    enabled: false,
    accounts: false,
    signIn: {
      google: { preset: 'google', ...application },
      github: { preset: 'github', ...application, title: 'Hub' },
      entra: { preset: 'entra', directory, ...application },
      company: {
        issuer: 'https://login.acme.example',
        ...application,
        clientAuth: 'client_secret_post',
        subject: '/ids/employee',
        allow: { emailDomains: ['acme.example'], claims: { '/org/id': ['7'] } },
        tenants: ['acme'],
      },
      plain: {
        endpoints: { authorization: 'https://p.example/a', token: 'https://p.example/t', userinfo: 'https://p.example/u' },
        ...application,
      },
    },
  }).value;
  t.equal(full?.auth.embedded, false, 'only tenants that say so');
  t.equal(server({ signIn: {} }).value?.auth.embedded, true);
  const { google, github, entra, company, plain } = full?.signIn.providers ?? {};
  t.match(google, {
    subject: ['sub'],
    again: 'select_account',
    openid: { issuer: 'https://accounts.google.com', jwksUri: /^https:/ },
  });
  t.match(github, { oauth: { title: 'Hub', issuer: undefined, scopes: [] }, openid: undefined, subject: ['id'] });
  t.match(entra?.openid, { issuer: `https://login.microsoftonline.com/${directory}/v2.0`, jwksUri: new RegExp(directory) });
  t.match(entra?.oauth.endpoints?.token, new RegExp(`/${directory}/`));
  t.match(company, {
    name: 'company',
    oauth: {
      title: 'login.acme.example',
      clientAuth: 'client_secret_post',
      endpoints: undefined,
      scopes: ['openid', 'profile', 'email'],
    },
    openid: { issuer: 'https://login.acme.example', jwksUri: undefined },
    subject: ['ids', 'employee'],
    again: 'login',
    allow: { emailDomains: ['acme.example'], claims: [{ path: ['org', 'id'], values: ['7'] }] },
  });
  t.match(plain, {
    openid: undefined,
    userinfo: 'https://p.example/u',
    oauth: { clientAuth: 'client_secret_basic', scopes: [] },
  });
  t.ok(Object.isFrozen(google?.oauth) && Object.isFrozen(full?.signIn));

  const issuer = 'https://a.example';
  const one = (options: object) => ({ signIn: { x: { ...application, ...options } } });
  const wrong: [unknown, RegExp][] = [
    [{ accounts: false }, /^\/auth\/embedded\/accounts leaves nobody/],
    [{ accounts: false, signIn: {} }, /accounts leaves nobody/],
    [one({}), /^\/auth\/embedded\/signIn\/x names no preset, issuer or endpoints/],
    [{ signIn: { client: { ...application, issuer } } }, /client needs another name/],
    [{ signIn: { X: { ...application, issuer } } }, /signIn\/X/],
    [{ signIn: { 'a:b': { ...application, issuer } } }, /signIn\/a:b/],
    [one({ preset: 'gogle' }), /preset must be one of google, github, entra/],
    [one({ preset: 'google', issuer }), /issuer is given by the preset/],
    [{ signIn: { x: { preset: 'github', clientId: 'c' } } }, /clientSecret is missing/],
    [one({ preset: 'entra' }), /directory must be the id of one directory/],
    [one({ preset: 'entra', directory: 'common' }), /directory must be the id of one directory/],
    [one({ preset: 'entra', directory: '","issuer":"https://evil.example' }), /directory must be the id of one directory/],
    [one({ issuer, directory }), /directory goes with the preset entra/],
    [one({ issuer: 'http://a.example' }), /issuer must be an https URL/],
    [one({ endpoints: { authorization: issuer, token: issuer } }), /endpoints\/userinfo is missing/],
    [one({ endpoints: { authorization: issuer, token: 'ftp://a', userinfo: issuer } }), /endpoints\/token must be an https URL/],
    [one({ issuer, scopes: ['email'] }), /scopes must name openid/],
    [one({ issuer, scopes: ['openid', 'offline_access'] }), /must not name offline_access/],
    ...['email', 'login', '/user/preferred_username'].map((subject): [unknown, RegExp] => [
      one({ issuer, subject }),
      /subject can be changed/,
    ]),
    [one({ issuer, allow: {} }), /allow/],
    [one({ issuer, allow: { emailDomains: ['@acme.example'] } }), /emailDomains/],
    [one({ issuer, allow: { claims: { hd: [] } } }), /claims\/hd/],
    [one({ issuer, clientSecret: 'canary' }), /clientSecret/],
    [one({ issuer, tenants: ['Acme'] }), /tenants\/0/],
    ['yes', /auth\/embedded/],
  ];
  for (const [embedded, reason] of wrong) {
    const { value, problems } = server(embedded);
    t.equal(value, undefined, JSON.stringify(embedded));
    t.match(problems[0]?.reason, reason);
    t.notMatch(JSON.stringify(problems), /canary/);
  }
  t.match(server({ signin: {} }).problems, [
    { reason: '/auth/embedded/signin is not a known setting', hint: 'did you mean "signIn"?' },
  ]);
  t.match(tenant(t, '{"auth": {"embedded": {"signIn": {}}}}').problems, [{ reason: /embedded must be boolean/ }]);

  const loopback = server(one({ issuer: 'http://127.0.0.1:9' })).value;
  if (loopback === undefined) throw new Error('it is fine');
  t.match(signInProblems(loopback, { list: () => [] }), [
    { file: 'leasehold.json', reason: '/auth/embedded/signIn/x is http, so it is not asked', hint: /privateOrigins/ },
    { reason: '/auth/embedded/signIn/x needs the secret "s", which is not set', hint: 'leasehold secret set --server s' },
  ]);
});

t.test('precedence: default < file < LEASEHOLD_* < flag', async (t) => {
  const dir = estate(t, {
    'leasehold.json': `{ // comments and a trailing comma are fine
      "listen": "127.0.0.1:9001", "publicUrl": "https://file.example", "drainMs": 1, "spares": 2, "logLevel": "warn", }`,
  });
  const env = {
    LEASEHOLD_PUBLIC_URL: 'https://env.example/base/',
    LEASEHOLD_DRAIN_MS: '2',
    LEASEHOLD_TRUSTED_PROXIES: '10.0.0.0/8, 192.168.0.1',
    LEASEHOLD_TOKEN: 'belongs to another command',
    LEASEHOLD_LOG_LEVEL: '',
  };
  const { value } = loadServerConfig(dir, env, { drainMs: '3', port: '0' });
  t.strictSame(value?.listen, { host: '127.0.0.1', port: 0 });
  t.equal(value?.publicUrl, 'https://env.example/base');
  t.equal(value?.drainMs, 3);
  t.equal(value?.spares, 2);
  t.equal(value?.logLevel, 'warn');
  t.strictSame(value?.trustedProxies, ['10.0.0.0/8', '192.168.0.1']);
  t.strictSame(loadServerConfig(dir, { LEASEHOLD_PORT: '1' }, { listen: '[::1]:2' }).value?.listen, { host: '::1', port: 2 });
  t.strictSame(loadServerConfig(dir, { LEASEHOLD_LISTEN: '0.0.0.0:5' }, { host: '::' }).value?.listen, { host: '::', port: 5 });
});

t.test('wrong server settings are named with file, line, path and what was meant', async (t) => {
  const bad = (json: string, env = {}, flags = {}) => loadServerConfig(estate(t, { 'leasehold.json': json }), env, flags);
  const typo = bad('{\n  "listen": "127.0.0.1:1",\n  "trustedProxys": []\n}');
  t.equal(typo.value, undefined);
  t.match(typo.problems, [
    {
      file: 'leasehold.json',
      line: 3,
      column: 3,
      reason: '/trustedProxys is not a known setting',
      hint: 'did you mean "trustedProxies"?',
    },
  ]);
  t.match(bad('{"audit": {"mode": "none"}}').problems[0], { reason: /\/audit\/mode must be one of/ });
  t.match(bad('{"egress":\n {"privateOrigins": ["http://10.0.0.1/x"]}}').problems, [
    { line: 2, reason: '/egress/privateOrigins/0 must end after host and port' },
  ]);
  t.match(bad('{"publicUrl": "http://mcp.example.com"}').problems[0], { reason: /must be https/ });
  t.match(bad('{"publicUrl": "https://u:p@example.com"}').problems[0], { reason: /plain URL/ });
  t.strictSame(bad('{"publicUrl": "http://mcp.example.com", "unsafeHttpPublicUrl": true}').value?.unsafe, [
    'unsafeHttpPublicUrl',
  ]);
  t.equal(bad('{"publicUrl": "http://127.0.0.1:1"}').value?.publicUrl, 'http://127.0.0.1:1');
  t.match(bad('{"listen": "nonsense"}').problems[0], { file: 'leasehold.json', line: 1 });
  t.match(bad('{}', {}, { port: 'abc' }).problems[0], { file: 'port', reason: /whole number/ });
  t.match(bad('{}', {}, { port: '70000' }).problems[0], { file: 'port', reason: /port from 0 to 65535/ });
  t.match(bad('{}', { LEASEHOLD_PUBLIC_ULR: 'x' }).problems[0], {
    file: 'LEASEHOLD_PUBLIC_ULR',
    hint: 'did you mean LEASEHOLD_PUBLIC_URL?',
  });
  t.match(bad('{}', { LEASEHOLD_WATCH: 'perhaps' }).problems[0], { file: 'LEASEHOLD_WATCH', reason: /true or false/ });
  t.match(bad('{"limits": {"threads": 0}}').problems[0], { reason: /\/limits\/threads/ });
  t.match(loadServerConfig(join(t.testdirName, 'nowhere')).problems[0], { reason: 'is not a folder' });
});

t.test('broken JSON has a place and is never quoted', async (t) => {
  const at = (json: string) => loadServerConfig(estate(t, { 'leasehold.json': json })).problems[0];
  t.match(at('{\n  "listen" "x"\n}'), { line: 2, column: 12, reason: /colon is missing/ });
  t.match(at(''), { reason: /not valid|empty/ });
  t.match(at('{"drainMs": 1, "drainMs": 2}'), { column: 16, reason: 'has the key "drainMs" twice' });
  t.match(at('{"__proto__": {}}'), { reason: 'has a key that is not allowed' });
  t.match(at('['.repeat(500_000)), { reason: 'is nested deeper than 64 levels' });
  t.match(at(`{"listen": "${'x'.repeat(1_100_000)}"}`), { reason: /larger than/ });
  t.notMatch(JSON.stringify(at('{"s": hunter2}')), /hunter2/);
});

t.test('tenant.json', async (t) => {
  const small = tenant(t, '\uFEFF{}');
  t.strictSame(small.problems, []);
  t.match(small.value, { id: 'acme', name: 'acme', cordon: 'shared', vars: {} });
  t.equal(small.value?.limits, DEFAULT_LIMITS, 'defaults are shared, not copied');
  const full = tenant(
    t,
    `{"name": "Acme Inc.", "vars": {"defaultOwner": "acme", "n": [1, {"deep": true}]}, "cordon": "own", "limits": {"threads": 2},
      "connections": {"weather": {"type": "none", "origins": ["https://API.weather.gov:443", "http://127.0.0.1:8080"]}}}`,
  );
  t.strictSame(full.problems, []);
  t.strictSame(full.value?.connections.get('weather')?.origins, ['https://api.weather.gov', 'http://127.0.0.1:8080']);
  t.equal(full.value?.limits.threads, 2);
  t.equal(full.value?.limits.heapMb, DEFAULT_LIMITS.heapMb);
  t.throws(() => ((full.value as unknown as { vars: { n: unknown[] } }).vars.n[1] = 3), TypeError);
});

t.test('wrong tenant settings', async (t) => {
  t.match(tenant(t, '{"limit": {}}').problems[0], { file: 'tenants/acme/tenant.json', hint: 'did you mean "limits"?' });
  t.match(tenant(t, '{"limits": {"heapMB": 3}}').problems[0], {
    reason: '/limits/heapMB is not a known setting',
    hint: 'did you mean "heapMb"?',
  });
  t.match(tenant(t, '{"connections": {"x": {"type": "none", "origins": ["ftp://x"]}}}').problems[0], {
    reason: /origins\/0 must be/,
  });
  t.match(tenant(t, '{"connections": {"a-b": {"type": "none", "origins": ["https://x"]}}}').value, undefined);
});

t.test('vars that look like secrets trip, without being quoted', async (t) => {
  for (const vars of [
    '{"apiKey": "abcdefgh1234"}',
    '{"x": {"y": "ghp_0123456789abcdef"}}',
    '{"a": ["-----BEGIN PRIVATE KEY-----"]}',
  ]) {
    const { value, problems } = tenant(t, `{"vars": ${vars}}`);
    t.ok(value, 'still served');
    t.match(problems, [{ reason: /looks like a secret/ }]);
    t.notMatch(JSON.stringify(problems), /abcdefgh1234|ghp_0|BEGIN/);
  }
  t.strictSame(tenant(t, '{"vars": {"tokenCount": 5, "owner": "acme", "passwordHint": ""}}').problems, []);
});

t.test('what a tenant folder may be called and be', async (t) => {
  const dir = estate(t, {
    'tenants/acme/tenant.json': '{}',
    'tenants/_templates/x': '',
    'tenants/README.md': '',
    'tenants/Acme2/tenant.json': '{}',
    'tenants/a b/tenant.json': '{}',
    'elsewhere/tenant.json': '{"name": "secret"}',
    'secret.json': '{}',
    'tenants/linked-file/x': '',
  });
  symlinkSync(join(dir, 'elsewhere'), join(dir, 'tenants/linked'));
  symlinkSync(join(dir, 'secret.json'), join(dir, 'tenants/linked-file/tenant.json'));
  const { ids, problems } = listTenants(dir);
  t.strictSame(ids, ['acme', 'linked-file']);
  t.strictSame(problems.map((problem) => problem.file).toSorted(), ['tenants/Acme2', 'tenants/a b', 'tenants/linked']);
  for (const id of ['linked', '..', 'Acme2', '../elsewhere', ''])
    t.equal(loadTenantConfig(dir, id, DEFAULT_LIMITS).value, undefined, id);
  t.match(loadTenantConfig(dir, 'linked-file', DEFAULT_LIMITS).problems[0], { reason: /symbolic link/ });
  t.match(loadTenantConfig(dir, 'gone', DEFAULT_LIMITS).problems[0], { reason: /not a folder/ });
});

t.test('the data folder is private', async (t) => {
  const dir = join(estate(t, {}), 'data');
  mkdirSync(dir, { mode: 0o755 });
  t.equal(prepareDataDir(dir), undefined);
  t.equal(statSync(dir).mode & 0o777, 0o700);
  t.equal(readFileSync(join(dir, '.gitignore'), 'utf8'), '*\n');
  t.match(prepareDataDir(join(dir, '.gitignore', 'data')), { reason: /cannot be used/ });
});

t.test('editor schemas are the schemas that check', async (t) => {
  const dir = estate(t, {});
  writeEditorSchemas(dir);
  for (const [file, schema] of [
    ['leasehold.json', ServerOptionsSchema],
    ['tenant.json', TenantOptionsSchema],
    ['binding.json', BindingFileSchema],
  ] as const) {
    const { $schema, ...written } = JSON.parse(readFileSync(join(dir, 'schemas', file), 'utf8'));
    t.match($schema, /2020-12/);
    t.strictSame(written, JSON.parse(JSON.stringify(schema)));
  }
});

t.test('the README names every key of both files and every limit, with its default', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  /** Rows of the table below the line that begins with `head`: the names in the first column, and the second column. */
  const table = (head: string): [names: string[], second: string][] => {
    const rows =
      readme
        .slice(readme.indexOf(`\n${head}`) + 1)
        .split('\n\n', 1)[0]
        ?.split('\n')
        .slice(2) ?? [];
    return rows.map((row) => {
      const [first = '', second = ''] = row.slice(2).split(' | ');
      return [[...first.matchAll(/`([A-Za-z.]+)`/g)].map(([, name = '']) => name), second];
    });
  };
  const named = (head: string): string[] =>
    [...new Set(table(head).flatMap(([names]) => names.map((name) => name.split('.', 1)[0] ?? '')))].sort();
  const keys = (schema: { properties: object }): string[] =>
    Object.keys(schema.properties)
      .filter((key) => key !== '$schema')
      .sort();
  t.strictSame(named('| key | default |'), keys(ServerOptionsSchema), 'leasehold.json');
  t.strictSame(named('| key | what it is |'), keys(TenantOptionsSchema), 'tenant.json');
  t.strictSame(named('| limit | default |'), keys(LimitsSchema), 'limits');
  const defaults: Record<string, number | undefined> = DEFAULT_LIMITS;
  for (const [names, second] of table('| limit | default |'))
    for (const name of names) t.equal(second, String(defaults[name] ?? 'none'), name);
});
