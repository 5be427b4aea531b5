// `leasehold connection` and revocation: what is shown, what is proposed, and a grant that ends here and at its server.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import t, { type Test } from 'tap';
import type { Io } from '../../src/commands/command.ts';
import { main } from '../../src/commands/main.ts';
import { loadServerConfig } from '../../src/config/load-server.ts';
import { loadTenantConfig } from '../../src/config/load-tenant.ts';
import { missingSecrets } from '../../src/connections/connection-states.ts';
import { createRevocation } from '../../src/connections/oauth/revocation.ts';
import { DEFAULT_LIMITS } from '../../src/shared/limits.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { folder, MASTER_KEY } from './credential-scene.ts';
import { FaultyServer } from './faulty-server.ts';
import { adaKey, connect, oauthConnection, oauthScene } from './oauth-scene.ts';

t.setTimeout(120_000);
const file = t;

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
interface Estate {
  readonly dir: string;
  readonly vault: Vault;
  run(...args: string[]): Promise<Said>;
  removeTenant(...args: string[]): Promise<Said>;
}
function estate(t: Test, connections: unknown, server: Record<string, unknown> = {}): Estate {
  const dir = folder(t);
  mkdirSync(join(dir, 'tenants/acme'), { recursive: true });
  mkdirSync(join(dir, '.leasehold'), { mode: 0o700 });
  writeFileSync(join(dir, 'leasehold.json'), JSON.stringify(server));
  writeFileSync(join(dir, 'tenants/acme/tenant.json'), JSON.stringify({ connections }));
  writeFileSync(join(dir, '.leasehold/master.key'), MASTER_KEY.toString('base64url'), { mode: 0o600 });
  const vault = openVault({ dataDir: join(dir, '.leasehold'), masterKey: MASTER_KEY });
  t.teardown(() => vault.close());
  return {
    dir,
    vault,
    run: (...args) => run('connection', ...args),
    removeTenant: (...args) => run('tenant', 'remove', ...args),
  };
  async function run(...args: string[]): Promise<Said> {
    const said = { stdout: '', stderr: '' };
    const collect = (name: 'stdout' | 'stderr') =>
      new Writable({
        write(chunk: Buffer, _, done) {
          said[name] += chunk.toString();
          done();
        },
      });
    const env = { HOME: dir, XDG_RUNTIME_DIR: dir, XDG_STATE_HOME: dir };
    const io: Io = {
      stdin: Readable.from([]),
      stdout: collect('stdout'),
      stderr: collect('stderr'),
      env,
      cwd: dir,
      isTTY: false,
    };
    return { code: await main([...args, '--estate', dir], io), ...said };
  }
}

