// The vault on real files and with a second process: keys, seals, tokens, values, tenants that are destroyed.
import { execFile } from 'node:child_process';
import { createSecretKey, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { STORE_VALUE_BYTES } from '../../src/shared/limits.ts';
import { createToken, deriveDemoToken, hashToken } from '../../src/vault/access-token.ts';
import { vaultExists } from '../../src/vault/database.ts';
import { loadMasterKey } from '../../src/vault/keys/master-key.ts';
import { open, type Place, seal, SEAL_BYTES } from '../../src/vault/seal.ts';
import { openVault, type Vault, type VaultOptions } from '../../src/vault/vault.ts';

const KEY = Buffer.alloc(32, 7);
const bytes = (text: string): Uint8Array => Buffer.from(text);
const run = promisify(execFile);
async function elsewhere(dataDir: string, ...args: string[]): Promise<unknown> {
  const path = join(import.meta.dirname, 'vault-process.ts');
  const { stdout } = await run(process.execPath, [path, dataDir, KEY.toString('base64url'), ...args]);
  return JSON.parse(stdout);
}
function vaultIn(test: { teardown(f: () => void): void }, dataDir: string, more: Partial<VaultOptions> = {}): Vault {
  const vault = openVault({ dataDir, masterKey: KEY, ...more });
  test.teardown(() => vault.close());
  return vault;
}
async function within(ms: number, holds: () => boolean): Promise<boolean> {
  for (const until = performance.now() + ms; performance.now() < until; await sleep(10)) if (holds()) return true;
  return false;
}

// Run directly, tap would end the file after 30 s; a busy machine needs longer.
t.setTimeout(120_000);

void t.test('master key file', (t) => {
  const dir = t.testdir();
  const path = join(dir, 'deep', 'master.key');
  const from = { source: 'file', path } as const;
  t.throws(() => loadMasterKey(from, true), { code: 'key_missing', message: /nothing was created or changed/ });
  t.notOk(existsSync(path), 'no key is made over an existing vault');
  const made = loadMasterKey(from, false);
  t.match(made, { created: true });
  t.equal(made.key.length, 32);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.strictSame(Buffer.from(loadMasterKey(from, true).key), Buffer.from(made.key));
  t.equal(loadMasterKey(from, false).created, false);

  for (const mode of [0o640, 0o604, 0o660, 0o622, 0o777]) {
    chmodSync(path, mode);
    t.throws(
      () => loadMasterKey(from, true),
      { code: 'key_unsafe', message: /can be read by others \(mode 0\d+\); run: chmod 600/ },
      mode.toString(8),
    );
  }
  chmodSync(path, 0o400);
  t.equal(loadMasterKey(from, true).created, false, 'read-only is fine');
  const link = join(dir, 'link');
  symlinkSync(path, link);
  t.throws(() => loadMasterKey({ source: 'file', path: link }, true), { code: 'key_unsafe', message: /symbolic link/ });
  const dangling = join(dir, 'dangling');
  symlinkSync(join(dir, 'nowhere'), dangling);
  t.throws(() => loadMasterKey({ source: 'file', path: dangling }, false), { code: 'key_unsafe' });
  mkdirSync(join(dir, 'folder'), { mode: 0o700 });
  t.throws(() => loadMasterKey({ source: 'file', path: join(dir, 'folder') }, false), { code: 'key_unsafe' });

  const good = Buffer.from(made.key).toString('base64url');
  const odd = join(dir, 'odd');
  const spare = Buffer.alloc(32).toString('base64url').slice(0, -1);
  for (const text of [
    '',
    'short',
    `${good}A`,
    good.slice(1),
    ` ${good}`,
    `${good}\n\n`,
    `${good}\n${good}`,
    'ä'.repeat(43),
    'A'.repeat(1e6),
    `${spare}B`,
  ]) {
    writeFileSync(odd, text, { mode: 0o600 });
    t.throws(
      () => loadMasterKey({ source: 'file', path: odd }, true),
      { code: 'key_invalid' },
      JSON.stringify(text.slice(0, 50)),
    );
  }
  for (const text of [good, `${good}\n`, `${good}\r\n`]) {
    writeFileSync(odd, text);
    t.strictSame(Buffer.from(loadMasterKey({ source: 'file', path: odd }, true).key), Buffer.from(made.key));
  }
  t.end();
});

void t.test('seals open for their key, tenant and place only, and no changed byte opens', (t) => {
  const key = { id: 5, key: createSecretKey(randomBytes(32)) };
  const place: Place = ['acme', 'store', 'a', 'b'];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (plain) =>
      Buffer.from(plain).equals(open(key, place, seal(key, place, plain))),
    ),
  );
  const sealed = seal(key, place, bytes('secret'));
  t.equal(sealed.length, 6 + SEAL_BYTES);
  t.notOk(sealed.includes('secret'));
  t.notSame(seal(key, place, bytes('secret')), sealed, 'never the same twice');
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] as number) ^ 1;
    t.throws(() => open(key, place, changed), { code: 'seal_broken' }, `byte ${at}`);
  }
  for (let length = 0; length < sealed.length; length += 1)
    t.throws(() => open(key, place, sealed.subarray(0, length)), { code: 'seal_broken' });
  const places: Place[] = [
    ['globex', 'store', 'a', 'b'],
    ['acme', 'store', 'a","b'],
    ['acme', 'store', 'ab'],
    ['acme', 'store', 'a', 'b', ''],
  ];
  for (const other of places) t.throws(() => open(key, other, sealed), { code: 'seal_broken' });
  t.throws(() => open({ id: 5, key: createSecretKey(randomBytes(32)) }, place, sealed), { code: 'seal_broken' });
  t.throws(() => open({ ...key, id: 6 }, place, sealed), { code: 'seal_broken' });
  t.end();
});

