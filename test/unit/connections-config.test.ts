// Connections and providers in the files of an estate: what they compile to, and one clear line for each mistake.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadServerConfig } from '../../src/config/load-server.ts';
import { loadTenantConfig } from '../../src/config/load-tenant.ts';
import { secretRefs } from '../../src/connections/secret-refs.ts';
import { DEFAULT_LIMITS } from '../../src/shared/limits.ts';

function load(t: Test, connections: unknown, server: unknown = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-connections-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'tenants/acme'), { recursive: true });
  writeFileSync(join(folder, 'leasehold.json'), JSON.stringify(server));
  writeFileSync(join(folder, 'tenants/acme/tenant.json'), JSON.stringify({ connections }));
  const compiled = loadServerConfig(folder);
  if (compiled.value === undefined) return { connections: undefined, problems: compiled.problems };
  const { value, problems } = loadTenantConfig(compiled.value.estate, 'acme', DEFAULT_LIMITS, compiled.value.providers);
  return { connections: value?.connections, problems };
}
const ORIGINS = ['https://API.example.com:443'];
const OAUTH = { issuer: 'https://as.example', clientId: 'c', origins: ORIGINS };
const SECRET = { secret: 'crm-key' };

t.test('every kind compiles, with names of secrets only', async (t) => {
  const { connections, problems } = load(t, {
    open: { type: 'none', origins: ORIGINS },
    key: { type: 'api_key', origins: ORIGINS, in: 'header', name: 'X-Api-Key', prefix: 'Key ', key: SECRET },
    query: { type: 'api_key', origins: ORIGINS, in: 'query', name: 'api_key', key: SECRET },
    basic: { type: 'basic', origins: ORIGINS, username: 'ada', password: SECRET },
    headers: { type: 'headers', origins: ORIGINS, headers: { 'X-Account': '7', 'X-Auth': SECRET } },
    github: { provider: 'github', clientId: 'Ov1', clientSecret: SECRET, scopes: ['repo', 'repo'] },
    google: { provider: 'google', owner: 'tenant', clientId: 'g', origins: ['https://gmail.googleapis.com'] },
    own: { ...OAUTH, type: 'oauth2', resource: 'https://api.example.com/v1', clientSecret: SECRET },
    machine: {
      endpoints: { token: 'https://as.example/token' },
      grant: 'client_credentials',
      clientId: 'm',
      clientSecret: SECRET,
      origins: ORIGINS,
    },
  });
  t.strictSame(problems, []);
  const acme = { owner: 'acme', secret: 'crm-key' };
  const origins = ['https://api.example.com'];
  t.match(Object.fromEntries(connections ?? []), {
    open: { slot: 'open', type: 'none', origins },
    key: { type: 'api_key', in: 'header', name: 'X-Api-Key', prefix: 'Key ', key: acme },
    query: { in: 'query', prefix: '' },
    basic: { type: 'basic', username: 'ada', password: acme },
    headers: { headers: { 'x-account': '7', 'x-auth': acme } },
    github: {
      type: 'oauth2',
      owner: 'user',
      grant: 'authorization_code',
      origins: ['https://api.github.com'],
      oauth: { title: 'GitHub', clientId: 'Ov1', clientSecret: acme, clientAuth: 'client_secret_post', scopes: ['repo'] },
    },
    google: { owner: 'tenant', origins: ['https://gmail.googleapis.com'], oauth: { clientAuth: 'none' } },
    own: { oauth: { title: 'as.example', issuer: 'https://as.example', clientAuth: 'client_secret_basic' } },
    machine: { owner: 'tenant', grant: 'client_credentials', oauth: { endpoints: { token: 'https://as.example/token' } } },
  });
  t.strictSame(
    [...(connections?.values() ?? [])].map((connection) => secretRefs(connection).length),
    [0, 1, 1, 1, 1, 1, 0, 1, 1],
  );
  const github = connections?.get('github') as { owner: string };
  t.throws(() => (github.owner = 'tenant'), TypeError);
});