t.test('list, status and revoke', async (t) => {
  const server = await FaultyServer.start();
  t.teardown(() => server.close());
  const compiled = oauthConnection(server.origin);
  const endpoints = { ...compiled.oauth.endpoints, authorization: `${server.origin}/authorize` };
  const oauth = { endpoints, clientId: compiled.oauth.clientId, origins: [server.origin], scopes: ['read'] };
  const e = estate(
    t,
    { crm: oauth, key: { type: 'api_key', origins: ['https://api.example'], in: 'header', name: 'X-Key', key: { secret: 'k' } } },
    { egress: { privateOrigins: [server.origin] } },
  );
  const ada = connect(e.vault.grants, server, compiled);
  connect(
    e.vault.grants,
    server,
    compiled,
    { state: 'reauthorize', reason: 'invalid_grant' },
    { ...adaKey, owner: { issuer: 'leasehold', subject: 'bob' } },
  );
  connect(e.vault.grants, server, compiled, {}, { ...adaKey, slot: 'gone' });
  e.vault.rejections.set(
    { ...adaKey, slot: 'key', owner: undefined },
    { credential: 'v', failures: 3, until: Date.now() + 60_000, at: Date.now() },
  );

  const list = await e.run('list', 'acme');
  t.match(list.stdout, /^crm {2}127\.0\.0\.1:\d+ \(one account per user\) .* 1 connected, 1 to be connected again$/m);
  t.match(
    list.stdout,
    /^key {2}api_key {2}https:\/\/api\.example {2}not ready\n {2}the secret k is not set: leasehold secret set acme k$/m,
  );
  t.match(list.stdout, /refused by the service 3 times in a row.*not sent before/);
  t.match(list.stdout, /^gone {2}not in tenant.json any more/m);
  const status = await e.run('status', 'acme', 'crm');
  t.match(status.stdout, new RegExp(`${ada.id}  ada  active  read  connected 20.*token without end`));
  t.match(status.stdout, /bob {2}reauthorize \(invalid_grant\)/);
  const json = await e.run('status', 'acme', '--json');
  t.match(JSON.parse(json.stdout), [
    { slot: 'crm', grants: [{ owner: { subject: 'ada' }, state: 'active' }, { owner: { subject: 'bob' } }] },
    { slot: 'key', missingSecrets: ['k'], rejected: { failures: 3 } },
    { slot: 'gone', grants: [{ state: 'orphaned' }] },
  ]);

  const revoked = await e.run('revoke', 'acme', 'crm', '--subject', 'ada');
  t.match(revoked, { code: 0, stderr: `revoked ${ada.id} of ada; its server has ended it, too\n` });
  t.strictSame(server.revoked, [ada.refreshToken]);
  t.equal(e.vault.grants.read(adaKey), undefined);
  await server.close();
  const offline = await e.run('revoke', 'acme', 'crm', '--all', '--json');
  t.match(JSON.parse(offline.stdout), { revoked: [{ upstream: 'failed' }] });
  t.match(await e.run('revoke', 'acme', 'gone', '--all'), { code: 0, stderr: /did not confirm/ });
  t.strictSame(e.vault.grants.list('acme'), [], 'forgotten here in any case');
  for (const [args, code, expected] of [
    [['revoke', 'acme', 'crm', '--all'], 1, /has no such grant/],
    [['revoke', 'acme', 'crm'], 2, /one of --grant, --subject, --all/],
    [['revoke', 'acme'], 2, /which connection/],
    [['status', 'acme', 'nope'], 1, /has no connection 'nope'/],
    [['end', 'acme'], 2, /none of add, connect, list/],
  ] as const) {
    t.match(await e.run(...args), { code, stderr: expected }, args.join(' '));
  }
  const audit = readFileSync(join(e.dir, '.leasehold/cli/audit/acme.jsonl'), 'utf8');
  const events = audit
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event: Record<string, unknown> }).event);
  t.match(events.slice(0, 2), [
    { kind: 'grant.revoke', connection: 'crm', grant: ada.id, subject: 'ada' },
    { kind: 'grant.revoked', grant: ada.id, outcome: 'ok' },
  ]);
  t.notMatch(JSON.stringify([list, status, json, revoked, offline]) + audit, /canary/);
});

t.test("removing a tenant ends all of its grants at their services, and nobody else's", async (t) => {
  const server = await FaultyServer.start();
  t.teardown(() => server.close());
  const compiled = oauthConnection(server.origin);
  const endpoints = { ...compiled.oauth.endpoints, authorization: `${server.origin}/authorize` };
  const oauth = { endpoints, clientId: compiled.oauth.clientId, origins: [server.origin], scopes: ['read'] };
  const e = estate(t, { crm: oauth }, { egress: { privateOrigins: [server.origin] } });
  const bobKey = { ...adaKey, owner: { issuer: 'leasehold', subject: 'bob' } };
  const ada = connect(e.vault.grants, server, compiled);
  const bob = connect(e.vault.grants, server, compiled, {}, bobKey);
  const gone = connect(e.vault.grants, server, compiled, {}, { ...adaKey, slot: 'gone' });
  const other = connect(e.vault.grants, server, compiled, {}, { ...adaKey, tenant: 'globex' });
  t.match(await e.removeTenant('acme'), { code: 1, stderr: /end 3 grants/ });
  t.equal(server.revoked.length, 0);
  const removed = await e.removeTenant('acme', '--yes', '--json');
  t.equal(removed.code, 0, removed.stderr);
  const { revoked } = JSON.parse(removed.stdout) as { revoked: { grant: string; upstream: string }[] };
  t.strictSame(
    new Map(revoked.map(({ grant, upstream }) => [grant, upstream])),
    new Map([
      [ada.id, 'ok'],
      [bob.id, 'ok'],
      [gone.id, 'failed'],
    ]),
  );
  t.strictSame(new Set(server.revoked), new Set([ada.refreshToken, bob.refreshToken]));
  t.strictSame(e.vault.grants.list('acme'), []);
  t.equal(e.vault.grants.list('globex')[0]?.grant.id, other.id);
  t.throws(
    () => connect(e.vault.grants, server, compiled),
    { code: 'tenant_removed' },
    'nobody connects an account for it any more',
  );
  const kinds = readFileSync(join(e.dir, '.leasehold/cli/audit/acme.jsonl'), 'utf8').match(/"kind":"[^"]+"/g);
  t.equal(kinds?.[0], '"kind":"tenant.removed"', 'on record first');
  t.equal(kinds?.filter((kind) => kind === '"kind":"grant.revoked"').length, 3);
});