void t.test('opening: wrong key, unsafe file, newer schema, several at once', async (t) => {
  const dataDir = t.testdir();
  t.equal(vaultExists(dataDir), false);
  const all = await Promise.all([1, 2, 3].map((n) => elsewhere(dataDir, 'fill', 'acme', `p${n}-`)));
  t.strictSame(all, [true, true, true], 'three processes made and filled the same vault at once');
  t.equal(vaultExists(dataDir), true);
  t.throws(() => openVault({ dataDir, masterKey: Buffer.alloc(32, 8) }), { code: 'key_wrong', message: /nothing was changed/ });
  t.throws(() => openVault({ dataDir, masterKey: Buffer.alloc(31, 7) }), { code: 'key_invalid' });
  const vault = openVault({ dataDir, masterKey: KEY });
  t.equal(vault.healthy(), true);
  t.ok(vault.values.get('acme', undefined, 'p3-49', 0));
  for (const name of readdirSync(dataDir)) t.equal(statSync(join(dataDir, name)).mode & 0o077, 0, name);
  vault.close();
  t.equal(vault.healthy(), false);
  const path = join(dataDir, 'vault.db');
  chmodSync(path, 0o644);
  t.throws(() => openVault({ dataDir, masterKey: KEY }), { code: 'key_unsafe' });
  chmodSync(path, 0o600);
  const db = new DatabaseSync(path);
  db.exec('INSERT INTO schema_migrations VALUES (99, 0)');
  db.close();
  t.throws(() => openVault({ dataDir, masterKey: KEY }), { code: 'database_newer' });
  const rubbish = t.testdir({ 'vault.db': 'x'.repeat(5000) });
  chmodSync(join(rubbish, 'vault.db'), 0o600);
  t.throws(() => openVault({ dataDir: rubbish, masterKey: KEY }), { code: 'database_unusable' });
});

