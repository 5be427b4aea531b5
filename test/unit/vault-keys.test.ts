// Where the master key can be, how it is changed while servers run, and whether everything sealed opens: with real files, real
// processes that die, and a real keyring daemon in a session of its own.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { loadMasterKey } from '../../src/vault/keys/master-key.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { type Ended, cli, leasehold, ownUser, program, type Serving, serving, servingWithin, until } from '../helpers/cli.ts';
import { toolset, writeEstate, writeTenant } from '../helpers/estate.ts';

// A keychain that hangs is waited for.
t.setTimeout(400_000);
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

// ---- an item for each tenant -----------------------------------------------------------------------------------
const KEEP = toolset(
  "keep: defineTool({ description: 'k', inputSchema: Type.Object({ text: Type.String() }), async handler({ text }, ctx) { const before = await ctx.store.tenant.get('text'); await ctx.store.tenant.set('text', text); return String(before); } })",
);

type State = 'unlocked' | 'locked' | 'none' | 'hanging';
function ownItems(t: Test, tenants: Parameters<typeof writeEstate>[1]['tenants']) {
  const user = ownUser(t);
  const runtime = join(dirname(user['HOME'] as string), 'run');
  for (const folder of [runtime, user['XDG_DATA_HOME'] as string]) mkdirSync(folder, { mode: 0o700 });
  const estate = writeEstate(t, { server: { listen: '127.0.0.1:0' }, tenants });
  const env = { ...user, XDG_RUNTIME_DIR: runtime };
  const outside = { ...env, DBUS_SESSION_BUS_ADDRESS: '', DISPLAY: '' };
  const session = (state: State): [string, ...string[]] =>
    state === 'none' ? ['env'] : ['dbus-run-session', '--', 'sh', fixture('keychain-session.sh'), state];
  return {
    estate,
    /** In a session whose keychain is in this state. */
    run: (state: State, ...args: string[]): Promise<Ended> => {
      const [file, ...before] = session(state);
      const command = [...before, process.execPath, cli, ...args, '--estate', estate];
      return program(file, command, { env: state === 'none' ? outside : env });
    },
    /** Serves until the returned function is called. */
    serve: async (state: State): Promise<{ server: Serving; stop: () => Promise<void> }> => {
      const server = await servingWithin(t, session(state), ['start', estate, '--port', '0'], state === 'none' ? outside : env);
      const running = join(user['XDG_STATE_HOME'] as string, 'leasehold/running');
      const pid = Number.parseInt(readdirSync(running)[0] as string, 10);
      const stop = async () => {
        process.kill(pid, 'SIGTERM');
        t.equal(await server.exit, 0, `${state}: ends when it is told to`);
      };
      return { server, stop };
    },
    call: (tenant: string, text: string) =>
      leasehold(['call', tenant, 'keep', `text=${text}`, '--estate', estate], { env: outside }),
    item: async (tenant: string): Promise<unknown> => {
      const order = JSON.stringify({ act: 'get', service: 'leasehold', account: `tenant ${estate} ${tenant}` });
      const child = fileURLToPath(new URL('../../src/vault/keys/keychain-child.ts', import.meta.url));
      const [file, ...before] = session('unlocked');
      const { stdout } = await program(
        file,
        [...before, 'sh', '-c', 'echo "$1" | "$2" "$3"', 'sh', order, process.execPath, child],
        {
          env,
        },
      );
      return (JSON.parse(stdout) as { value?: unknown }).value;
    },
    rows: () => {
      const db = new DatabaseSync(join(estate, '.leasehold/vault.db'));
      const rows = db.prepare("SELECT tenant, guarded FROM tenant_keys WHERE tenant <> '_server' ORDER BY tenant").all();
      db.close();
      return rows.map(({ tenant, guarded }) => `${String(tenant)} ${String(guarded)}`);
    },
  };
}

