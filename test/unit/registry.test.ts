// Tenants as a server holds them: from the cache, changed while it runs, broken and repaired. Real bundler, hosts and threads.
import '../helpers/bare-children.ts';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createLog } from '../../src/audit/operational-log.ts';
import type { AuditEvent, AuditLog } from '../../src/audit/record.ts';
import { prepareDataDir } from '../../src/config/data-dir.ts';
import { loadServerConfig } from '../../src/config/load-server.ts';
import { createHosts } from '../../src/hosts/create-hosts.ts';
import type { Hosts, ToolsPoolSpec } from '../../src/hosts/pool.ts';
import { createRegistry, type Registry, type TenantChange } from '../../src/tenants/registry.ts';
import { checkManifestText, MANIFEST_BYTES } from '../../src/tenants/toolset/manifest-check.ts';
import { mergeTools } from '../../src/tenants/toolset/merge.ts';
import { ToolsetUsers } from '../../src/tenants/toolset-users.ts';
import { sweepEstate } from '../../src/tenants/watch.ts';
import { toolset } from '../helpers/estate.ts';

const hello = (word: string) => toolset(`hello: defineTool({ description: '${word}', handler: () => '${word}' })`);

class Running {
  readonly dir: string;
  readonly events: AuditEvent[] = [];
  readonly changes: TenantChange[] = [];
  readonly users = new ToolsetUsers();
  /** Pools that were asked for: describing is one each. */
  readonly pools: ToolsPoolSpec[] = [];
  auditFails = false;
  #hosts: Hosts | undefined;
  #registry: Registry | undefined;

  constructor(t: Test, files: { [path: string]: string }) {
    this.dir = realpathSync(t.testdir({}));
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    t.teardown(() => this.stop());
  }
  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.dir, path)), { recursive: true });
    writeFileSync(join(this.dir, path), text);
  }
  async start(): Promise<Registry> {
    await this.stop();
    const { value: server } = loadServerConfig(this.dir, {}, { drainMs: '5000' });
    if (server === undefined) throw new Error('bad config');
    prepareDataDir(server.dataDir);
    this.pools.length = 0;
    const hosts = createHosts({ runDir: join(server.dataDir, 'run') });
    this.#hosts = hosts;
    const counted: Hosts = {
      toolsPool: (spec) => {
        this.pools.push(spec);
        return hosts.toolsPool(spec);
      },
      egressPool: (spec) => hosts.egressPool(spec),
      apart: () => hosts.apart(),
      close: (ms) => hosts.close(ms),
    };
    const audit: AuditLog = {
      append: async (event) => {
        if (this.auditFails) throw new Error('full');
        this.events.push(event);
      },
      healthy: () => true,
      close: async () => {},
    };
    const log = createLog('error', { write: () => true });
    this.#registry = await createRegistry({ server, hosts: counted, users: this.users, audit, log });
    this.#registry.onChange((change) => this.changes.push(change));
    return this.#registry;
  }
  async stop(): Promise<void> {
    await this.#registry?.close();
    await this.#hosts?.close(0);
    this.#registry = this.#hosts = undefined;
  }
  async until(what: string, holds: () => boolean): Promise<void> {
    for (const end = Date.now() + 25_000; !holds(); await delay(20))
      if (Date.now() > end) throw new Error(`not within 25 s: ${what}`);
  }
}

