// Where the master key can be, how it is changed while servers run, and whether everything sealed opens: with real files, real
// processes that die, and a real keyring daemon in a session of its own.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { loadMasterKey } from '../../src/vault/keys/master-key.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { type Ended, cli, leasehold, ownUser, program, serving } from '../helpers/cli.ts';
import { toolset, writeEstate } from '../helpers/estate.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/vault/${name}`, import.meta.url));
const SECRET = 'the-value-of-a-secret';

interface Scene {
  readonly dataDir: string;
  readonly path: string;
  readonly open: (key?: Uint8Array, follow?: boolean) => Vault;
}
function scene(t: Test): Scene {
  const dataDir = t.testdir();
  const path = join(dataDir, 'master.key');
  const opened: Vault[] = [];
  t.teardown(() => opened.forEach((vault) => vault.close()));
  const open: Scene['open'] = (key = loadMasterKey({ source: 'file', path }, true).key, follow = false) => {
    const vault = openVault({ dataDir, masterKey: key, follow });
    opened.push(vault);
    return vault;
  };
  loadMasterKey({ source: 'file', path }, false);
  const vault = open();
  for (const tenant of ['acme', 'globex']) {
    vault.secrets.set(tenant, 'key', SECRET, Date.now());
    vault.values.set(tenant, undefined, 'kept', Buffer.from('a value'), undefined, 1e6);
  }
  return { dataDir, path, open };
}

t.test('a server that runs follows a new master key, and the old one opens nothing any more', async (t) => {
  const { open, path } = scene(t);
  const old = loadMasterKey({ source: 'file', path }, true).key;
  const server = open(old, true);
  const state = server.states.seal('acme', ['x'], Buffer.from('before'));
  t.equal(server.secrets.get('acme', 'key')?.value, SECRET);
  const command = open(old);
  const next = randomBytes(32);
  t.equal(command.rotateMasterKey(next), 2);
  t.throws(() => command.rotateMasterKey(randomBytes(32)), { code: 'rotation_running' }, 'one change at a time');
  // Longer than a server takes to notice.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  command.forgetOldKey();
  t.equal(server.secrets.get('globex', 'key')?.value, SECRET, 'a key that it had not used yet');
  server.secrets.set('third', 'key', 'new tenant', Date.now());
  t.equal(command.secrets.get('third', 'key')?.value, 'new tenant', 'both wrap with the same key');
  t.same(server.states.open('acme', ['x'], state), Buffer.from('before'), 'what a client carries still opens');
  t.throws(() => open(old), { code: 'key_wrong' });
  t.equal(open(next).verify().bad.length, 0);
});

t.test('a change of keys that dies at any step leaves a vault that opens', async (t) => {
  for (const step of ['written', 'wrapped', 'promoted', 'forgotten']) {
    const user = ownUser(t);
    const estate = writeEstate(t, { tenants: { acme: {} } });
    const set = spawnSync(process.execPath, [cli, 'secret', 'set', 'acme', 'key', '--estate', estate], {
      env: { ...process.env, ...user },
      input: SECRET,
    });
    t.equal(set.status, 0, String(set.stderr));
    const dataDir = join(estate, '.leasehold');
    const path = join(dataDir, 'master.key');
    const before = readFileSync(path, 'utf8');
    const died = spawnSync(process.execPath, [fixture('rotate-and-die.ts'), dataDir, path, step]);
    t.equal(died.signal, 'SIGKILL', `${step}: killed`);
    const verified = await leasehold(['vault', 'verify', '--estate', estate], { env: user });
    t.match(verified, { code: 0, stdout: /1 secrets/ }, `${step}: everything opens`);
    t.equal(readFileSync(path, 'utf8') === before, step === 'written', `${step}: the key that fits stands in its place`);
    t.equal(existsSync(`${path}.next`), step === 'written');
    // The way from the old key to the new one is closed a minute later; until then another change has to wait.
    const again = await leasehold(['vault', 'rotate-key', '--estate', estate], { env: user });
    t.equal(again.code, step === 'wrapped' || step === 'promoted' ? 1 : 0, `${step}: ${again.stderr}`);
    t.equal((await leasehold(['vault', 'verify', '--estate', estate], { env: user })).code, 0);
  }
});

t.test('verify names rows that do not open, and nothing that is hidden', async (t) => {
  const { dataDir, open } = scene(t);
  const vault = open();
  t.match(vault.verify(), { opened: { secrets: 2, store_values: 2, tenant_keys: 2 }, bad: [] });
  const db = new DatabaseSync(join(dataDir, 'vault.db'));
  db.exec("UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE tenant = 'globex') WHERE tenant = 'acme'");
  db.exec(
    "UPDATE store_values SET sealed = cast(substr(sealed, 1, 20) || x'00' || substr(sealed, 22) AS BLOB) WHERE tenant = 'globex'",
  );
  db.close();
  const { bad } = vault.verify();
  t.same(
    bad.map(({ table, tenant }) => `${table} ${tenant}`).toSorted((a, b) => a.localeCompare(b)),
    ['secrets acme', 'store_values globex'],
    'a row of another tenant, and a changed one',
  );
  t.notMatch(JSON.stringify(bad), /kept|the-value/);
});

