// The command line against servers that it started: the demo end to end, tokens, logs, changes, signals and taken ports.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { cli, leasehold, ownUser, serving, until } from '../helpers/cli.ts';
import { writeEstate } from '../helpers/estate.ts';

t.test('the demo serves two tenants end to end', { timeout: 120_000 }, async (t) => {
  const env = ownUser(t);
  const first = await serving(t, ['demo', '--port', '0'], env);
  const { ready } = first;
  t.match(ready, { ready: true, url: /^http:\/\/127\.0\.0\.1:\d+$/ });
  t.strictSame(
    ready.tenants.map(({ id }) => id),
    ['acme', 'globex'],
  );
  for (const { id, endpoint, token } of ready.tenants) {
    t.equal(endpoint, `${ready.url}/t/${id}/mcp`);
    t.match(token, /^lh_/);
  }
  const call = (...args: string[]) => leasehold(['call', ...args], { env });

  t.test('the same tool name does different things', async (t) => {
    const acme = await call('acme', 'hello', 'name=Ada');
    t.strictSame([acme.code, acme.stdout], [0, 'Hello, Ada, from acme\n']);
    t.match(acme.stderr, /^[\d.]+ ms/);
    const globex = await call('globex', 'hello');
    t.match(globex.stdout, /^Globex dispatch speaking.*stranger: visit 1\.\n$/);
    t.match((await call('globex', 'hello')).stdout, 'visit 2', 'the same subject, the same store');
    t.match((await call('globex', 'hello', '--as', 'bob')).stdout, 'visit 1', 'another subject, another store');
  });

  t.test('a library, declared tools, nested calls and progress', async (t) => {
    const km = await call('globex', 'convert', 'value=5', 'from=miles', 'to=km', '--json');
    t.match(JSON.parse(km.stdout), { ok: true, result: { structuredContent: { unit: 'km', value: 8.04672 } } });
    t.match((await call('acme', 'list_cities')).stdout, 'Lagos');
    t.match((await call('acme', 'city', 'name=Lima')).stdout, '"country":"PE"');
    t.match((await call('globex', 'exchange', 'amount=100', 'from=EUR', 'to=USD')).stdout, '108.43');
    t.match((await call('acme', 'weather', 'city=Lima', 'unit=fahrenheit')).stdout, /Lima/);
    t.match((await call('globex', 'quote', 'km=100', 'currency=USD')).stdout, /130\.12/);
    const warmest = await call('acme', 'warmest', 'cities=Lima', 'cities=Lagos', 'cities=Zürich');
    t.match(warmest.stdout, /Lagos/);
    t.match(warmest.stderr, /… 0\/3 {2}asking for Lima\n… 1\/3 {2}asking for Lagos\n… 2\/3/);
    t.match((await call('acme', 'add_note', 'text=pack an umbrella', 'tags=rain')).stdout, /umbrella/);
  });

  t.test('what goes wrong says what to do', async (t) => {
    const cases: [string[], RegExp][] = [
      [['acme', 'hello'], /^✗ input {2}arguments_invalid {3}hello: .*name.* {3}next: fix_arguments {3}call [0-9A-Z]{26}\n$/],
      [['acme', 'helo'], /^✗ acme has no tool 'helo' for this caller\. Did you mean 'hello'\?\n$/],
      [['acme', 'weather', 'city=Atlantis'], /^✗ upstream {2}upstream_error {3}weather: /],
      [['nobody', 'hello'], /^✗ there is no tenant 'nobody' in .*; there are: acme, globex\n$/],
      [['acme', 'hello', 'name=x', '--token', 'lh_wrong'], /^✗ credential {2}token_invalid/],
    ];
    for (const [args, expected] of cases) {
      const { code, stdout, stderr } = await call(...args);
      t.strictSame([code, stdout], [1, ''], args.join(' '));
      t.match(stderr, expected);
    }
    const token = ready.tenants[0]?.token ?? '';
    const foreign = await leasehold(['call', 'globex', 'hello', '--url', ready.url, '--token', token], { env });
    t.match(foreign.stderr, /^✗ credential {2}token_invalid/, "acme's token opens nothing of globex");
    const nowhere = await leasehold(['call', 'acme', 'hello', '--url', 'http://127.0.0.1:9', '--token', 'x'], { env });
    t.match(nowhere.stderr, /^✗ no server answers at http:\/\/127\.0\.0\.1:9\/t\/acme\/mcp \(/);
  });

  t.test('what tools log is read by its author', async (t) => {
    const { code, stdout } = await leasehold(['logs', 'acme'], { env });
    t.equal(code, 0);
    t.match(stdout, /acme {2}warmest {2}info {3}compared {2}cities=3 {2}warmest=Lagos {2}call [0-9A-Z]{26}/);
  });

  t.test('tokens are made, listed and revoked while it runs', async (t) => {
    const made = await leasehold(['token', 'create', 'acme', '--subject', 'ada@acme.com'], { env });
    t.equal(made.code, 0, made.stderr);
    const secret = made.stdout.trim();
    t.match(secret, /^lh_[\w-]+$/, 'stdout holds the token and nothing else');
    const using = (token: string) => leasehold(['call', 'acme', 'hello', 'name=Ada', '--token', token], { env });
    t.equal((await using(secret)).stdout, 'Hello, Ada, from acme\n');
    const listed = JSON.parse((await leasehold(['token', 'list', 'acme', '--json'], { env })).stdout) as {
      id: string;
      subject: string;
    }[];
    const id = listed.find(({ subject }) => subject === 'ada@acme.com')?.id ?? '';
    t.match((await leasehold(['token', 'list', 'acme'], { env })).stdout, new RegExp(`${id} +ada@acme\\.com`));
    t.notMatch(JSON.stringify(listed), secret.slice(-12), 'a secret is shown once');
    const brief = await leasehold(
      ['token', 'create', 'acme', '--subject', 'eve', '--scopes', 'a,b', '--expires', '30d', '--json'],
      {
        env,
      },
    );
    const { id: briefId, expiresAt } = JSON.parse(brief.stdout) as { id: string; expiresAt: number };
    t.ok(Math.abs(expiresAt - Date.now() - 30 * 86_400_000) < 120_000);
    t.match(
      (await leasehold(['token', 'list', 'acme', '--subject', 'eve'], { env })).stdout,
      new RegExp(`${briefId} +eve +a b +made \\S+ +never used +live until ${new Date(expiresAt).toISOString()}`),
    );
    t.match(await leasehold(['token', 'create', 'acme', '--subject', 'eve', '--expires', '30 days'], { env }), {
      code: 2,
      stderr: /no duration: 30d, 12h/,
    });
    t.equal((await leasehold(['token', 'revoke', 'globex', id], { env })).code, 1, 'a token of another tenant does not exist');
    t.equal((await leasehold(['token', 'revoke', 'acme', id], { env })).code, 0);
    t.match((await using(secret)).stderr, /^✗ credential {2}token_invalid/, 'and opens nothing any more');
  });

  t.test('a second server on the port is told who is there', async (t) => {
    const port = new URL(ready.url).port;
    const other = join(t.testdir({ tenants: {} }));
    const taken = await leasehold(['start', other, '--port', port], { env });
    t.equal(taken.code, 1);
    const estate = join(env['XDG_DATA_HOME'] ?? '', 'leasehold', 'demo');
    t.match(
      taken.stderr,
      `✗ port ${port} is in use by pid ${first.child.pid} (leasehold, estate ${realpathSync(estate)}). Stop it, or --port`,
    );
    const twice = await leasehold(['demo', '--port', port], { env });
    t.match(twice.stderr, `is served already, by pid ${first.child.pid} at ${ready.url}. Stop that one first`);
    t.match((await call('acme', 'weather', 'city=Lima')).stdout, 'Lima', 'and the one that runs is not disturbed');
  });

  t.test('a changed tool is live, a broken one is reported and the old one keeps serving', async (t) => {
    const file = join(env['XDG_DATA_HOME'] ?? '', 'leasehold', 'demo', 'tenants', 'acme', 'tools', 'travel.ts');
    const source = readFileSync(file, 'utf8');
    writeFileSync(file, source.replace('Hello, ', 'Good day, '));
    await until(async () => (await call('acme', 'hello', 'name=Ada')).stdout.startsWith('Good day'));
    writeFileSync(file, `${source}\nimport './nothing-here.ts';`);
    await until(async () => /✗ .*travel\.ts/.test(first.stderr()));
    t.match((await call('acme', 'hello', 'name=Ada')).stdout, 'Good day, Ada');
    writeFileSync(file, source);
    await until(async () => (await call('acme', 'hello', 'name=Ada')).stdout.startsWith('Hello'));
  });

  t.test('SIGTERM ends it, and the tokens are the same after a restart', async (t) => {
    first.child.kill('SIGTERM');
    t.equal(await first.exit, 0);
    t.notMatch(first.stderr(), /\n\s+at /, 'no stack was printed');
    const again = await serving(t, ['demo', '--port', '0'], env);
    t.strictSame(
      again.ready.tenants.map(({ token }) => token),
      ready.tenants.map(({ token }) => token),
    );
    again.child.kill('SIGINT');
    t.equal(await again.exit, 0);
  });
});

t.test('a start that does not come to its end ends when it is told to', async (t) => {
  const limits = { runMs: 600_000 };
  const estate = writeEstate(t, { server: { limits }, tenants: { acme: { tools: { 'endless.ts': 'for (;;);\n' } } } });
  const env = { ...process.env, ...ownUser(t) };
  const child = spawn(process.execPath, [cli, 'start', estate, '--port', '0'], { env, stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const exit = new Promise((resolve) => child.on('exit', (...end) => resolve(end)));
  const run = join(estate, '.leasehold', 'run');
  await until(async () => existsSync(run) && readdirSync(run).some((name) => name.startsWith('tools-')));
  const began = performance.now();
  child.kill('SIGTERM');
  t.strictSame(await exit, [130, null]);
  t.ok(performance.now() - began < 10_000, 'a load has 15 seconds');
});

t.test('dev shows every change and failure with its place', { timeout: 120_000 }, async (t) => {
  const env = ownUser(t);
  const estate = join(env['XDG_DATA_HOME'] ?? '', 'estate');
  t.equal((await leasehold(['init', estate, '--yes'], { env })).code, 0);
  const file = join(estate, 'tenants', 'acme', 'tools', 'hello.ts');
  const source = readFileSync(file, 'utf8');
  const { child, exit, stderr } = await serving(t, ['dev', estate, '--port', '0'], env);
  t.ok(readFileSync(join(estate, '.leasehold', 'schemas', 'tenant.json')), 'editors find the schemas');
  const failing = source.replace(/handler: [^\n]+/, 'handler: () => {\n    throw new TypeError("boom");\n  },');
  t.not(failing, source);
  writeFileSync(file, failing);
  await until(async () => /✓ acme {2}bundle [0-9a-f]{4}→[0-9a-f]{4} {2}1 tool {2}\d+ ms {3}live/.test(stderr()));
  const failed = await leasehold(['call', 'acme', 'hello', 'name=Ada', '--estate', estate], { env });
  t.strictSame([failed.code, failed.stdout], [1, '']);
  t.match(failed.stderr, /^✗ tool {2}tool_failed {3}hello: The tool failed/);
  t.notMatch(failed.stderr, 'boom', 'what is thrown is for the author');
  await until(async () => /TypeError: boom\n +at .*tools\/hello\.ts:8:11/.test(stderr()));
  t.match(stderr(), /acme {2}hello {2}error .*call [0-9A-Z]{26} {2}\(the caller saw: tool_failed\)/);
  writeFileSync(file, `import 'node:fs';\n${source}`);
  await until(async () =>
    /✗ acme {2}tenants\/acme\/tools\/hello\.ts:1:\d+ .*node:fs.* {3}[0-9a-f]{4} keeps serving/.test(stderr()),
  );
  child.kill('SIGTERM');
  t.equal(await exit, 0);
});

t.test('a port that another program holds is named with its process', async (t) => {
  const env = ownUser(t);
  const holder = createServer((_request, response) => response.end('not leasehold'));
  await new Promise<void>((resolve) => void holder.listen(0, '127.0.0.1', resolve));
  t.teardown(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const { code, stdout, stderr } = await leasehold(['start', t.testdir({ tenants: {} }), '--port', String(port)], { env });
  t.strictSame([code, stdout], [1, '']);
  const who = process.platform === 'linux' ? `pid ${process.pid} (` : '';
  t.match(stderr, `✗ port ${port} is in use by ${who}`);
  t.match(stderr, `Stop it, or --port ${port + 1}. Clients configured for ${port} will not find this one.\n`);
});

t.test('no record, no action: a server that cannot write its audit does nothing, says so, and recovers', async (t) => {
  const env = ownUser(t);
  let seen = 0;
  const upstream = createServer((_request, response) => {
    seen += 1;
    response.setHeader('content-type', 'application/json').end('{"ok":true}');
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  t.teardown(() => upstream.close().closeAllConnections());
  const origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const region = { type: 'string', 'x-mcp-header': 'Region' };
  const inputSchema = { type: 'object', properties: { region, size: { type: 'integer', 'x-mcp-header': 'Size' } } };
  const tool = { description: 'ping', inputSchema, request: { method: 'POST', path: '/ping', body: 'rest' } };
  const estate = writeEstate(t, {
    server: { egress: { privateOrigins: [origin] } },
    tenants: {
      acme: {
        tenant: { connections: { api: { type: 'none', origins: [origin] } } },
        tools: { 'api.binding.json': JSON.stringify({ kind: 'rest', connection: 'api', tools: { ping: tool } }) },
      },
    },
  });
  const server = await serving(t, ['start', estate, '--port', '0'], env);
  const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(server.child.pid), `--fsize=${bytes}:`]);
  const ping = (...args: string[]) => leasehold(['call', 'acme', 'ping', ...args, '--estate', estate], { env });
  t.equal((await ping('region=Zürich', 'size=-3')).code, 0, 'with the headers that the schema wants');
  t.match(await ping('size=1.5'), { code: 1, stderr: /arguments_invalid/ }, 'what is no integer is told of as such');
  t.equal(seen, 1);
  limit('0');
  const refused = await ping();
  t.equal(refused.code, 1);
  t.match(refused.stderr, /audit/);
  t.equal(seen, 1, 'nothing was sent');
  t.equal((await fetch(`${server.ready.url}/readyz`)).status, 503);
  t.equal((await fetch(`${server.ready.url}/healthz`)).status, 200);
  limit('unlimited');
  await until(async () => (await fetch(`${server.ready.url}/readyz`)).status === 200);
  t.equal((await ping()).code, 0);
  t.equal(seen, 2);
});