t.test('start, cache, change, break, repair, add and remove', async (t) => {
  const running = new Running(t, {
    'tenants/acme/tenant.json': '{"connections": {"api": {"type": "none", "origins": ["http://127.0.0.1:1"]}}}',
    'tenants/acme/tools/a.ts': hello('one'),
    'tenants/acme/tools/b.binding.json': `{"kind": "rest", "connection": "api", "tools": {"get": {"description": "d", "request": {"method": "GET", "path": "/x"}},
      "post": {"description": "d", "request": {"method": "POST", "path": "/x"}}}}`,
    'tenants/globex/tenant.json': '{}',
    'tenants/globex/tools/a.ts': hello('globex'),
  });
  let registry = await running.start();
  const tools = (id: string) => [...(registry.get(id)?.toolset?.tools.values() ?? [])];
  t.strictSame(
    registry.list().map(({ id }) => id),
    ['acme', 'globex'],
  );
  t.strictSame(registry.get('acme')?.problems, []);
  t.strictSame(
    tools('acme').map((tool) => [tool.name, tool.repeatable]),
    [
      ['get', true],
      ['hello', false],
      ['post', false],
    ],
  );
  t.match(JSON.parse(tools('acme')[1]?.listing ?? ''), { name: 'hello', description: 'one', inputSchema: { type: 'object' } });
  t.equal(registry.get('globex')?.toolset?.egress, undefined, 'nothing declared and no connection');
  t.ok(registry.get('acme')?.toolset?.egress);
  t.equal(running.pools.length, 2, 'described once each');
  t.match(running.events, [{ kind: 'toolset.changed', tenant: /acme|globex/ }, { kind: 'toolset.changed' }]);
  const first = registry.get('acme')?.toolset?.hash;

  registry = await running.start();
  t.equal(running.pools.length, 0, 'from the cache: nothing was bundled or described');
  t.equal(running.events.length, 2, 'nothing changed');
  t.equal(registry.get('acme')?.toolset?.hash, first);
  t.equal(registry.get('acme')?.toolset?.tools.get('hello')?.description, 'one');

  const now = new Date();
  utimesSync(join(running.dir, 'tenants/acme/tools/a.ts'), now, now);
  await registry.reload('acme');
  t.equal(running.pools.length, 0, 'a touched file with the same content is no change');

  // A request runs on the old toolset while it is replaced.
  const old = registry.get('acme')?.toolset;
  if (old?.code === undefined) throw new Error('no code');
  running.users.enter(old);
  running.write('tenants/acme/tools/a.ts', hello('two'));
  await running.until('the change serves', () => registry.get('acme')?.toolset?.tools.get('hello')?.description === 'two');
  t.match(running.changes.at(-1), { tenant: 'acme', tookMs: Number });
  t.ok((await old.code.describe()).length > 0, 'the old pool still works');
  running.users.leave(old);
  await running.until('the old pool is closed', () => old.code?.awake === false);

  const good = registry.get('acme')?.toolset;
  running.write('tenants/acme/tools/a.ts', '\nexport default oops(;');
  await running.until('the problem is seen', () => registry.get('acme')?.problems.length === 1);
  t.match(registry.get('acme')?.problems, [{ file: 'tenants/acme/tools/a.ts', line: 2 }]);
  t.equal(registry.get('acme')?.toolset, good, 'the old one keeps serving');
  running.write('tenants/acme/tenant.json', '{"nmae": 1}');
  await running.until(
    'the config problem is seen',
    () => registry.get('acme')?.problems[0]?.file.endsWith('tenant.json') === true,
  );
  t.equal(registry.get('acme')?.toolset, good);
  running.write('tenants/acme/tenant.json', '{"vars": {"n": 1}}');
  running.write('tenants/acme/tools/a.ts', hello('two'));
  await running.until('repaired', () => registry.get('acme')?.config.vars['n'] === 1);
  t.match(
    registry.get('acme')?.problems,
    [{ reason: /uses the connection "api", which the tenant does not have/ }, {}],
    'served, and said',
  );
  t.not(registry.get('acme')?.toolset, good, 'new settings, new pools');
  t.equal(registry.get('acme')?.toolset?.hash, good?.hash, 'same bundle');

  running.auditFails = true;
  running.write('tenants/acme/tools/a.ts', hello('unseen'));
  await running.until('refused', () => registry.get('acme')?.problems.some(({ reason }) => reason.includes('audit')) === true);
  t.equal(registry.get('acme')?.toolset?.tools.get('hello')?.description, 'two', 'no record, no change');
  running.auditFails = false;

  running.write('tenants/initech/tools/a.ts', hello('new'));
  running.write('tenants/initech/tenant.json', '{}');
  await running.until('added', () => registry.get('initech')?.toolset !== undefined);
  rmSync(join(running.dir, 'tenants/globex'), { recursive: true });
  await running.until('removed', () => registry.get('globex') === undefined);
  t.strictSame(
    registry.list().map(({ id }) => id),
    ['acme', 'initech'],
  );
});

t.test('a bundle that fails at load, names that collide, schemas that are none', async (t) => {
  const running = new Running(t, {
    'tenants/loads/tenant.json': '{}',
    'tenants/loads/tools/a.ts':
      "type X = 1;\nfunction boom(): never {\n  throw new TypeError('at load');\n}\nboom();\nexport default 1;",
    'tenants/no-default/tenant.json': '{}',
    'tenants/no-default/tools/a.ts': 'export const x = 1;',
    'tenants/twice/tenant.json': '{}',
    'tenants/twice/tools/a.ts': hello('a'),
    'tenants/twice/tools/b.ts': hello('b'),
    'tenants/badname/tenant.json': '{}',
    'tenants/badname/tools/a.ts': toolset(`'has space': defineTool({ description: 'x', handler: () => 'x' })`),
    'tenants/badbinding/tenant.json': '{"connections": {"api": {"type": "none", "origins": ["http://127.0.0.1:1"]}}}',
    'tenants/badbinding/tools/x.binding.json': `{ // comment
      "kind": "rest", "connection": "api",
      "tools": { "t": { "description": "d", "request": {
        "method": "GET",
        "path": "/{nope}" } } } }`,
    'tenants/later/tenant.json': '{}',
    'tenants/later/tools/x.binding.json': '{"kind": "mcp", "connection": "api", "tools": {}}',
    'tenants/empty/tenant.json': '{}',
  });
  const registry = await running.start();
  const problems = (id: string) => registry.get(id)?.problems;
  t.match(problems('loads'), [
    { file: 'tenants/loads/tools/a.ts', line: 3, column: 9, reason: /does not load: TypeError: at load/ },
  ]);
  t.match(problems('no-default'), [{ file: 'tenants/no-default/tools/a.ts', reason: /defineToolset/ }]);
  t.match(problems('twice'), [
    { file: 'tenants/twice/tools/b.ts', reason: 'tool "hello" stands also in tenants/twice/tools/a.ts' },
  ]);
  t.match(problems('badname'), [{ file: 'tenants/badname/tools/a.ts', reason: /name that clients refuse/ }]);
  t.match(problems('badbinding'), [
    { file: 'tenants/badbinding/tools/x.binding.json', line: 5, reason: /"nope", which is no argument/ },
  ]);
  t.match(problems('later'), [{ reason: /must be one of rest, graphql, jsonrpc/ }]);
  for (const id of ['loads', 'no-default', 'twice', 'badname', 'badbinding', 'later'])
    t.equal(registry.get(id)?.toolset, undefined, id);
  t.strictSame(problems('empty'), []);
  t.equal(registry.get('empty')?.toolset?.tools.size, 0);
});

