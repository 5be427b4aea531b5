// The package as a user gets it: built, packed, installed into an empty folder, run from there, types included.
// Not responsible for what the commands do in detail (their own tests).
// Invariant: nothing of the checkout is used after packing but its package manager and compiler; of the environment only what npm needs to
// reach a registry is inherited.
import '../helpers/bare-children.ts';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
const READY_MS = 120_000;

// Builds, packs and installs: minutes on a machine that is busy.
t.setTimeout(900_000);
const dir = t.testdir({ package: {}, home: {} });
/** Of the Node that runs this test, so that the same file tests another Node when that one runs it. */
const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: process.env['HOME'] ?? dir, NO_COLOR: '1' };
const node = (cwd: string, ...args: string[]) => run(process.execPath, args, { cwd, env });

/** How this machine reaches a registry: through a proxy, or by certificate authorities of its own. Without it npm waits for minutes. */
const NETWORK = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy'];
const network = Object.fromEntries(
  NETWORK.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
);

/** npm as it came with some Node: found by the shell's own path, run with a clean environment. */
async function npm(cwd: string, ...args: string[]): Promise<string> {
  const path = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.includes('node_modules'));
  const { stdout } = await run('npm', args, {
    cwd,
    env: { ...env, ...network, PATH: [dirname(process.execPath), ...path].join(':') },
  });
  return stdout;
}

const packed = join(dir, 'package');
const user = join(dir, 'home');
const bin = join(user, 'node_modules/.bin/leasehold');
const leasehold = (...args: string[]) => run(bin, args, { cwd: user, env });

t.test('builds and packs what a user needs, and nothing else', async (t) => {
  await node(root, '.ci/build.ts', join(packed, 'dist'));
  for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']) copyFileSync(join(root, file), join(packed, file));
  const [{ files, filename } = { files: [], filename: '' }] = JSON.parse(
    await npm(packed, 'pack', '--json', '--ignore-scripts', '--pack-destination', dir),
  ) as { files: { path: string }[]; filename: string }[];
  const paths = files.map((file) => file.path);
  for (const needed of ['dist/src/cli.js', 'dist/src/index.js', 'dist/src/index.d.ts', 'LICENSE', 'README.md']) {
    t.ok(paths.includes(needed), needed);
  }
  for (const entry of ['host', 'tools', 'egress', 'bundler']) t.ok(paths.includes(`dist/workers/${entry}.js`), entry);
  const sources = paths.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'));
  t.strictSame(
    sources.filter((path) => !/^dist\/src\/(?:demo|chaos)\/estate\/|\/templates\//.test(path)),
    [],
    'only tool code of estates is shipped as TypeScript',
  );
  t.strictSame(
    paths.filter((path) => /(?:^|\/)(?:test|bench|node_modules)\//.test(path)),
    [],
    'no tests, no benchmarks, no packages',
  );
  mkdirSync(user, { recursive: true });
  await npm(user, 'init', '--yes');
  await npm(user, 'install', join(dir, filename), '--prefer-offline', '--no-audit', '--no-fund');
  t.ok(existsSync(bin), 'installs its command');
});

t.test('runs from where it is installed', async (t) => {
  t.equal((await leasehold('--version')).stdout.trim(), version);
  t.match((await leasehold('--help')).stdout, 'init');
});

t.test('init makes an estate that checks, type-checks and serves', async (t) => {
  await leasehold('init', 'estate', '--yes');
  const estate = join(user, 'estate');
  await leasehold('check', 'estate');

  await node(estate, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.', '--noEmit');

  const server = spawn(bin, ['start', 'estate', '--port', '0', '--json'], {
    cwd: user,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => server.kill('SIGKILL'));
  const { tenants } = await readyLine(server);
  const { id = '', endpoint = '' } = tenants[0] ?? {};
  const minted = await leasehold('token', 'create', id, '--subject', 'ada', '--estate', 'estate', '--json');
  const { token } = JSON.parse(minted.stdout) as { token: string };
  const listed = (await rpc(endpoint, token, 'tools/list', {})) as { tools: { name: string }[] };
  t.ok(listed.tools.length > 0, 'has a tool');
  server.kill('SIGTERM');
  const [code] = (await once(server, 'exit')) as [number | null];
  t.equal(code, 0, 'ends when it is told to');
});

interface Ready {
  readonly tenants: readonly { readonly id: string; readonly endpoint: string }[];
}

async function readyLine(server: ChildProcess): Promise<Ready> {
  const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream });
  const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(READY_MS) })) as [string];
  return JSON.parse(line) as Ready;
}

async function rpc(endpoint: string, token: string, method: string, params: object): Promise<unknown> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } }),
  });
  return ((await response.json()) as { result: unknown }).result;
}