t.test('providers of the server: allow-listed, and fixed', async (t) => {
  const providers = {
    crm: { ...OAUTH, clientSecret: { secret: 'crm-app' }, scopes: ['read'], tenants: ['acme'] },
    github: { preset: 'github', clientId: 'shared', tenants: ['globex'] },
  };
  const crm = load(t, { a: { provider: 'crm' }, b: { provider: 'crm', scopes: ['write'], owner: 'tenant' } }, { providers });
  t.strictSame(crm.problems, []);
  t.match(crm.connections?.get('a'), {
    oauth: { clientId: 'c', clientSecret: { owner: '_server', secret: 'crm-app' }, scopes: ['read'] },
    owner: 'user',
  });
  t.match(crm.connections?.get('b'), { owner: 'tenant', oauth: { scopes: ['write'] } });
  for (const [connection, reason] of [
    [{ provider: 'github' }, /\/connections\/a\/provider names no provider of leasehold.json that this tenant may use/],
    [{ provider: 'crm', issuer: 'https://evil.example' }, /\/issuer is given by the provider/],
    [{ provider: 'crm', endpoints: { token: 'https://evil.example' } }, /\/endpoints is given by the provider/],
    [{ provider: 'crm', origins: ['https://evil.example'] }, /origins\/0 is not one of the provider/],
    [{ provider: 'toString' }, /names no provider/],
  ] as const) {
    const { connections, problems } = load(t, { a: connection }, { providers });
    t.equal(connections, undefined);
    t.match(problems, [{ file: 'tenants/acme/tenant.json', reason }], String(reason));
  }
  t.match(load(t, {}, { providers: { x: { preset: 'gitlab', clientId: 'c', tenants: [] } } }).problems, [
    { file: 'leasehold.json', reason: /names no preset \(there are github, google\)/ },
  ]);
});

t.test('mistakes, one line each, no value quoted', async (t) => {
  const wrong: [unknown, RegExp][] = [
    [{ type: 'apikey' }, /\/connections\/a\/type must be one of none, api_key, basic, headers, oauth2/],
    [{ type: 'none' }, /\/connections\/a\/origins is missing/],
    [{ type: 'api_key', origins: ORIGINS, in: 'header', name: 'X-Key', key: 'hunter2-hunter2' }, /\/connections\/a\/key/],
    [{ type: 'api_key', origins: ORIGINS, in: 'header', name: 'X Key', key: SECRET }, /\/name/],
    [{ type: 'api_key', origins: ORIGINS, in: 'header', name: 'Host', key: SECRET }, /\/name is a header of the runtime/],
    [{ type: 'api_key', origins: ORIGINS, in: 'cookie', name: 'k', key: SECRET }, /\/in must be one of header, query/],
    [{ type: 'basic', origins: ORIGINS, username: 'a:b', password: SECRET }, /\/username must not hold a colon/],
    [{ type: 'headers', origins: ORIGINS, headers: { Authorization: 'hunter2-hunter2' } }, /looks like a secret/],
    [{ type: 'headers', origins: ORIGINS, headers: { 'X-Api-Key': 'hunter2-hunter2' } }, /looks like a secret/],
    [{ type: 'headers', origins: ORIGINS, headers: { 'X-A': 'b\r\nx: y' } }, /X-A/],
    [{ type: 'headers', origins: ORIGINS, headers: { 'X-A': SECRET, 'x-a': SECRET } }, /stands there twice/],
    [{ clientId: 'c', origins: ORIGINS }, /names no provider, issuer or endpoints/],
    [{ issuer: 'https://as.example', origins: ORIGINS }, /\/clientId is missing/],
    [{ ...OAUTH, issuer: 'http://as.example' }, /\/issuer must be an https URL/],
    [{ ...OAUTH, issuer: 'https://as.example?x=1' }, /without user, query or fragment/],
    [{ ...OAUTH, endpoints: { token: 'javascript:alert(1)' } }, /\/endpoints\/token must be an https URL/],
    [{ ...OAUTH, endpoints: { token: 'https://x/' }, grant: 'authorization_code' }, /\/endpoints\/authorization is missing/],
    [{ ...OAUTH, grant: 'client_credentials' }, /\/clientSecret is missing/],
    [{ ...OAUTH, grant: 'client_credentials', owner: 'user', clientSecret: SECRET }, /\/owner must be "tenant"/],
    [{ ...OAUTH, scopes: ['a b'] }, /\/scopes\/0/],
    [{ ...OAUTH, clientSecret: 'hunter2-hunter2' }, /\/clientSecret/],
    [{ provider: 'github', clientId: 'c', endpoints: { token: 'https://evil.example' } }, /\/endpoints is given by the preset/],
    [{ ...OAUTH, provder: 'github' }, /\/provder is not a known setting/],
  ];
  for (const [connection, reason] of wrong) {
    const { connections, problems } = load(t, { a: connection });
    t.equal(connections, undefined, String(reason));
    t.match(problems[0], { file: 'tenants/acme/tenant.json', line: 1, reason }, String(reason));
    t.ok(problems.length <= 2, `few lines: ${problems.map((problem) => problem.reason).join(' | ')}`);
    t.notMatch(JSON.stringify(problems), /hunter2/);
  }
  t.equal(load(t, { 'a-b': { type: 'none', origins: ORIGINS } }).connections, undefined);
});
