// `leasehold tenant`: a tenant comes and goes, also while a server runs and calls are under way, and nothing of it can be opened then.
// Not responsible for how a running server loads tenants (`registry`). Ending grants upstream: `test/connections/connection-command`.
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { loadMasterKey } from '../../src/vault/keys/master-key.ts';
import { openVault } from '../../src/vault/vault.ts';
import { leasehold, ownUser, serving, until } from '../helpers/cli.ts';
import { toolset, writeEstate, writeTenant } from '../helpers/estate.ts';

t.setTimeout(240_000);

function scene(t: Test, tenants: Parameters<typeof writeEstate>[1]['tenants'] = {}) {
  const user = ownUser(t);
  const estate = writeEstate(t, { server: { listen: '127.0.0.1:0' }, tenants });
  const run = (...args: string[]) => leasehold([...args, '--estate', estate], { env: user });
  return { user, estate, run, data: join(estate, '.leasehold'), folder: (id: string) => join(estate, 'tenants', id) };
}

/** The rows that any table with a tenant column has for it. */
function rowsOf(dataDir: string, tenant: string): string[] {
  const db = new DatabaseSync(join(dataDir, 'vault.db'));
  try {
    const tables = db
      .prepare("SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'tenant' WHERE m.type = 'table'")
      .all() as unknown as { name: string }[];
    return tables.flatMap(({ name }) => {
      const { n } = db.prepare(`SELECT count(*) AS n FROM ${name} WHERE tenant = ?`).get(tenant) as { n: number };
      return n === 0 ? [] : [name];
    });
  } finally {
    db.close();
  }
}

