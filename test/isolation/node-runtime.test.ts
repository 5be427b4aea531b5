// `runtime: "node"`: what trusted code gets in a host of its own, and what it still does not get. Real hosts, a real native package.
import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { toolset, writeEstate, writeTenant } from '../helpers/estate.ts';
import { serve, serveFolder } from '../helpers/runtime.ts';

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
const TRUSTED = { cordon: 'own', runtime: 'node' };

const NODE_TOOLS = `import { defineTool, defineToolset, getContext, Type } from 'leasehold';
  import { readFileSync, writeFileSync, openSync } from 'node:fs';
  import { connect } from 'node:net';
  import os from 'os';
  import { createHash } from 'node:crypto';
  import { spawnSync } from 'node:child_process';
  import { Worker } from 'node:worker_threads';
  import { readFile as shared } from '../../../shared/read.ts';
  const attempt = (what: () => unknown): string => {
    try { what(); return 'done'; } catch (error: any) { return error.code ?? String(error); }
  };
  const Path = Type.Object({ path: Type.String() });
  const read = defineTool({ description: 'reads', inputSchema: Path, handler: ({ path }) => attempt(() => readFileSync(path)) });
  const other = defineTool({ description: 'reads through shared code', inputSchema: Path, handler: ({ path }) => attempt(() => shared(path)) });
  const own = defineTool({ description: 'what it has', handler: (_a, ctx) => {
    console.log('from node', os.platform());
    return JSON.stringify({ env: Object.keys(process.env), hash: createHash('sha256').update('x').digest('hex').slice(0, 8), tenant: getContext().tenant, same: ctx.tenant });
  } });
  const denied = defineTool({ description: 'what it has not', inputSchema: Path, handler: ({ path }) => JSON.stringify({
    write: attempt(() => writeFileSync(path + '/written', 'x')),
    spawn: attempt(() => { const { error } = spawnSync('true'); if (error) throw error; }),
    worker: attempt(() => new Worker('0', { eval: true })),
    memory: attempt(() => openSync('/proc/self/mem', 'r')),
  }) });
  const tcp = defineTool({ description: 'speaks TCP', inputSchema: Type.Object({ port: Type.Integer() }), handler: ({ port }) => new Promise<string>((resolve, reject) => {
    connect(port, '127.0.0.1').on('error', reject).on('data', (data) => resolve(String(data)));
  }) });
  const later = defineTool({ description: 'imports when it runs', handler: async () => { const { gzipSync } = await import('node:zlib'); return String(gzipSync('x').length > 0); } });
  const nested = defineTool({ description: 'calls', handler: async (_a, ctx) => (await ctx.call('later', {})) as string });
  const spin = defineTool({ description: 'spins', timeoutMs: 500, handler: () => { for (;;); } });
  export default defineToolset({ tools: { read, other, own, denied, tcp, later, nested, spin } });
`;

t.test('trusted code has the rights of its host, and none beyond', async (t) => {
  const estate = writeEstate(t, {
    tenants: {
      acme: { tenant: TRUSTED, tools: { 'n.ts': NODE_TOOLS } },
      globex: { tools: { 'o.ts': toolset("ok: defineTool({ description: 'ok', handler: () => typeof process.getuid })") } },
    },
  });
  writeTenant(estate, '../shared', {});
  writeFileSync(join(estate, 'shared', 'read.ts'), "export { readFileSync as readFile } from 'node:fs';");
  const served = await serveFolder(t, estate);
  const text = async (tool: string, args = {}) => (await served.call('acme', tool, args)).text;
  t.same(served.runtime.registry.get('acme')?.problems, []);

  t.same(JSON.parse(await text('own')), { env: [], hash: '2d711642', tenant: 'acme', same: 'acme' });
  t.equal(await text('read', { path: join(estate, 'tenants/acme/tenant.json') }), 'done', 'its own folder');
  t.equal(await text('other', { path: join(estate, 'tenants/acme/tenant.json') }), 'done');
  for (const path of ['tenants/globex/tenant.json', 'leasehold.json', '.leasehold/vault.db', '.leasehold/master.key'])
    t.equal(await text('read', { path: join(estate, path) }), 'ERR_ACCESS_DENIED', path);
  t.equal(await text('read', { path: '/etc/hostname' }), 'ERR_ACCESS_DENIED');
  const denied = JSON.parse(await text('denied', { path: join(estate, 'tenants/acme') })) as Record<string, string>;
  for (const [what, said] of Object.entries(denied)) t.equal(said, 'ERR_ACCESS_DENIED', what);
  t.equal(await text('later'), 'true');
  t.equal(await text('nested'), 'true');
  const server = createServer((socket) => socket.end('hello over TCP'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  t.equal(await text('tcp', { port: (server.address() as { port: number }).port }), 'hello over TCP');
  t.equal((await served.call('acme', 'spin')).error?.code, 'deadline_exceeded', 'a loop ends as everywhere');
  t.equal((await served.retry('acme', 'later')).text, 'true');
  t.equal((await served.call('globex', 'ok')).text, 'undefined', 'and everybody else has the sandbox');
  const hosts = served.logs.filter((line) => line.includes('"host started"')).map((line) => JSON.parse(line).host.cordon);
  t.ok(hosts.includes('node:acme') && hosts.includes('shared'), 'in another process');

  await t.test('without the word, it is not served any more, not even by what ran before', async (t) => {
    const changed = new Promise((resolve) => served.runtime.registry.onChange(resolve));
    writeTenant(estate, 'acme', { tenant: { cordon: 'own' }, tools: { 'n.ts': NODE_TOOLS } });
    await changed;
    const { toolset: kept, problems } = served.runtime.registry.get('acme') ?? {};
    t.equal(kept, undefined);
    t.match(problems, [{ reason: /is a Node built-in that tools do not have/ }]);
    t.equal((await served.call('acme', 'own')).status, 400);
  });
});

const napi = existsSync(join(modules, '@napi-rs')) ? readdirSync(join(modules, '@napi-rs')) : [];
t.test('a native package', { skip: napi.length > 1 ? false : 'no native package is installed here' }, async (t) => {
  const tools = `import { defineTool, defineToolset } from 'leasehold';
    import nice from '@napi-rs/nice';
    const native = defineTool({ description: 'calls native code', handler: () => String(typeof nice.nice) });
    export default defineToolset({ tools: { native } });`;
  const estate = writeEstate(t, { tenants: { acme: { tenant: TRUSTED, tools: { 'n.ts': tools } } } });
  cpSync(join(modules, '@napi-rs'), join(estate, 'node_modules', '@napi-rs'), { recursive: true });
  const served = await serveFolder(t, estate);
  t.same(served.runtime.registry.get('acme')?.problems, []);
  t.equal((await served.call('acme', 'native')).text, 'function');
});

t.test('only in a cordon of its own', async (t) => {
  const tools = { 'n.ts': toolset("ok: defineTool({ description: 'ok', handler: () => 'ok' })") };
  const served = await serve(t, {
    tenants: { acme: { tenant: { runtime: 'node' }, tools }, globex: { tenant: { runtime: 'node', cordon: 'shared' }, tools } },
  });
  for (const id of ['acme', 'globex']) t.equal(served.runtime.registry.get(id), undefined);
  t.ok(served.logs.some((line) => line.includes('add \\"cordon\\": \\"own\\"')));
});
