// Connecting from a terminal: `leasehold call` shows link and code and waits; `leasehold connection connect` is for accounts of a tenant.
import { type ChildProcess, spawn } from 'node:child_process';
import t, { type Test } from 'tap';
import { cli, leasehold, ownUser, until } from '../helpers/cli.ts';
import { connectScene, type Link } from './connect-scene.ts';
import { connectAs } from './visitor.ts';

t.setTimeout(240_000);

interface Running {
  readonly child: ChildProcess;
  out: string;
  err: string;
  readonly exit: Promise<number | null>;
}
function start(t: Test, args: readonly string[], env: Record<string, string>): Running {
  const child = spawn(process.execPath, [cli, ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const running: Running = { child, out: '', err: '', exit };
  child.stdout.on('data', (part: Buffer) => (running.out += part.toString()));
  child.stderr.on('data', (part: Buffer) => (running.err += part.toString()));
  return running;
}
function linkIn(text: string): Link | undefined {
  const url = /open (http\S+)/.exec(text)?.[1];
  const code = /code ([2-9A-Z]{3}-[2-9A-Z]{3})/.exec(text)?.[1];
  return url === undefined || code === undefined ? undefined : { id: '', url, code, scopes: [], connection: '' };
}

t.test('call shows the link and the code, waits, and prints the result', async (t) => {
  const s = await connectScene(t);
  const env = ownUser(t);
  const args = ['call', 'acme', 'me', '--url', s.runtime.url, '--token', s.token('acme')];
  const waiting = start(t, args, env);
  await until(async () => waiting.err.includes('waiting'));
  const link = linkIn(waiting.err);
  if (link === undefined) throw new Error(waiting.err);
  t.match(waiting.err, /^✗ credential {2}not_connected {2}acme needs your 127\.0\.0\.1:\d+ account \(offline_access, openid\)/);
  t.match(await connectAs(s, link), /is connected$/);
  t.equal(await waiting.exit, 0);
  t.equal(waiting.out, '{"sub":"ada"}\n');
  t.match(waiting.err, / {2}connected\n/);

  const bob = ['--url', s.runtime.url, '--token', s.token('acme', 'bob')];
  const told = await leasehold(['call', 'acme', 'me', ...bob, '--no-wait'], { env });
  t.match(told, { code: 1, stdout: '', stderr: /^✗ credential {2}not_connected .*open http.*code [2-9A-Z]{3}-/ });
  const json = await leasehold(['call', 'acme', 'me', ...bob, '--json'], { env });
  t.equal(json.code, 1);
  t.match(JSON.parse(json.stdout), {
    ok: false,
    result: {
      isError: true,
      _meta: { 'leasehold/error': { data: { connect: [{ connection: 'crm', code: /-/, url: /\/connect\// }] } } },
    },
  });
  // Ctrl-C ends the wait.
  const given = start(t, ['call', 'acme', 'me', ...bob], env);
  await until(async () => given.err.includes('waiting'));
  given.child.kill('SIGINT');
  t.equal(await given.exit, 1);
  t.match(given.err, /cancelled/);
});

t.test('the account of a whole tenant is connected by the operator', async (t) => {
  const s = await connectScene(t);
  const env = { ...ownUser(t), LEASEHOLD_PUBLIC_URL: s.runtime.url };
  t.match((await s.call('acme', 'company')).text, /leasehold connection connect acme shared/);
  const run = (...args: string[]) => leasehold(['connection', 'connect', ...args, '--estate', s.estate], { env });
  t.match(await run('acme', 'crm'), { code: 1, stderr: /every user connects an account of his own/ });
  t.match(await run('acme', 'nothing'), { code: 1, stderr: /acme has no connection 'nothing'/ });
  t.match(await run('acme'), { code: 2, stderr: /which connection/ });
  const waiting = start(t, ['connection', 'connect', 'acme', 'shared', '--scopes', 'read', '--estate', s.estate], env);
  await until(async () => waiting.err.includes('waiting'));
  const link = linkIn(waiting.out);
  if (link === undefined) throw new Error(waiting.out + waiting.err);
  t.match(await connectAs(s, link), /is connected$/);
  t.equal(await waiting.exit, 0, waiting.err);
  t.match(waiting.err, /connected as ada <b>Lovelace<\/b>: \w+/);
  await until(async () => (await s.call('acme', 'company')).text === '{"sub":"ada"}');
  t.equal((await s.call('acme', 'company', {}, { token: s.token('acme', 'bob') })).text, '{"sub":"ada"}', 'for all of its users');
  const listed = await leasehold(['connection', 'list', 'acme', '--estate', s.estate], { env });
  t.match(listed.stdout, /shared .*1 connected/);
  t.match(
    (await s.audit('acme')).filter(({ kind }) => kind === 'grant.connected'),
    [{ subject: 'operator', connection: 'shared' }],
  );
});
