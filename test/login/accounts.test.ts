// People who sign in here and their memberships: the command, what is stored, what is recorded, and what a changed password ends.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import type { AuditEvent } from '../../src/audit/record.ts';
import { Resources } from '../../src/auth/resource.ts';
import { DEFAULT_AUTH } from '../../src/config/compile-auth.ts';
import type { CompiledSignIn, CompiledSignInProvider } from '../../src/config/compiled-auth.ts';
import { compileSignIn } from '../../src/config/compile-sign-in.ts';
import { Authorization } from '../../src/connections/connect/authorization.ts';
import { hashPassword, Passwords } from '../../src/login/passwords.ts';
import { publicKeys, ROTATE_MS, signingKeys } from '../../src/login/signing-keys.ts';
import { LoginServer } from '../../src/login/login-server.ts';
import { Subjects } from '../../src/login/subjects.ts';
import { TenantAccess } from '../../src/login/tenant-access.ts';
import { UpstreamSignIn } from '../../src/login/upstream/upstream-sign-in.ts';
import { SERVER_OWNER } from '../../src/shared/ids.ts';
import { databasePath } from '../../src/vault/database.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { cli, leasehold } from '../helpers/cli.ts';

t.setTimeout(240_000);

const KEY = Buffer.alloc(32, 7);
const PASSWORD = 'canary correct horse';
const MOST = 100;

function vaultIn(t: Test, dataDir: string, masterKey: Uint8Array = KEY): Vault {
  const vault = openVault({ dataDir, masterKey });
  t.teardown(() => vault.close());
  return vault;
}
const entry = (value: Record<string, unknown>, expiresAt = Date.now() + 60_000) => ({ value, expiresAt });

t.test('leasehold user: passwords from stdin, memberships, a record of each, nothing shown', async (t) => {
  const estate = t.testdir({
    'leasehold.json': JSON.stringify({
      publicUrl: 'https://mcp.example',
      auth: { embedded: { signIn: { hub: { preset: 'github', clientId: 'c', clientSecret: { secret: 'hub-secret' } } } } },
    }),
    tenants: { acme: { 'tenant.json': '{}' }, globex: { 'tenant.json': '{}' } },
  });
  const env = { HOME: estate, XDG_DATA_HOME: estate, XDG_STATE_HOME: estate, XDG_RUNTIME_DIR: estate };
  const user = (args: string[]) => leasehold(['user', ...args, '--estate', estate], { env });
  const typed = (args: string[], input: string) =>
    spawnSync(process.execPath, [cli, 'user', ...args, '--estate', estate], {
      env: { ...process.env, ...env },
      input,
      encoding: 'utf8',
    });
  t.match(typed(['add', 'ada@acme.com'], `${PASSWORD}\n`), { status: 0, stdout: '' });
  t.match(typed(['add', 'bob'], 'short\n'), { status: 1, stderr: /at least 12 characters/ });
  t.match(typed(['add', 'ada@acme.com'], `${PASSWORD}\n`), { status: 1, stderr: /there is a user/ });
  t.match(await user(['add', 'Ada Smith']), { code: 2, stderr: /a name is/ });
  t.match(await user(['grant', 'acme', 'nobody']), { code: 1, stderr: /there is no user nobody/ });
  t.match(await user(['grant', 'nowhere', 'ada@acme.com']), { code: 1, stderr: /there is no tenant/ });
  t.match(await user(['list', '--scopes', 'a']), { code: 2, stderr: /goes with grant/ });
  t.match(await user(['grant', 'acme', 'ada@acme.com', '--scopes', 'read,write']), {
    code: 0,
    stderr: /may use acme: read write/,
  });
  t.match(await user(['grant', 'globex', 'ada@acme.com']), { code: 0 });
  t.match(await user(['list']), { stdout: 'ada@acme.com  acme globex\n' });
  t.match(await user(['list', 'acme']), { stdout: /^ada@acme\.com {2}read write {2}since / });

  const key = Buffer.from(readFileSync(join(estate, '.leasehold/master.key'), 'latin1').trim(), 'base64url');
  const vault = vaultIn(t, join(estate, '.leasehold'), key);
  t.equal(await new Passwords().matches(PASSWORD, vault.users.find('ada@acme.com')?.password), true);
  t.match(vault.memberships.find('acme', 'ada@acme.com'), { scopes: ['read', 'write'] });
  const called = { value: { called: 'Ada' }, expiresAt: Date.now() + 60_000 };
  vault.login.put('Called', 'hub:42', called, { account: 'hub:42' }, MOST);
  t.match(await user(['revoke', 'acme', 'ada@acme.com']), { code: 0 });
  t.match(await user(['revoke', 'acme', 'ada@acme.com']), { code: 1, stderr: /no member/ });
  t.match(await user(['providers']), {
    stdout:
      'redirect URI, to be registered exactly: https://mcp.example/sign-in/callback\nhub  GitHub  ✗ leasehold secret set --server hub-secret\n',
  });
  t.match(await user(['grant', 'acme', 'hub:42']), { code: 0, stderr: /hub:42 may use everything in acme/ });
  t.match(await user(['grant', 'acme', 'nowhere:42']), { code: 1, stderr: /there is no provider nowhere/ });
  t.match(await user(['grant', 'acme', "hub:4'2"]), { code: 2, stderr: /somebody of a provider is/ });
  t.match(await user(['add', 'hub:42']), { code: 2, stderr: /a name is/ });
  t.match(await user(['list']), { stdout: 'ada@acme.com  globex\nhub:42 (Ada)  acme\n' });
  t.match(await user(['list', 'acme']), { stdout: /^hub:42 \(Ada\) {2}all scopes {2}since / });
  t.match(await user(['remove', 'ada@acme.com']), { code: 0 });
  t.match(await user(['remove', 'hub:42']), { code: 0 });
  t.match(await user(['list']), { stdout: '', stderr: /there are none/ });
  t.match(await user(['list', 'globex']), { stdout: '' }, 'a removed user leaves no membership');

  const recorded = ['acme', 'globex', '_server'].map((tenant) =>
    readFileSync(join(estate, `.leasehold/cli/audit/${tenant}.jsonl`), 'utf8'),
  );
  const kinds = recorded.map((text) =>
    text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: { kind: string } }).event.kind),
  );
  t.strictSame(kinds, [
    ['member.granted', 'member.revoked', 'member.granted', 'member.revoked'],
    ['member.granted', 'member.revoked'],
    ['user.added', 'user.removed', 'user.removed'],
  ]);
  t.notMatch(recorded.join(''), /canary|scrypt/);
});

