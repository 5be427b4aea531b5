// Faults that no thread contains, through the whole path: sandboxed tools, real hosts, real servers that are signalled and killed.
// Not responsible for the machinery of hosts alone (`isolation/hosts`).
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { leasehold, ownUser, serving, until } from '../helpers/cli.ts';
import { toolset, writeEstate } from '../helpers/estate.ts';
import { killHosts, serve } from '../helpers/runtime.ts';

/** Native code that no termination interrupts, out of what a tool may use: it sorts for several seconds, what was prepared before. */
const STUCK = `prepare: defineTool({ description: 'fills', handler() {
    const all = new Uint32Array(80_000_000);
    for (let i = 0, x = 1; i < all.length; i += 1) all[i] = x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0;
    (globalThis as any).all = all;
    return 'ok';
  } }),
  stuck: defineTool({ description: 'sorts', timeoutMs: 1500, handler(_a, ctx) {
    ctx.log.info('sorting');
    (globalThis as any).all.sort();
    return 'sorted';
  } })`;
/** It must be the sort that ends it, not a quota. */
const ROOM = { limits: { offHeapMb: 1024, runMs: 60_000 } };
const OK = "ok: defineTool({ description: 'ok', handler: () => 'ok' })";
const WAIT =
  "wait: defineTool({ description: 'waits', handler: (_a, ctx) => new Promise((r) => setTimeout(() => r('waited'), 2500)) })";

t.test('the ladder: cancelled, terminated, fenced; neighbours are served, the tenant at fault apart', async (t) => {
  const spin = "spin: defineTool({ description: 'spins', timeoutMs: 1500, handler: () => { for (;;); } })";
  const polite = `polite: defineTool({ description: 'listens', timeoutMs: 1500, handler: (_a, ctx) => new Promise((_r, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('gave up')))) })`;
  const served = await serve(t, {
    tenants: {
      acme: { tenant: ROOM, tools: { 'a.ts': toolset([STUCK, OK, spin, polite].join(',')) } },
      globex: { tools: { 'g.ts': toolset([OK, WAIT].join(',')) } },
    },
  });
  t.equal((await served.call('acme', 'ok')).text, 'ok');
  t.equal((await served.call('globex', 'ok')).text, 'ok');
  const ready = async () => (await (await fetch(`${served.runtime.url}/readyz`)).json()) as { tenantsApart: number };

  await t.test('a call that listens is cancelled; its thread lives', async (t) => {
    t.equal((await served.call('acme', 'polite')).error?.code, 'deadline_exceeded');
    t.equal((await served.call('acme', 'ok')).text, 'ok');
  });
  await t.test('an endless loop costs its thread', async (t) => {
    const beside = served.call('globex', 'wait');
    t.equal((await served.call('acme', 'spin')).error?.code, 'deadline_exceeded');
    t.equal((await served.retry('acme', 'ok')).text, 'ok');
    t.equal((await beside).text, 'waited', 'and nobody else anything');
    t.equal((await ready()).tenantsApart, 0);
  });
  await t.test('what cannot be terminated costs its host, after the others are served', async (t) => {
    t.equal((await served.call('acme', 'prepare')).text, 'ok');
    const sorting = new Promise<void>((resolve) =>
      served.runtime.authorLog.listen(({ message }) => message === 'sorting' && resolve()),
    );
    const stuck = served.call('acme', 'stuck');
    await sorting;
    const beside = served.call('globex', 'wait');
    t.equal((await stuck).error?.code, 'deadline_exceeded');
    t.equal((await beside).text, 'waited');
    t.equal((await served.retry('acme', 'ok')).text, 'ok');
    t.equal((await served.retry('globex', 'ok')).text, 'ok');
    t.ok(served.logs.some((line) => line.includes('host fenced')));
  });
  await t.test('its state can be seen: readiness, log, audit', async (t) => {
    t.equal((await ready()).tenantsApart, 1);
    const record = (await served.audit('acme')).find(({ kind }) => kind === 'tenant.separated');
    t.match(record, { tenant: 'acme', deaths: 1, until: /^\d{4}-\d\d-\d\dT/ });
    const line = served.logs.find((text) => text.includes('by hosts of its own'));
    t.match(JSON.parse(line ?? '{}'), { separation: { tenant: 'acme', kind: 'tools' } });
  });
  await t.test('a host that is killed: who had work in it gets a retryable error and hosts of its own', async (t) => {
    const lost = served.call('globex', 'wait');
    await delay(200);
    killHosts('tools');
    t.match((await lost).error, { code: 'worker_lost', nextAction: { do: 'retry' } });
    t.equal((await served.retry('globex', 'ok')).text, 'ok');
    t.equal((await ready()).tenantsApart, 2);
  });
});