t.test('stacks, and a cache that was tampered with', async (t) => {
  const source = `import { defineTool, defineToolset } from 'leasehold';
interface Gone { a: 1 }

function remember(x: Gone | undefined): never {
  throw new Error('here');
}
export default defineToolset({ tools: { f: defineTool({ description: 'f', handler: () => remember(undefined) }) } });`;
  const running = new Running(t, { 'tenants/acme/tenant.json': '{}', 'tenants/acme/tools/github.ts': source });
  let registry = await running.start();
  const folder = join(running.dir, '.leasehold/bundles/acme');
  const name = readdirSync(folder).find((file) => file.endsWith('.js')) ?? '';
  const script = readFileSync(join(folder, name), 'utf8').split('\n');
  const line = script.findIndex((text) => text.includes('throw new Error')) + 1;
  const column = (script[line - 1]?.indexOf('new Error') ?? 0) + 1;
  const stack = (tenant: string) => `Error: here\n    at remember (${tenant}@${name.slice(0, 8)}.js:${line}:${column})`;
  t.equal(registry.mapStack('acme', stack('acme')), 'Error: here\n    at remember (tools/github.ts:5:9)');
  t.equal(registry.mapStack('acme', stack('globex')), stack('globex'), 'of the tenant asked for only');
  t.equal(registry.mapStack('acme', 'acme@../../../.js:1:1 acme@00000000.js:1:1'), 'acme@../../../.js:1:1 acme@00000000.js:1:1');

  writeFileSync(join(folder, name), 'module.exports = 1;');
  registry = await running.start();
  const pool = registry.get('acme')?.toolset?.code;
  await t.rejects(async () => pool?.describe(), 'a script that is not what its name says is not run');
  writeFileSync(join(folder, 'index.json'), '{"format": 1, "hash": "../../x"}');
  registry = await running.start();
  t.equal(registry.get('acme')?.toolset?.tools.size, 1, 'an index that is none is made anew');
  t.ok(existsSync(join(folder, 'index.json')));
});

t.test('a manifest is untrusted', async (t) => {
  const judge = (text: string | Uint8Array) =>
    checkManifestText(typeof text === 'string' ? Buffer.from(text) : text, 'tenants/acme', ['tools/a.ts']);
  const tool = { name: 'x', description: 'd', inputSchema: { type: 'object' }, file: 'tools/a.ts' };
  const withTool = (more: object) => JSON.stringify({ tools: [{ ...tool, ...more }] });
  t.ok(judge(withTool({})).value);
  for (const bad of [
    '',
    'null',
    '[]',
    '{"tools": 1}',
    withTool({ extra: 1 }),
    withTool({ name: 'a b' }),
    withTool({ file: 'tools/b.ts' }),
    withTool({ description: 1 }),
    new Uint8Array([0xff, 0xfe]),
    new Uint8Array(MANIFEST_BYTES + 1),
  ]) {
    const { value, problems } = judge(bad);
    t.equal(value, undefined);
    t.ok(problems.length > 0);
  }
  let deep: unknown = {};
  for (let i = 0; i < 100; i += 1) deep = { properties: { a: deep } };
  const fault = (inputSchema: object) =>
    mergeTools([{ tool: { ...tool, inputSchema: inputSchema as Record<string, unknown> } }], 'tenants/acme').fatal;
  t.strictSame(fault({ type: 'object', properties: { a: { $ref: '#/$defs/a' } } }), []);
  t.match(fault({ type: 'string' }), [{ reason: /"type": "object"/ }]);
  t.match(fault({ type: 'object', properties: { a: { $ref: 'https://x/y.json' } } }), [{ reason: /outside itself/ }]);
  t.match(fault({ type: 'object', properties: { a: deep } }), [{ reason: /nested deeper/ }]);
  t.match(fault({ type: 'object', enum: Array.from({ length: 30_000 }, () => ({})) }), [{ reason: /more than/ }]);
});

t.test('many tenants are looked at in turn', async (t) => {
  const looked: string[] = [];
  const ids = Array.from({ length: 900 }, (_, i) => `t${i}`);
  const sweep = sweepEstate(
    () => ids,
    (id) => looked.push(id),
  );
  for (const end = Date.now() + 20_000; looked.length < 9 && Date.now() < end; ) await delay(20);
  await sweep.close();
  t.strictSame(looked.slice(0, 9), ids.slice(0, 9), 'a few at a time, in order');
});