t.test('a tenant with an item of its own in the keychain', { skip: noKeychain, timeout: 240_000 }, async (t) => {
  const tools = { 'a.ts': KEEP };
  const { estate, run, serve, call, item, rows } = ownItems(t, { acme: { tools }, globex: { tools } });
  // Its key was made before: it is wrapped by the item when there is one.
  const before = await serve('none');
  for (const tenant of ['acme', 'globex']) t.match(await call(tenant, 'zero'), { code: 0, stdout: /undefined/ });
  await before.stop();
  t.strictSame(rows(), ['acme 0', 'globex 0']);
  writeTenant(estate, 'acme', { tenant: { keychain: true } });

  // Nothing is made where there is no keychain, and the key that is there is not used without one.
  const none = await serve('none');
  t.match(none.server.stderr(), /acme.*do not open: the keychain refused: no keychain service runs/);
  t.match(await call('acme', 'x'), { code: 1, stderr: /internal|contact|operator/i });
  t.match(await call('globex', 'one'), { code: 0, stdout: /zero/ });
  await none.stop();
  t.strictSame(rows(), ['acme 0', 'globex 0']);

  const unlocked = await serve('unlocked');
  t.match(await call('acme', 'one'), { code: 0, stdout: /zero/ });
  t.strictSame(rows(), ['acme 1', 'globex 0']);
  // A tenant that comes while the server runs waits for a restart; one that asks for nothing does not.
  writeTenant(estate, 'late', { tenant: { keychain: true }, tools });
  await until(async () => /late.*start the server again/s.test(unlocked.server.stderr()));
  t.match(await call('late', 'x'), { code: 1 });
  t.match(await call('globex', 'two'), { code: 0, stdout: /one/ });
  await unlocked.stop();
  t.strictSame(rows(), ['acme 1', 'globex 0'], 'no key was made for it without its item');
  t.match(await item('acme'), /^[\w-]{43}$/);

  // The master key alone does not open it; a change of the master key needs no keychain.
  const alone = await run('none', 'vault', 'verify', '--json');
  t.equal(alone.code, 1);
  t.match(
    (JSON.parse(alone.stdout) as { bad: { tenant: string }[] }).bad.every(({ tenant }) => tenant === 'acme'),
    true,
  );
  t.match(await run('none', 'vault', 'rotate-key'), { code: 0, stdout: /2 tenant keys were wrapped anew/ });
  t.match(await run('unlocked', 'vault', 'verify'), { code: 0 });

  for (const state of ['locked', 'hanging'] as const) {
    const { server, stop } = await serve(state);
    const why = state === 'locked' ? /acme.*locked, or does not hold/ : /acme.*did not answer within 10 s/;
    t.match(server.stderr(), why, `${state}: the operator is told of the tenant and what to do`);
    t.match(await call('acme', 'x'), { code: 1 }, `${state}: the tenant is refused`);
    t.match(await call('globex', 'two'), { code: 0, stdout: /two/ }, `${state}: the others are served`);
    await stop();
  }
  const again = await serve('unlocked');
  t.match(await call('acme', 'two'), { code: 0, stdout: /one/ }, 'all is as it was');
  t.match(await call('late', 'x'), { code: 0, stdout: /undefined/ });
  await again.stop();
  t.strictSame(rows(), ['acme 1', 'globex 0', 'late 1']);

  // The item goes with the tenant: then a copy of the whole database does not open either, whoever has the master key.
  const dataDir = join(estate, '.leasehold');
  const masterKey = loadMasterKey({ source: 'file', path: join(dataDir, 'master.key') }, true).key;
  const copy = mkdtempSync(join(dataDir, 'copy-'));
  copyFileSync(join(dataDir, 'vault.db'), join(copy, 'vault.db'));
  t.match(await run('unlocked', 'tenant', 'remove', 'acme', '--yes'), { code: 0 });
  t.equal(await item('acme'), undefined);
  t.match(await item('late'), /^[\w-]{43}$/);
  t.strictSame(rows(), ['globex 0', 'late 1']);
  const old = openVault({ dataDir: copy, masterKey });
  t.throws(() => old.values.get('acme', undefined, 'text', 0), { code: 'key_unavailable' });
  t.equal(old.values.get('globex', undefined, 'text', 0) === undefined, false, 'as the others do');
  old.close();
  const wrong = openVault({ dataDir: copy, masterKey, guards: new Map([['acme', randomBytes(32)]]) });
  t.throws(() => wrong.values.get('acme', undefined, 'text', 0), { code: 'seal_broken' });
  wrong.close();
  // Where the item cannot be reached, the tenant is removed all the same.
  const late = await run('none', 'tenant', 'remove', 'late', '--yes');
  t.match(late, { code: 0, stderr: /could not be deleted/ });
  t.strictSame(rows(), ['globex 0']);
});

t.test('a server that holds the guard of a removed tenant does not seal the next one with it', (t) => {
  const dataDir = t.testdir();
  const masterKey = randomBytes(32);
  const guards = new Map([['acme', randomBytes(32)]]);
  const server = openVault({ dataDir, masterKey, guards });
  const command = openVault({ dataDir, masterKey, guards });
  t.teardown(() => [server, command].forEach((vault) => vault.close()));
  server.secrets.set('acme', 'key', SECRET, 1);
  command.shredTenant('acme');
  t.throws(() => server.secrets.set('acme', 'key', SECRET, 1), { code: /tenant_removed|key_unavailable/ });
  command.admitTenant('acme');
  t.throws(() => server.secrets.set('acme', 'key', SECRET, 1), { code: 'key_unavailable' });
  t.match(server.wantGuard('acme'), /start the server again/);
  t.end();
});