void t.test('tokens: create, find, list, revoke; by another process within a second', async (t) => {
  const dataDir = t.testdir();
  const vault = vaultIn(t, dataDir);
  const { token, record } = createToken(vault.tokens, { tenant: 'acme', subject: 'ada', scopes: ['issues:write'], now: 5 });
  t.match(token, /^lh_acme_[A-Za-z0-9_-]{43}$/);
  t.strictSame(vault.tokens.find(hashToken(token)), record);
  t.equal(vault.tokens.find(hashToken(token)), vault.tokens.find(hashToken(token)), 'the same object while nothing changes');
  t.equal(vault.tokens.find(hashToken(`${token}x`)), undefined);
  t.equal(vault.tokens.revoke('globex', record.id, 6), false, 'not by another tenant');
  t.equal(vault.tokens.revoke('acme', record.id, 6), true);
  t.equal(vault.tokens.revoke('acme', record.id, 7), false, 'once');
  t.match(vault.tokens.find(hashToken(token)), { revokedAt: 6 });
  t.throws(() => vault.tokens.add(record, hashToken(token)), 'never twice');

  const other = (await elsewhere(dataDir, 'create', 'acme', 'eve')) as { token: string; record: { id: string } };
  t.ok(await within(1000, () => vault.tokens.find(hashToken(other.token))?.subject === 'eve'), 'a new one works');
  await elsewhere(dataDir, 'revoke', 'acme', other.record.id);
  t.ok(await within(1000, () => vault.tokens.find(hashToken(other.token))?.revokedAt !== undefined), 'a revoked one is refused');
  t.strictSame(
    vault.tokens.list('acme').map(({ subject }) => subject),
    ['ada', 'eve'],
  );
  t.strictSame(vault.tokens.list('globex'), []);

  const first = deriveDemoToken(KEY, 'acme');
  t.equal(deriveDemoToken(KEY, 'acme'), first, 'the same after a restart');
  t.not(deriveDemoToken(KEY, 'globex').slice(-43), first.slice(-43));
  t.not(deriveDemoToken(Buffer.alloc(32, 8), 'acme'), first);
  t.match(first, /^lh_acme_[A-Za-z0-9_-]{43}$/);
  for (const name of readdirSync(dataDir)) {
    const stored = readFileSync(join(dataDir, name));
    for (const secret of [token, first, other.token]) t.notOk(stored.includes(secret.slice(-43)), `${name} holds no token`);
  }
});

void t.test('values: scopes, TTL, quota, nothing readable on disk', (t) => {
  const dataDir = t.testdir();
  let now = 1000;
  const { values } = vaultIn(t, dataDir, { now: () => now });
  const set = (
    key: string,
    text: string,
    more: { subject?: string; expiresAt?: number; quota?: number; tenant?: string } = {},
  ): boolean => values.set(more.tenant ?? 'acme', more.subject, key, bytes(text), more.expiresAt, more.quota ?? 1e6);
  const get = (key: string, subject?: string, tenant = 'acme'): string | undefined => {
    const value = values.get(tenant, subject, key, now);
    return value === undefined ? undefined : Buffer.from(value).toString();
  };
  t.equal(get('k'), undefined);
  t.equal(set('k', '"tenant CANARY"'), true);
  t.equal(set('k', '"ada"', { subject: 'ada@acme.com' }), true);
  t.equal(set('k', '"nobody"', { subject: '' }), true);
  t.equal(set('k', '"globex"', { tenant: 'globex' }), true);
  t.strictSame(
    [get('k'), get('k', 'ada@acme.com'), get('k', ''), get('k', undefined, 'globex'), get('k', 'eve')],
    ['"tenant CANARY"', '"ada"', '"nobody"', '"globex"', undefined],
  );
  t.equal(set('k', '"changed CANARY"'), true);
  t.equal(get('k'), '"changed CANARY"');
  values.delete('acme', 'ada@acme.com', 'k');
  values.delete('unknown', undefined, 'k');
  t.strictSame([get('k', 'ada@acme.com'), get('k')], [undefined, '"changed CANARY"']);

  set('brief', '1', { expiresAt: 2000 });
  now = 1999;
  t.equal(get('brief'), '1');
  now = 2000;
  t.equal(get('brief'), undefined, 'expired');

  t.equal(set('big', 'x'.repeat(STORE_VALUE_BYTES)), true);
  t.equal(set('big', 'x'.repeat(STORE_VALUE_BYTES + 1)), false, 'a value has a limit');
  const quota = { tenant: 'small', quota: 1000 };
  t.equal(set('a', 'x'.repeat(600), quota), true);
  t.equal(set('b', 'x'.repeat(401), quota), false);
  t.equal(set('a', 'x'.repeat(1000), quota), true, 'a replaced value makes room for itself');
  t.equal(set('a', 'x'.repeat(600), { ...quota, expiresAt: 3000 }), true);
  now = 3000;
  t.equal(set('b', 'x'.repeat(1000), quota), true, 'so does an expired one');
  values.delete('small', undefined, 'b');
  let many = 0;
  while (set(`n${many}`, '1', quota)) many += 1;
  t.equal(many, 15, 'a tiny value counts 64 bytes');
  for (const name of readdirSync(dataDir)) {
    const stored = readFileSync(join(dataDir, name));
    for (const canary of ['CANARY', 'ada@acme.com']) t.notOk(stored.includes(canary), `${name}: ${canary}`);
  }
  t.end();
});