t.test('revoking waits for a renewal under way, and ends its new token', async (t) => {
  const s = await oauthScene(t, file);
  connect(s.vault.grants, s.server, s.connection, { expiresAt: Date.now() - 1000 });
  let release = (): void => undefined;
  s.server.beforeAnswer = (response) => {
    release = () => response.writeHead(200, { 'content-type': 'application/json' }).end(ANSWER);
    return false;
  };
  const call = s.call();
  while (s.server.tokenRequests.length === 0) await new Promise(setImmediate);
  const revocation = createRevocation({ ...s.vault, audit: s.audit, privateOrigins: [s.server.origin] });
  t.teardown(() => revocation.close());
  const ending = revocation.revoke(adaKey, s.connection.oauth);
  await new Promise(setImmediate);
  t.strictSame(s.server.revoked, []);
  release();
  t.equal(await ending, 'ok');
  t.strictSame(s.server.revoked, ['rotated']);
  await call;
  t.equal(s.grant(), undefined);
  t.equal(await s.call(), 'not_connected');
  t.equal(await revocation.revoke(adaKey, s.connection.oauth), undefined);
});
const ANSWER = JSON.stringify({ access_token: 'new', token_type: 'bearer', refresh_token: 'rotated' });

t.test('add: the redirect URI, what to put into tenant.json, what to type', async (t) => {
  const providers = { crm: { issuer: 'https://as.example', clientId: 'c', origins: ['https://api.example'], tenants: ['acme'] } };
  const e = estate(t, {}, { publicUrl: 'https://mcp.example.com/', providers });
  const github = await e.run('add', 'acme', 'github', '--provider', 'github');
  t.match(github, { code: 0, stderr: /Register an OAuth application with GitHub/ });
  t.match(github.stdout, /^ {2}https:\/\/mcp\.example\.com\/connect\/callback$/m);
  t.match(github.stdout, /^ {2}leasehold secret set acme github-client-secret$/m);
  const proposals = [
    ['--provider', 'github'],
    ['--provider', 'google'],
    ['--provider', 'crm'],
    ['--issuer', 'https://as.example/tenant'],
    ['--type', 'api_key'],
    ['--type', 'basic'],
    ['--type', 'headers'],
    ['--type', 'none'],
  ];
  for (const [option = '', value = ''] of proposals) {
    const { stdout } = await e.run('add', 'acme', 'slot', option, value, '--json');
    const { connection, commands, redirectUri } = JSON.parse(stdout) as {
      connection: unknown;
      commands: string[];
      redirectUri?: string;
    };
    t.equal(redirectUri !== undefined, option !== '--type', value);
    const filled = JSON.stringify({ connections: { slot: connection } }).replaceAll('<host of the API>', 'api.example');
    writeFileSync(join(e.dir, 'tenants/acme/tenant.json'), filled);
    const server = loadServerConfig(e.dir).value;
    const loaded = loadTenantConfig(server?.estate ?? '', 'acme', DEFAULT_LIMITS, server?.providers);
    t.strictSame(loaded.problems, [], `${value} passes the check once it is filled in`);
    if (loaded.value === undefined) continue;
    t.strictSame(
      missingSecrets(loaded.value, e.vault.secrets).map(({ hint }) => hint),
      commands,
      'and its secrets are what is missing',
    );
  }
  for (const [args, expected] of [
    [['--provider', 'gitlab'], /there is no provider 'gitlab'; there are crm, github, google/],
    [['--issuer', 'http://as.example'], /--issuer must be an https URL/],
    [['--type', 'oauth2'], /for OAuth use --provider or --issuer/],
    [[], /add takes one of/],
  ] as const) {
    t.match(await e.run('add', 'acme', 'slot', ...args), { code: 2, stderr: expected });
  }
  t.match(await e.run('add', 'acme', 'a-b', '--type', 'none'), { code: 2, stderr: /is no name/ });
});