/** Host processes of the server of this estate: each works in a folder below `run`. */
function hostsOf(estate: string): number[] {
  const run = join(realpathSync(estate), '.leasehold', 'run');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(run);
      } catch {
        // Gone, or a zombie.
        return false;
      }
    });
}
/** How often a tool has begun to sort. */
function sorts(estate: string): number {
  const file = join(estate, '.leasehold', 'logs', 'acme.jsonl');
  return existsSync(file) ? readFileSync(file, 'utf8').split('sorting').length - 1 : 0;
}
const leftIn = (estate: string, part: string) => readdirSync(join(estate, '.leasehold', part)).toSorted();

t.test('SIGTERM ends the server within its bound, with a thread that nothing ends', async (t) => {
  const env = ownUser(t);
  const estate = writeEstate(t, {
    server: { drainMs: 500 },
    tenants: { acme: { tenant: ROOM, tools: { 'a.ts': toolset([STUCK, OK].join(',')) } } },
  });
  const server = await serving(t, ['start', estate, '--port', '0'], env);
  const call = (tool: string) => leasehold(['call', 'acme', tool, '--estate', estate], { env });
  t.equal((await call('prepare')).stdout, 'ok\n');
  const stuck = call('stuck');
  await until(async () => sorts(estate) === 1);
  const begun = performance.now();
  server.child.kill('SIGTERM');
  t.equal(await server.exit, 0);
  // The drain, the last answers, the time that a thread and a host get; the sort itself takes longer on any machine.
  t.ok(performance.now() - begun < 10_000, `${Math.round(performance.now() - begun)} ms`);
  t.match((await stuck).stderr, /draining/, 'its caller is told');
  t.same(hostsOf(estate), []);
  t.same(
    leftIn(estate, 'run').filter((name) => name !== 'bundler'),
    [],
  );
});

t.test('kill -9 of the server: no host is left, no file is half written, the next start goes on', async (t) => {
  const env = ownUser(t);
  const count =
    "count: defineTool({ description: 'counts', async handler(_a, ctx) { const n = ((await ctx.store.tenant.get<number>('n')) ?? 0) + 1; await ctx.store.tenant.set('n', n); return String(n); } })";
  const estate = writeEstate(t, {
    tenants: { acme: { tenant: ROOM, tools: { 'a.ts': toolset([STUCK, OK, count].join(',')) } } },
  });
  const call = (tool: string) => leasehold(['call', 'acme', tool, '--estate', estate], { env });
  let counted = 0;
  for (let round = 1; round <= 3; round += 1) {
    const server = await serving(t, ['start', estate, '--port', '0'], env);
    t.equal((await call('prepare')).stdout, 'ok\n', 'it serves');
    const before = Number((await call('count')).stdout);
    t.ok(before > counted, `what was answered is kept: ${before} after ${counted}`);
    counted = before;
    // Calls that write and calls that cannot be ended are under way when it dies.
    const writing = Array.from({ length: 4 }, () => call('count'));
    const stuck = call('stuck');
    await until(async () => sorts(estate) === round);
    const hosts = hostsOf(estate);
    t.ok(hosts.length > 0);
    server.child.kill('SIGKILL');
    await server.exit;
    await until(async () => hostsOf(estate).length === 0);
    await Promise.all([...writing, stuck]);
    t.ok(leftIn(estate, 'run').length > 1, 'folders of hosts are left over');
  }
  const server = await serving(t, ['start', estate, '--port', '0'], env);
  t.ok(Number((await call('count')).stdout) > counted, 'store and vault are whole');
  const verified = await leasehold(['audit', 'verify', '--estate', estate], { env });
  t.equal(verified.code, 0, verified.stderr + verified.stdout);
  const hosts = hostsOf(estate).length;
  t.equal(
    leftIn(estate, 'run').filter((name) => /^(?:tools|egress)-/.test(name)).length,
    hosts,
    'what the dead ones left is swept',
  );
  t.same(
    leftIn(estate, join('bundles', 'acme')).filter((name) => name.endsWith('.part')),
    [],
  );
  server.child.kill('SIGTERM');
  t.equal(await server.exit, 0);
});