t.test('a running server keeps serving through rotate-key on the command line', async (t) => {
  const user = ownUser(t);
  const estate = writeEstate(t, {
    server: { listen: '127.0.0.1:0' },
    tenants: {
      acme: {
        tools: {
          'a.ts': toolset(
            "keep: defineTool({ description: 'k', inputSchema: Type.Object({ text: Type.String() }), async handler({ text }, ctx) { const before = await ctx.store.tenant.get('text'); await ctx.store.tenant.set('text', text); return String(before); } })",
          ),
        },
      },
    },
  });
  const server = await serving(t, ['start', estate, '--port', '0'], user);
  const call = (text: string) => leasehold(['call', 'acme', 'keep', `text=${text}`, '--estate', estate], { env: user });
  t.match(await call('one'), { code: 0, stdout: /undefined/ });
  const rotated = await leasehold(['vault', 'rotate-key', '--estate', estate], { env: user });
  t.match(rotated, { code: 0, stdout: /1 tenant keys were wrapped anew/, stderr: /waiting for the server that runs/ });
  t.match(await call('two'), { code: 0, stdout: /one/ }, 'what was sealed before opens in the running server');
  server.child.kill('SIGTERM');
  t.equal(await server.exit, 0);
  const records = readFileSync(join(estate, '.leasehold/cli/audit/_server.jsonl'), 'utf8');
  t.match(records, '"kind":"vault.rotated"');
});

t.test('a systemd credential is read, and never written', async (t) => {
  const user = ownUser(t);
  const estate = writeEstate(t, { server: { masterKey: { source: 'systemd-credential' } }, tenants: { acme: {} } });
  const folder = t.testdir({ 'leasehold-master-key': `${randomBytes(32).toString('base64url')}\n` });
  const run = (args: string[], env: Record<string, string> = {}) =>
    leasehold([...args, '--estate', estate], { env: { ...user, ...env } });
  t.match(await run(['token', 'create', 'acme', '--subject', 'ada']), { code: 1, stderr: /systemd handed no credentials/ });
  const env = { CREDENTIALS_DIRECTORY: folder };
  t.equal((await run(['token', 'create', 'acme', '--subject', 'ada'], env)).code, 0);
  t.match(await run(['vault', 'rotate-key'], env), { code: 1, stderr: /cannot be written from here/ });
  writeFileSync(join(folder, 'leasehold-master-key'), 'nonsense');
  t.match(await run(['vault', 'verify'], env), { code: 1, stderr: /does not hold a key/ });
  t.notOk(existsSync(join(estate, '.leasehold/master.key')), 'no key of another kind was made');
});

// ---- the keychain ----------------------------------------------------------------------------------------------
const missing = ['dbus-run-session', 'gnome-keyring-daemon', 'dbus-test-tool', 'dbus-send'].filter(
  (name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
);
const noKeychain =
  process.platform !== 'linux' ? 'a keyring of Linux' : missing.length > 0 && `not installed: ${missing.join(', ')}`;

interface Desktop {
  readonly estate: string;
  readonly run: (state: 'unlocked' | 'locked' | 'none' | 'hanging', args: string[]) => Promise<Ended>;
}
function desktop(t: Test): Desktop {
  const user = ownUser(t);
  const estate = writeEstate(t, { server: { masterKey: { source: 'keychain' } }, tenants: { acme: {} } });
  const runtime = join(dirname(user['HOME'] as string), 'run');
  for (const folder of [runtime, user['XDG_DATA_HOME'] as string]) mkdirSync(folder, { mode: 0o700 });
  return {
    estate,
    run(state, args) {
      const command = [process.execPath, cli, ...args, '--estate', estate] as const;
      const env = { ...user, XDG_RUNTIME_DIR: runtime };
      // A server has no session: no bus that could be asked, or would start a keychain.
      if (state === 'none')
        return program(command[0], command.slice(1), { env: { ...env, DBUS_SESSION_BUS_ADDRESS: '', DISPLAY: '' } });
      return program('dbus-run-session', ['--', 'sh', fixture('keychain-session.sh'), state, ...command], { env });
    },
  };
}

t.test('the keychain holds the key: made, found again, changed', { skip: noKeychain }, async (t) => {
  const { estate, run } = desktop(t);
  const first = await run('unlocked', ['token', 'create', 'acme', '--subject', 'ada']);
  t.match(first, { code: 0, stderr: /a master key was made, the keychain item leasehold \/ / });
  t.match(await run('unlocked', ['vault', 'verify']), { code: 0 });
  t.match(await run('unlocked', ['vault', 'rotate-key']), { code: 0, stdout: /keychain item/ });
  t.match(await run('unlocked', ['token', 'list', 'acme']), { code: 0, stdout: /ada/ });
  t.notOk(existsSync(join(estate, '.leasehold/master.key')), 'no key file beside it');

  const locked = await run('locked', ['token', 'list', 'acme']);
  t.match(locked, { code: 1, stderr: /keychain is locked, or does not hold .* nothing was created or changed/ });
  t.match(await run('none', ['token', 'list', 'acme']), { code: 1, stderr: /no keychain service runs/ });
  t.match(await run('unlocked', ['token', 'list', 'acme']), { code: 0, stdout: /ada/ }, 'and is the same afterwards');
});

t.test('where no vault exists, a keychain that cannot be used makes none', { skip: noKeychain }, async (t) => {
  const { estate, run } = desktop(t);
  t.match(await run('none', ['token', 'create', 'acme', '--subject', 'ada']), { code: 1, stderr: /no keychain service/ });
  const hanging = await run('hanging', ['token', 'create', 'acme', '--subject', 'ada']);
  t.match(hanging, { code: 1, stderr: /did not answer within 10 s/ });
  t.notOk(existsSync(join(estate, '.leasehold/vault.db')));
});