t.test('whoever signs in in a way that the operator has taken back counts no more, whatever was granted', async (t) => {
  const { users, memberships, login } = vaultIn(t, t.testdir());
  users.add('ada', 'hash', 1);
  memberships.grant('acme', 'ada', [], 1);
  memberships.grant('acme', 'hub:42', [], 1);
  const hub = { tenants: ['acme'], oauth: { title: 'Hub' } } as unknown as CompiledSignInProvider;
  const with_ = (signIn: CompiledSignIn) => {
    const subjects = new Subjects({ signIn, users, login, now: Date.now });
    const access = new TenantAccess({
      subjects,
      memberships,
      resources: () => new Resources('https://mcp.example', { path: true, host: undefined, header: undefined, claim: false }),
      authOf: () => ({ ...DEFAULT_AUTH, embedded: true }),
      scopesOf: () => [],
    });
    const of = (subject: string) => [subjects.exists(subject), access.memberOf('acme', subject) !== undefined];
    return { subjects, of };
  };
  const both = with_({ accounts: true, providers: { hub } });
  t.strictSame(
    [both.of('ada'), both.of('hub:42')],
    [
      [true, true],
      [true, true],
    ],
  );
  t.equal(both.subjects.counts('hub:42', 'globex'), false, 'of another tenant only');
  t.strictSame(both.of('__proto__:42'), [false, false]);
  const { of } = with_({ accounts: false, providers: {} });
  t.strictSame(
    [of('ada'), of('hub:42')],
    [
      [false, false],
      [false, false],
    ],
  );

  both.subjects.rememberName('hub:42', 'Ada <b>');
  t.strictSame(both.subjects.shown('hub:42'), { subject: 'hub:42', called: 'Ada <b>', provider: 'Hub' });
  users.remove('hub:42');
  t.match(both.subjects.shown('hub:42'), { called: undefined }, 'removed with the rest');
  t.strictSame(both.of('hub:42'), [true, false]);
});