void t.test('rows that were changed, moved or copied in the database do not open', (t) => {
  const dataDir = t.testdir();
  const { values } = vaultIn(t, dataDir);
  values.set('acme', undefined, 'a', bytes('1'), undefined, 1e6);
  values.set('acme', undefined, 'b', bytes('2'), undefined, 1e6);
  values.set('globex', undefined, 'a', bytes('3'), undefined, 1e6);
  const db = new DatabaseSync(join(dataDir, 'vault.db'));
  db.exec("UPDATE store_values SET sealed = (SELECT sealed FROM store_values WHERE tenant = 'acme' ORDER BY rowid LIMIT 1)");
  t.equal(Buffer.from(values.get('acme', undefined, 'a', 0) ?? []).toString(), '1');
  t.throws(() => values.get('acme', undefined, 'b', 0), { code: 'seal_broken' });
  t.throws(() => values.get('globex', undefined, 'a', 0), { code: 'seal_broken' });
  db.exec("UPDATE tenant_keys SET wrapped = (SELECT wrapped FROM tenant_keys WHERE tenant = 'acme') WHERE tenant = 'globex'");
  db.close();
  const again = vaultIn(t, dataDir);
  t.throws(() => again.values.get('globex', undefined, 'a', 0), { code: 'seal_broken' }, 'no key of another tenant');
  t.end();
});

void t.test('a tenant that is destroyed takes its values with it, in a running server too', async (t) => {
  const dataDir = t.testdir();
  const vault = vaultIn(t, dataDir);
  const { token } = createToken(vault.tokens, { tenant: 'acme', subject: 'ada', scopes: [], now: 1 });
  vault.values.set('acme', undefined, 'k', bytes('1'), undefined, 1e6);
  vault.values.set('globex', undefined, 'k', bytes('2'), undefined, 1e6);
  const path = join(dataDir, 'vault.db');
  const db = new DatabaseSync(path);
  t.teardown(() => db.close());
  const copy = db.prepare("SELECT * FROM store_values WHERE tenant = 'acme'").get() as { slot: Uint8Array; sealed: Uint8Array };
  const { wrapped } = db.prepare("SELECT wrapped FROM tenant_keys WHERE tenant = 'acme'").get() as { wrapped: Uint8Array };
  await elsewhere(dataDir, 'shred', 'acme');
  t.ok(
    await within(
      1000,
      () => vault.values.get('acme', undefined, 'k', 0) === undefined && vault.tokens.find(hashToken(token)) === undefined,
    ),
  );
  db.prepare("INSERT INTO store_values VALUES ('acme', ?, ?, 64, NULL)").run(copy.slot, copy.sealed);
  t.ok(await within(1000, () => vault.values.get('acme', undefined, 'k', 0) === undefined), 'a row from a copy is of no use');
  t.throws(
    () => vault.values.set('acme', undefined, 'k', bytes('late'), undefined, 1e6),
    { code: 'tenant_removed' },
    'a late write makes no key anew',
  );
  t.ok(vault.admitTenant('acme'));
  t.equal(vault.values.set('acme', undefined, 'k', bytes('new'), undefined, 1e6), true, 'a tenant of the same name begins anew');
  t.equal(Buffer.from(vault.values.get('acme', undefined, 'k', 0) ?? []).toString(), 'new');
  t.equal(Buffer.from(vault.values.get('globex', undefined, 'k', 0) ?? []).toString(), '2');
  vault.shredTenant('acme');
  for (const name of readdirSync(dataDir))
    t.notOk(readFileSync(join(dataDir, name)).includes(Buffer.from(wrapped)), `${name} holds no wrapped key`);
});

void t.test('a writer that holds the database is not waited for long', (t) => {
  const dataDir = t.testdir();
  const vault = vaultIn(t, dataDir);
  const db = new DatabaseSync(join(dataDir, 'vault.db'));
  db.exec('BEGIN IMMEDIATE');
  const began = performance.now();
  t.throws(() => vault.values.set('acme', undefined, 'k', bytes('1'), undefined, 1e6), /locked/);
  t.ok(performance.now() - began < 1000, 'the event loop is not held');
  t.equal(vault.values.get('acme', undefined, 'k', 0), undefined, 'reading goes on');
  db.exec('ROLLBACK');
  db.close();
  t.equal(vault.values.set('acme', undefined, 'k', bytes('1'), undefined, 1e6), true);
  t.end();
});
