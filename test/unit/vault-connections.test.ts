// Secrets, grants, refresh locks and rejections in the vault: sealed, bound to their place, seen by other processes.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { Io } from '../../src/commands/command.ts';
import { main } from '../../src/commands/main.ts';
import { databasePath } from '../../src/vault/database.ts';
import type { ConnectFlow, Grant, GrantKey } from '../../src/vault/stores.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';

t.setTimeout(120_000);
const KEY = Buffer.alloc(32, 7);
const ADA: GrantKey = { tenant: 'acme', slot: 'github', owner: { issuer: 'leasehold', subject: 'ada' } };
const grant = (more: Partial<Grant> = {}): Grant => ({
  id: 'G1',
  serial: 1,
  binding: 'b',
  state: 'active',
  requested: ['repo'],
  scopes: ['repo'],
  accessToken: 'canary-access-token',
  refreshToken: 'canary-refresh-token',
  connectedAt: 1,
  refreshedAt: 1,
  ...more,
});

function vaultIn(t: Test, dataDir: string, more: { now?: () => number } = {}): Vault {
  const vault = openVault({ dataDir, masterKey: KEY, ...more });
  t.teardown(() => vault.close());
  return vault;
}
async function within(ms: number, holds: () => boolean): Promise<boolean> {
  for (const until = performance.now() + ms; performance.now() < until; await sleep(10)) if (holds()) return true;
  return false;
}
function onDisk(dataDir: string): string {
  return readdirSync(dataDir)
    .map((file) => readFileSync(join(dataDir, file), 'latin1'))
    .join('');
}

t.test('secrets: versions, listing without values, nothing readable on disk', async (t) => {
  const dataDir = t.testdir();
  const vault = vaultIn(t, dataDir);
  t.equal(vault.secrets.get('acme', 'crm-key'), undefined);
  vault.secrets.set('acme', 'crm-key', 'canary-ä-key', 5);
  vault.secrets.set('_server', 'crm-key', 'other', 6);
  const first = vault.secrets.get('acme', 'crm-key');
  t.equal(first?.value, 'canary-ä-key');
  t.equal(vault.secrets.get('acme', 'crm-key'), first, 'cached');
  t.equal(vault.secrets.get('globex', 'crm-key'), undefined);
  t.equal(vault.secrets.get('_server', 'crm-key')?.value, 'other');
  vault.secrets.set('acme', 'crm-key', 'canary-ä-key', 7);
  t.not(vault.secrets.get('acme', 'crm-key')?.version, first?.version, 'setting the same again counts as a change');
  t.match(vault.secrets.list('acme'), [{ name: 'crm-key', updatedAt: 7 }]);
  t.notMatch(JSON.stringify(vault.secrets.list('acme')), /canary/);
  t.notMatch(onDisk(dataDir), /canary/);
  t.equal(vault.secrets.delete('acme', 'crm-key'), true);
  t.equal(vault.secrets.delete('acme', 'crm-key'), false);
  t.equal(vault.secrets.get('acme', 'crm-key'), undefined);
});

t.test('what another process sets counts within a second', async (t) => {
  const dataDir = t.testdir();
  const server = vaultIn(t, dataDir);
  server.secrets.set('acme', 'k', 'one', 1);
  server.grants.put(ADA, grant());
  t.equal(server.secrets.get('acme', 'k')?.value, 'one');
  t.equal(server.grants.find(ADA)?.accessToken, 'canary-access-token');
  t.equal(server.rejections.find(ADA), undefined);
  const command = vaultIn(t, dataDir);
  command.secrets.set('acme', 'k', 'two', 2);
  command.grants.put(ADA, grant({ accessToken: 'newer' }));
  command.rejections.set(ADA, { credential: 'c', failures: 1, until: 5, at: 1 });
  t.equal(server.grants.read(ADA)?.accessToken, 'newer', 'past the cache at once');
  t.ok(await within(1000, () => server.secrets.get('acme', 'k')?.value === 'two'));
  t.ok(await within(1000, () => server.grants.find(ADA)?.accessToken === 'newer'));
  t.ok(await within(1000, () => server.rejections.find(ADA)?.until === 5));
  command.grants.delete(ADA);
  command.rejections.clear(ADA);
  t.ok(await within(1000, () => server.grants.find(ADA) === undefined));
  t.ok(await within(1000, () => server.rejections.find(ADA) === undefined));
});