t.test('a sign-in by a provider that was begun is good for ten minutes, for the application that began it', async (t) => {
  const { login, secrets } = vaultIn(t, t.testdir());
  let now = Date.now();
  const authorization = new Authorization({ privateOrigins: [], redirectUri: () => 'https://mcp.example/cb', now: () => now });
  t.teardown(() => authorization.close());
  const compiled = (clientId: string) => {
    const hub = { preset: 'github', clientId, clientSecret: { secret: 's' } };
    const signIn = compileSignIn({ signIn: { hub } });
    return 'value' in signIn ? signIn.value.providers : {};
  };
  const never = () => Promise.reject(new Error('nobody is asked'));
  const ports = { authorization, secrets, login, now: () => now, fetch: never, metadata: never, onFailure: () => undefined };
  const upstream = new UpstreamSignIn({ ...ports, providers: compiled('c') });
  const begun = { uid: 'u', provider: 'hub', tenant: 'acme', client: 'mcp' };
  t.match(await upstream.begin(begun, 'browser', true), { ok: false, reason: /leasehold secret set --server s/ });
  secrets.set(SERVER_OWNER, 's', 'canary', now);
  const state = async () => {
    const sent = await upstream.begin(begun, 'browser', true);
    if (!sent.ok) throw new Error(sent.reason);
    const asked = new URL(sent.url).searchParams;
    t.match(Object.fromEntries(asked), { prompt: 'select_account', code_challenge_method: 'S256' });
    t.notOk(asked.has('nonce'), 'without OpenID Connect');
    return new URLSearchParams({ code: 'c', state: asked.get('state') ?? '' });
  };
  const [old, other, anew] = [await state(), await state(), await state()];
  now += 599_000;
  t.match(await upstream.end(other, 'another browser'), { kind: 'other_browser', begun });
  const changed = new UpstreamSignIn({ ...ports, providers: compiled('d') });
  t.match(await changed.end(anew, 'browser'), { kind: 'failed', reason: /configured anew/ });
  t.match(await upstream.end(anew, 'browser'), { kind: 'used' }, 'once, whatever came of it');
  t.match(await new UpstreamSignIn({ ...ports, providers: {} }).end(other, 'browser'), { reason: /no such provider/ });
  now += 1000;
  t.match(await upstream.end(old, 'browser'), { kind: 'unknown' });
});

t.test('whom a provider vouches for is signed in only with its record', async (t) => {
  const { login, users, memberships } = vaultIn(t, t.testdir());
  const signIn = { accounts: true, providers: {} };
  const subjects = new Subjects({ signIn, users, login, now: Date.now });
  const resources = () => new Resources('https://mcp.example', { path: true, host: undefined, header: undefined, claim: false });
  const access = new TenantAccess({ subjects, memberships, resources, authOf: () => DEFAULT_AUTH, scopesOf: () => [] });
  const begun = { uid: 'u', provider: 'hub', tenant: 'acme', client: 'mcp' };
  const events: AuditEvent[] = [];
  let broken = true;
  const server = new LoginServer({
    subjects,
    access,
    login,
    users,
    issuer: () => 'https://mcp.example',
    wanted: () => true,
    upstream: {
      begin: async () => ({ ok: false, reason: 'not asked' }),
      end: async () => ({ kind: 'who', begun, who: { subject: 'hub:42', called: undefined } }),
    },
    audit: {
      append: async (event) => {
        if (broken) throw new Error('the disk is full');
        events.push(event);
      },
    },
    fetch: () => Promise.reject(new Error('nobody is asked')),
    errorPage: () => ({ headers: {}, body: '' }),
    onFailure: (cause) => t.fail(String(cause)),
    now: Date.now,
  });
  const seconds = Math.floor(Date.now() / 1000);
  const step = { jti: 'u', kind: 'Interaction', iat: seconds, exp: seconds + 60, returnTo: 'https://mcp.example/on', params: {} };
  const prompt = { name: 'login', reasons: ['no_session'], details: {} };
  login.put('Interaction', 'u', entry({ ...step, prompt }), {}, MOST);
  const request = new IncomingMessage(new Socket());
  const exchange = { request, response: new ServerResponse(request), address: '127.0.0.1', correlation: 'C' };
  const result = () => login.find('Interaction', 'u', Date.now())?.value['result'];
  await t.rejects(server.returned(exchange, new URLSearchParams()), /disk is full/);
  t.equal(result(), undefined);
  broken = false;
  t.match(await server.returned(exchange, new URLSearchParams()), { kind: 'on', to: 'https://mcp.example/on' });
  t.match(result(), { login: { accountId: 'hub:42' } });
  t.match(events, [{ kind: 'login.signed_in', subject: 'hub:42', provider: 'hub', tenant: 'acme', correlation: 'C' }]);
});

t.test(
  'passwords: salted, compared whole, in any composition; a name that does not exist is refused in the same way',
  async (t) => {
    const passwords = new Passwords();
    const [one, other] = await Promise.all([hashPassword('Zoë has a long password'), hashPassword('Zoë has a long password')]);
    t.not(one, other);
    t.equal(await passwords.matches('Zoe\u0308 has a long password', one), true);
    t.equal(await passwords.matches('Zoë has a long password ', one), false);
    t.equal(await passwords.matches('A'.repeat(43), undefined), false);
    const [form] = /^scrypt\$15\$8\$3\$/.exec(one) ?? [];
    t.ok(form, 'with its parameters');
    // Two at work and 32 waiting: the next is told to come again, and nobody who waits is forgotten.
    const all = await Promise.all(
      Array.from({ length: 36 }, () => passwords.matches('x', 'scrypt$4$1$1$AAAAAAAAAAAAAAAAAAAAAA$' + 'A'.repeat(43))),
    );
    t.equal(all.filter((answer) => answer === undefined).length, 2);
    t.equal(await passwords.matches('x', undefined), false);
    await t.rejects(passwords.matches('x', 'plain'), 'what is no hash matches nothing');
  },
);