t.test('add, list, remove', async (t) => {
  const { run, estate, folder, data, user } = scene(t);
  mkdirSync(join(estate, 'tenants'));
  t.match(await run('tenant', 'list'), { code: 0, stdout: '', stderr: /there are none/ });
  t.match(await run('tenant', 'add', 'acme', '--name', 'Acme Travel'), { code: 0, stderr: /added acme: put its tools into/ });
  const file = JSON.parse(readFileSync(join(folder('acme'), 'tenant.json'), 'utf8')) as Record<string, unknown>;
  t.strictSame(file, { $schema: '../../.leasehold/schemas/tenant.json', name: 'Acme Travel' });
  t.ok(existsSync(join(folder('acme'), file['$schema'] as string)), 'an editor finds the schema');
  t.strictSame(readdirSync(join(folder('acme'), 'tools')), []);
  t.strictSame(readdirSync(join(estate, 'tenants')), ['acme'], 'nothing else is left');
  t.notOk(existsSync(join(data, 'vault.db')), 'no vault is made for a folder');
  t.match(await run('tenant', 'add', 'acme'), { code: 1, stderr: /is there already/ });
  t.match(await run('tenant', 'add', '../x'), { code: 2, stderr: /a tenant id is/ });
  t.match(await run('tenant', 'add'), { code: 2, stderr: /which tenant/ });
  t.match(await run('tenant', 'list', 'acme'), { code: 2 });

  writeTenant(estate, 'globex', { tenant: { cordon: 'own' }, tools: { 'a.ts': toolset(''), 'a.test.ts': '' } });
  writeTenant(estate, 'odd', { tenant: { nonsense: true } });
  const listed = await run('tenant', 'list');
  t.match(listed.stdout, /^acme {2}Acme Travel {2}0 tool files {2}cordon shared\nglobex {2}1 tool file {2}cordon own/);
  t.match(listed.stdout, /odd {2}0 tool files\n {2}✗ tenants\/odd\/tenant\.json/);
  t.match(JSON.parse((await run('tenant', 'list', '--json')).stdout), [{ id: 'acme', toolFiles: 0 }, {}, { id: 'odd' }]);

  t.match(await run('tenant', 'remove', 'acme'), { code: 1, stderr: /would\n {2}delete .*Add --yes/s });
  t.ok(existsSync(folder('acme')), 'without --yes nothing is done');
  t.match(await run('tenant', 'remove', 'acme', '--yes'), { code: 0, stderr: /removed acme; its audit trail stays/ });
  t.notOk(existsSync(folder('acme')));
  const records = readFileSync(join(data, 'cli/audit/acme.jsonl'), 'utf8');
  t.match(records, /"kind":"tenant.added".*\n.*"kind":"tenant.removed".*"files":"deleted"/);
  t.match(await run('tenant', 'remove', 'acme', '--yes'), { code: 1, stderr: /there is nothing of a tenant 'acme'/ });

  // A link is removed, not what it leads to.
  const outside = join(user['HOME'] as string, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious.txt'), 'x');
  symlinkSync(outside, folder('linked'));
  t.equal((await run('tenant', 'remove', 'linked', '--yes')).code, 0);
  t.ok(existsSync(join(outside, 'precious.txt')));
  t.notOk(existsSync(folder('linked')));
});

t.test('files can be kept, and a folder may be gone already', async (t) => {
  const { run, estate, folder, data } = scene(t, { acme: { tools: { 'a.ts': toolset('') } }, globex: {} });
  for (const id of ['acme', 'globex']) t.equal((await run('token', 'create', id, '--subject', 'ada')).code, 0);
  mkdirSync(join(data, 'logs'), { recursive: true });
  for (const name of ['acme.jsonl', 'acme.jsonl.1', 'globex.jsonl']) writeFileSync(join(data, 'logs', name), '{}\n');
  t.match(await run('tenant', 'remove', 'acme', '--keep-files'), { code: 1, stderr: /move aside .*1 tokens/s });
  const kept = JSON.parse((await run('tenant', 'remove', 'acme', '--yes', '--keep-files', '--json')).stdout) as {
    folder: string;
  };
  t.match(kept, { removed: 'acme', files: 'kept', rows: { tokens: 1 }, log: true, revoked: [] });
  t.ok(existsSync(join(kept.folder, 'tools/a.ts')));
  t.notMatch((await run('tenant', 'list')).stdout, /acme/, 'and is no tenant');
  t.strictSame(rowsOf(data, 'acme'), ['removed_tenants']);
  t.strictSame(readdirSync(join(data, 'logs')), ['globex.jsonl']);

  rmSync(folder('globex'), { recursive: true });
  t.match(await run('tenant', 'remove', 'globex', '--yes'), { code: 0 });
  t.strictSame(rowsOf(data, 'globex'), ['removed_tenants']);

  // A folder made by hand does not bring it back; adding it does.
  writeTenant(estate, 'acme', {});
  t.match(await run('token', 'create', 'acme', '--subject', 'eve'), { code: 1, stderr: /the tenant was removed/ });
  t.match(await run('tenant', 'add', 'acme'), { code: 0 });
  t.equal((await run('token', 'create', 'acme', '--subject', 'eve')).code, 0);
});

const WRITER = toolset(`write: defineTool({
  description: 'w', inputSchema: Type.Object({}), timeoutMs: 60000,
  async handler(_, ctx) {
    let refused = 0;
    for (let i = 0; i < 400 && refused < 20; i += 1) {
      ctx.log.info('still here');
      await ctx.store.tenant.set('n' + (i % 5), 'the-value').catch(() => { refused += 1; });
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return 'refused ' + refused;
  },
})`);

t.test('removed while a server runs and calls are under way: nothing of it can be opened', async (t) => {
  const { run, estate, folder, data, user } = scene(t, { acme: { tools: { 'a.ts': WRITER } }, globex: {} });
  const server = await serving(t, ['start', estate, '--port', '0'], user);
  const calls = [run('call', 'acme', 'write'), run('call', 'acme', 'write')];
  await until(async () => existsSync(join(data, 'vault.db')) && rowsOf(data, 'acme').includes('store_values'));
  await until(async () => existsSync(join(data, 'logs/acme.jsonl')));
  const db = new DatabaseSync(join(data, 'vault.db'));
  const value = db.prepare("SELECT * FROM store_values WHERE tenant = 'acme'").get() as Record<string, Uint8Array>;
  const key = db.prepare("SELECT * FROM tenant_keys WHERE tenant = 'acme'").get() as { wrapped: Uint8Array; key_id: number };
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
  const backup = join(user['HOME'] as string, 'backup');
  mkdirSync(backup);
  copyFileSync(join(data, 'vault.db'), join(backup, 'vault.db'));

  const removed = await run('tenant', 'remove', 'acme', '--yes');
  t.match(removed, { code: 0, stderr: /waiting for the server that runs.*removed acme/s });
  const ended = await Promise.all(calls);
  t.match(ended.map(({ stdout, stderr }) => stdout + stderr).join(''), /refused 20/, 'the calls wrote on, and were refused');
  t.match(await run('call', 'acme', 'write'), { code: 1 }, 'it is not served any more');
  server.child.kill('SIGTERM');
  t.equal(await server.exit, 0, 'the server had time to write all that it still had');
  t.strictSame(rowsOf(data, 'acme'), ['removed_tenants'], 'and nothing came back');
  t.notOk(existsSync(join(data, 'logs/acme.jsonl')), 'nor did its log');
  for (const name of readdirSync(data).filter((file) => file.startsWith('vault.db')))
    t.notOk(readFileSync(join(data, name)).includes(Buffer.from(key.wrapped)), `${name} holds no wrapped key`);
  t.match(readFileSync(join(data, 'audit/acme.jsonl'), 'utf8'), 'call.request', 'its audit trail is kept');

  // Rows of a copy, in the new database: for a tenant of the same name with a key of its own they are noise.
  t.equal((await run('tenant', 'add', 'acme')).code, 0);
  t.ok(existsSync(folder('acme')));
  const masterKey = loadMasterKey({ source: 'file', path: join(data, 'master.key') }, true).key;
  const vault = openVault({ dataDir: data, masterKey, busyMs: 5000 });
  vault.values.set('acme', undefined, 'n0', Buffer.from('new'), undefined, 1e6);
  const columns = [value['slot'] as Uint8Array, value['sealed'] as Uint8Array];
  const again = new DatabaseSync(join(data, 'vault.db'));
  again.prepare("INSERT OR REPLACE INTO store_values VALUES ('acme', ?, ?, 64, NULL)").run(...columns);
  again.close();
  for (let i = 0; i < 5; i += 1)
    t.notMatch(String(Buffer.from(vault.values.get('acme', undefined, `n${i}`, 0) ?? [])), /the-value/);
  t.match(vault.verify().bad, [{ table: 'store_values', tenant: 'acme' }], 'the row of the copy does not open');
  vault.close();

  // The whole copy holds the wrapped key: it is the master key of its time that opens it, until that one is replaced.
  const old = openVault({ dataDir: backup, masterKey, busyMs: 5000 });
  t.equal(old.verify().bad.length, 0);
  old.close();
  t.equal((await run('vault', 'rotate-key')).code, 0);
  const next = loadMasterKey({ source: 'file', path: join(data, 'master.key') }, true).key;
  t.throws(() => openVault({ dataDir: backup, masterKey: next }), { code: 'key_wrong' });
  t.throws(() => openVault({ dataDir: data, masterKey: randomBytes(32) }), { code: 'key_wrong' });
});