t.test('grants: one per connection and owner; of two writers one loses and knows it', async (t) => {
  const dataDir = t.testdir();
  const vault = vaultIn(t, dataDir);
  const other = vaultIn(t, dataDir);
  const keys: GrantKey[] = [
    ADA,
    { ...ADA, owner: { issuer: 'leasehold', subject: 'bob' } },
    { ...ADA, owner: { issuer: 'https://idp', subject: 'ada' } },
    { ...ADA, owner: undefined },
    { ...ADA, slot: 'gitlab' },
    { ...ADA, tenant: 'globex' },
  ];
  for (const [index, key] of keys.entries()) {
    t.equal(vault.grants.find(key), undefined);
    vault.grants.put(key, grant({ id: `G${index}`, connectedAt: index }));
  }
  for (const [index, key] of keys.entries()) t.equal(vault.grants.find(key)?.id, `G${index}`);
  t.strictSame(
    vault.grants.list('acme').map(({ key, grant: { id } }) => [id, key]),
    keys.slice(0, 5).map((key, index) => [`G${index}`, key]),
  );
  t.notMatch(onDisk(dataDir), /canary|"ada"|leasehold"/, 'nor whose they are');

  const before = vault.grants.read(ADA);
  const won = other.grants.replace(ADA, grant({ accessToken: 'second' }), before?.version ?? '');
  t.equal(won?.accessToken, 'second');
  t.equal(vault.grants.replace(ADA, grant({ accessToken: 'third' }), before?.version ?? ''), undefined);
  t.equal(vault.grants.find(ADA)?.accessToken, 'second');
  vault.grants.delete(ADA);
  vault.grants.put(ADA, grant());
  t.equal(other.grants.replace(ADA, grant(), won?.version ?? ''), undefined, 'a version never comes back');
});

t.test('rows that were moved or changed do not open', async (t) => {
  const dataDir = t.testdir();
  const vault = vaultIn(t, dataDir);
  vault.secrets.set('acme', 'a', 'secret a', 1);
  vault.secrets.set('acme', 'b', 'secret b', 1);
  vault.grants.put(ADA, grant());
  vault.grants.put({ ...ADA, slot: 'other' }, grant());
  const db = new DatabaseSync(databasePath(dataDir));
  t.teardown(() => db.close());
  const [b] = db.prepare("SELECT sealed, version FROM secrets WHERE name = 'b'").all();
  db.prepare("UPDATE secrets SET sealed = ?, version = ? WHERE name = 'a'").run(
    b?.['sealed'] as Uint8Array,
    b?.['version'] as string,
  );
  t.throws(() => vaultIn(t, dataDir).secrets.get('acme', 'a'), { code: 'seal_broken' });
  const [one, two] = db.prepare('SELECT slot, sealed, version FROM grants').all();
  const move = db.prepare('UPDATE grants SET sealed = ?, version = ? WHERE slot = ?');
  for (const [from, to] of [
    [one, two],
    [two, one],
  ])
    move.run(from?.['sealed'] as Uint8Array, from?.['version'] as string, to?.['slot'] as Uint8Array);
  t.throws(() => vaultIn(t, dataDir).grants.read(ADA), { code: 'seal_broken' });
});

t.test('refresh locks: one holder, fencing numbers rise, a dead holder gives way', async (t) => {
  const dataDir = t.testdir();
  const a = vaultIn(t, dataDir).refreshLocks;
  const b = vaultIn(t, dataDir).refreshLocks;
  t.equal(a.take(ADA, 'a', 1000, 500), 1);
  t.equal(b.take(ADA, 'b', 1400, 500), undefined);
  t.equal(b.take({ ...ADA, owner: undefined }, 'b', 1400, 500), 1, 'another grant');
  t.equal(b.take(ADA, 'b', 1500, 500), 2, 'expired');
  a.release(ADA, 'a', 1);
  t.equal(a.take(ADA, 'a', 1600, 500), undefined, 'a late release frees nothing');
  b.release(ADA, 'b', 2);
  t.equal(a.take(ADA, 'a', 1600, 500), 3);
  t.equal(b.take(ADA, 'b', 0, 500), 4, 'a clock that was set back does not lock for ever');

  const writer = new DatabaseSync(databasePath(dataDir));
  t.teardown(() => writer.close());
  writer.exec('BEGIN IMMEDIATE');
  const begun = performance.now();
  t.equal(a.take(ADA, 'a', 9000, 500), undefined, 'a busy database is not waited for');
  t.ok(performance.now() - begun < 1000);
  writer.exec('ROLLBACK');
  t.equal(a.take(ADA, 'a', 9000, 500), 5);
});

t.test('connect flows: found by link and state, one per asker and scopes, changed by who read the newest version', async (t) => {
  const dataDir = t.testdir();
  let now = 1_000_000;
  const vault = vaultIn(t, dataDir, { now: () => now });
  const flow: ConnectFlow = {
    id: 'F1',
    link: 'canary-link-1',
    key: ADA,
    binding: 'b',
    scopes: ['repo', 'gist'],
    asker: { issuer: 'leasehold', subject: 'ada', correlation: 'C' },
    code: 'CAN-ARY',
    guesses: 5,
  };
  const { flows } = vault;
  t.equal(flows.same(flow, now), undefined);
  flows.put(flow, now + 1000, now);
  const found = flows.byLink('canary-link-1', now);
  t.strictSame(found?.flow, flow);
  t.strictSame(flows.same({ ...flow, scopes: ['gist', 'repo'] }, now)?.flow, flow, 'scopes are a set');
  t.equal(flows.same({ ...flow, scopes: ['repo'] }, now), undefined);
  t.equal(flows.same({ ...flow, asker: { ...flow.asker, subject: 'bob' } }, now), undefined);
  t.equal(flows.byLink('canary-link', now), undefined);
  t.equal(flows.byState('canary-state', now), undefined);
  const sent = { ...flow, sent: { browser: 'x', state: 'canary-state', verifier: 'canary-verifier' } };
  t.ok(flows.replace(sent, found?.version ?? '', now + 1000));
  t.notOk(flows.replace(flow, found?.version ?? '', now + 1000), 'an old version');
  t.notOk(flows.end(flow, found?.version ?? ''));
  const other = vaultIn(t, dataDir, { now: () => now });
  t.strictSame(other.flows.byState('canary-state', now)?.flow, sent, 'after a restart');
  const files = () =>
    readdirSync(dataDir)
      .map((name) => readFileSync(join(dataDir, name), 'latin1'))
      .join('');
  t.notMatch(files(), /canary|CAN-ARY|ada/);
  now += 1000;
  t.equal(flows.byLink('canary-link-1', now), undefined, 'expired');
  flows.put({ ...flow, link: 'canary-link-2' }, now + 1000, now);
  flows.put({ ...flow, link: 'canary-link-3' }, now + 1000, now);
  t.equal(flows.byLink('canary-link-2', now), undefined, 'replaced');
  const last = flows.byLink('canary-link-3', now);
  t.ok(flows.end(flow, last?.version ?? '') === false, 'another link');
  const db = new DatabaseSync(databasePath(dataDir));
  t.equal(db.prepare('SELECT count(*) AS n FROM connect_flows').get()?.['n'], 1);
  db.exec("UPDATE connect_flows SET version = 'x'");
  t.throws(() => flows.byLink('canary-link-3', now), { code: 'seal_broken' });
  db.close();
  vault.shredTenant('acme');
  t.equal(flows.byLink('canary-link-3', now), undefined);
});

t.test('a destroyed tenant takes all of it along', async (t) => {
  const dataDir = t.testdir();
  const vault = vaultIn(t, dataDir);
  vault.secrets.set('acme', 'k', 'v', 1);
  vault.grants.put(ADA, grant());
  vault.rejections.set(ADA, { credential: 'c', failures: 2, until: 5, at: 1 });
  t.match(vault.rejections.list('acme'), [{ slot: 'github', rejection: { failures: 2 } }]);
  vault.refreshLocks.take(ADA, 'a', Date.now(), 60_000);
  vault.shredTenant('acme');
  t.equal(vault.secrets.get('acme', 'k'), undefined);
  t.equal(vault.grants.find(ADA), undefined);
  t.strictSame([vault.grants.list('acme'), vault.secrets.list('acme'), vault.rejections.list('acme')], [[], [], []]);
  t.equal(vault.rejections.find(ADA), undefined);
  t.throws(() => vault.refreshLocks.take(ADA, 'b', Date.now(), 1000), { code: 'tenant_removed' });
  vault.admitTenant('acme');
  t.equal(vault.refreshLocks.take(ADA, 'b', Date.now(), 1000), 1);
});

t.test('a vault of the first version is brought up to date', async (t) => {
  const dataDir = t.testdir();
  openVault({ dataDir, masterKey: KEY }).close();
  const db = new DatabaseSync(databasePath(dataDir));
  db.exec(
    'DROP TABLE secrets; DROP TABLE grants; DROP TABLE refresh_locks; DROP TABLE rejections; DROP TABLE connect_flows; DROP TABLE usage_days; DROP TABLE users;' +
      'DROP TABLE memberships; DROP TABLE login_state; DROP TABLE removed_tenants;' +
      'DROP TRIGGER removed_tenant_has_no_key; DROP TRIGGER removed_tenant_has_no_token; ALTER TABLE tenant_keys DROP COLUMN guarded;' +
      'ALTER TABLE tokens DROP COLUMN expires_at; ALTER TABLE tokens DROP COLUMN last_used_at;' +
      'DELETE FROM schema_migrations WHERE version >= 2',
  );
  db.close();
  const vault = vaultIn(t, dataDir);
  vault.secrets.set('acme', 'k', 'v', 1);
  t.equal(vault.secrets.get('acme', 'k')?.value, 'v');
});

const run = promisify(execFile);
const CLI = fileURLToPath(import.meta.resolve('../../src/cli.ts'));

t.test('leasehold secret: from stdin or a prompt, never shown, audited', async (t) => {
  const estate = t.testdir({
    'leasehold.json': '{}',
    tenants: { acme: { 'tenant.json': '{}' }, globex: { 'tenant.json': '{}' } },
  });
  const env = { ...process.env, XDG_RUNTIME_DIR: estate, XDG_STATE_HOME: estate, HOME: estate };
  const leasehold = async (args: string[], input = '') => {
    const said = { stdout: '', stderr: '' };
    const collect = (name: 'stdout' | 'stderr') =>
      new Writable({
        write(chunk: Buffer, _, done) {
          said[name] += chunk.toString();
          done();
        },
      });
    const io: Io = {
      stdin: Readable.from([Buffer.from(input)]),
      stdout: collect('stdout'),
      stderr: collect('stderr'),
      env,
      cwd: estate,
      isTTY: false,
    };
    const code = await main(['secret', ...args, '--estate', estate], io);
    return { code, ...said };
  };
  const set = await leasehold(['set', 'acme', 'crm-key'], 'canary-value-1\n');
  t.match(set, { code: 0, stdout: '', stderr: /set crm-key of acme/ });
  t.match(await leasehold(['set', 'acme', 'crm-key', '--json'], 'canary-value-2\r\n'), { stdout: /"replaced":true/ });
  t.match(await leasehold(['set', '--server', 'app'], 'canary-value-3'), { stderr: /set app of server/ });
  t.match(await leasehold(['list', 'acme']), { stdout: /^crm-key {2}set 20/ });
  t.match(await leasehold(['list', '--server', '--json']), { stdout: /^\[\{"name":"app"/ });
  const key = readFileSync(join(estate, '.leasehold/master.key'), 'latin1').trim();
  const vault = openVault({ dataDir: join(estate, '.leasehold'), masterKey: Buffer.from(key, 'base64url') });
  t.teardown(() => vault.close());
  t.equal(vault.secrets.get('acme', 'crm-key')?.value, 'canary-value-2', 'the line end is not part of it');
  for (const [args, input, code, expected] of [
    [['set', 'acme', 'x'], '', 1, /empty/],
    [['set', 'acme', 'x'], 'a\nb', 1, /one line/],
    [['set', 'acme', 'x'], 'x'.repeat(9000), 1, /at most 8192 bytes/],
    [['set', 'acme', 'x y'], 'v', 2, /a name is/],
    [['set', 'acme', 'x', 'value'], 'v', 2, /unexpected argument/],
    [['set', 'nobody', 'x'], 'v', 1, /there is no tenant/],
    [['delete', 'acme', 'x'], '', 1, /has no secret 'x'/],
    [['list'], '', 2, /which tenant/],
    [['show', 'acme', 'x'], '', 2, /none of set, list, delete/],
  ] as const) {
    t.match(await leasehold([...args], input), { code, stderr: expected }, args.join(' '));
  }
  t.match(await leasehold(['delete', 'acme', 'crm-key']), { code: 0, stderr: /deleted crm-key/ });
  t.ok(await within(1000, () => vault.secrets.get('acme', 'crm-key') === undefined));
  const audit = readFileSync(join(estate, '.leasehold/cli/audit/acme.jsonl'), 'utf8');
  t.strictSame(
    audit
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: { kind: string; secret: string } }).event)
      .map(({ kind, secret }) => `${kind} ${secret}`),
    ['secret.set crm-key', 'secret.set crm-key', 'secret.deleted crm-key'],
  );
  t.notMatch(audit, /canary/);

  // A real terminal: what is typed must not come back.
  const typed = await run('python3', ['-c', PTY, process.execPath, CLI, estate], { env, timeout: 30_000 });
  t.match(typed.stdout, /\(not shown\): .*set typed of acme/s);
  t.notMatch(typed.stdout, /canary/);
  t.ok(await within(1000, () => vault.secrets.get('acme', 'typed')?.value === 'canary-typed'));
});

const PTY = `
import os, pty, sys
node, cli, estate = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(node, [node, cli, 'secret', 'set', 'acme', 'typed', '--estate', estate])
seen = b''
sent = False
while True:
    try:
        part = os.read(fd, 4096)
    except OSError:
        break
    if not part: break
    seen += part
    if not sent and b'(not shown)' in seen:
        os.write(fd, b'canary-typeX\\x7fd\\r')
        sent = True
os.waitpid(pid, 0)
sys.stdout.write(seen.decode())
`;