t.test('what the authorization server keeps is hidden, bounded, spent once and ends with its family or its user', async (t) => {
  const dataDir = t.testdir();
  const vault = vaultIn(t, dataDir);
  const { login, users, memberships } = vault;
  const now = Date.now();
  login.put('Code', 'canary-code', entry({ secret: 'canary-value' }), { family: 'canary-family', account: 'ada' }, MOST);
  t.match(login.find('Code', 'canary-code', now), { value: { secret: 'canary-value' }, spentAt: undefined });
  t.equal(login.find('Token', 'canary-code', now), undefined);
  t.equal(login.find('Code', 'canary-code', now + 61_000), undefined, 'what has expired is not given out');
  t.equal(login.spend('Code', 'canary-code', now), true);
  t.equal(login.spend('Code', 'canary-code', now), false);
  t.equal(login.find('Code', 'canary-code', now)?.spentAt, now);
  t.notMatch(readFileSync(databasePath(dataDir), 'latin1') + readFileSync(`${databasePath(dataDir)}-wal`, 'latin1'), /canary/);

  users.add('eva', 'hash-0', now);
  t.match(vault.verify(), { bad: [], opened: { users: 1, login_state: 1 } });
  // A row that was moved to another name does not open.
  login.put('Code', 'other', entry({}), {}, MOST);
  const db = new DatabaseSync(databasePath(dataDir));
  db.exec('UPDATE login_state SET sealed = (SELECT sealed FROM login_state WHERE family IS NULL) WHERE family IS NOT NULL');
  db.close();
  t.match(vault.verify().bad, [{ table: 'login_state', tenant: '_server' }]);
  t.throws(() => login.find('Code', 'canary-code', now), { code: 'seal_broken' });

  login.put('Session', 's', entry({ n: 1 }), { alias: 'uid', account: 'ada' }, MOST);
  t.match(login.byAlias('Session', 'uid', now), { value: { n: 1 } });
  login.deleteFamily('canary-family');
  t.equal(login.find('Code', 'canary-code', now), undefined);
  t.ok(login.find('Session', 's', now));

  users.add('ada', 'hash-1', now);
  memberships.grant('acme', 'ada', [], now);
  const kept = memberships.find('acme', 'ada');
  t.equal(memberships.find('acme', 'ada'), kept, 'the same object');
  memberships.grant('acme', 'ada', ['read'], now + 5000);
  t.match(memberships.find('acme', 'ada'), { scopes: ['read'], since: now }, 'other scopes are no other membership');
  t.equal(users.setPassword('ada', 'hash-2', now), true);
  t.equal(login.find('Session', 's', now), undefined, 'a changed password ends sessions');
  t.equal(users.setPassword('eve', 'hash', now), false);

  for (let n = 0; n < 12; n += 1) login.put('Client', `c${n}`, entry({ n }, now + 60_000 + n), {}, 10);
  t.strictSame(
    [login.find('Client', 'c1', now), login.list('Client', now).length],
    [undefined, 10],
    'what ends first goes first',
  );
  login.extend('Client', 'c2', now + 600_000);
  login.put('Client', 'c12', entry({}, now + 60_020), {}, 10);
  t.ok(login.find('Client', 'c2', now), 'one that was used stays');

  vault.shredTenant('acme');
  t.equal(memberships.find('acme', 'ada'), undefined);
});

t.test('signing keys are replaced by age; the old one is published until its tokens have ended', async (t) => {
  let at = Date.now();
  const now = () => at;
  const vault = openVault({ dataDir: t.testdir(), masterKey: KEY, now });
  t.teardown(() => vault.close());
  const kids = () => signingKeys(vault.login, now).jwks.map(({ kid }) => kid);
  const [first] = kids();
  t.strictSame(kids(), [first], 'the same again');
  at += ROTATE_MS + 1000;
  const [second, ...older] = kids();
  t.not(second, first);
  t.strictSame(older, [first], 'the new one signs');
  const published = publicKeys(vault.login, now);
  t.equal((await published.find({ kid: first })).type, 'public');
  at += 86_400_000;
  t.strictSame(kids(), [second]);
  await t.rejects(published.find({ kid: first }), { name: 'KeyUnknown' });
  await t.rejects(published.find({ kid: { $gt: '' } }), { name: 'KeyUnknown' });
});
