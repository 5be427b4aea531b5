// The walls of the operating system around real host processes: what the kernel says of them, and that none is skipped in silence.
// Needs Linux with util-linux; the user wall needs root and a checkout that other users may read: what is missing is skipped by name.
import '../helpers/bare-children.ts';
import { chmodSync, mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { EgressOrder } from '../../src/boundary/egress.ts';
import type { CallOutcome } from '../../src/boundary/outcome.ts';
import type { HostReport } from '../../src/hosts/cordon.ts';
import { createHosts } from '../../src/hosts/create-hosts.ts';
import { findOsWall, type OsWall, OsWallMissing, thisMachine, type Wall } from '../../src/hosts/os-wall.ts';
import { DEFAULT_LIMITS } from '../../src/shared/limits.ts';
import { leasehold, ownUser } from '../helpers/cli.ts';
import { toolset, writeEstate } from '../helpers/estate.ts';
import { serve } from '../helpers/runtime.ts';

const THREAD = fileURLToPath(new URL('../fixtures/hosts/thread.ts', import.meta.url));
const CAP_BYTES = 1_610_612_736;
const wall = findOsWall('auto', thisMachine(), CAP_BYTES);
/** Why a wall cannot be tested here; false where it can. */
const without = (...names: Wall['name'][]): string | false =>
  wall.walls
    .filter(({ name, missing }) => names.includes(name) && missing !== undefined)
    .map(({ name, missing }) => `${name}: ${missing?.reason}`)
    .join(', ') || false;
const status = (pid: number, field: string) =>
  new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.trim();
const namespace = (pid: number | 'self', kind: string) => readlinkSync(`/proc/${pid}/ns/${kind}`);

/** The cap of the process is to be met, not the quota of the tenant. */
const limits = { ...DEFAULT_LIMITS, offHeapMb: 4096, runMs: 60_000 };

function world(t: { testdir(): string; teardown(fn: () => Promise<void>): void }, osWall: OsWall) {
  const events: HostReport[] = [];
  const hosts = createHosts({
    runDir: join(t.testdir(), 'run'),
    entries: { tools: THREAD, egress: THREAD },
    osWall,
    onHost: (report) => events.push(report),
  });
  t.teardown(() => hosts.close(0));
  const context = {
    subject: 'ada',
    scopes: [],
    requestId: 'R',
    traceparent: '00-0-0-01',
    depth: 0,
    deadline: Date.now() + 60_000,
  };
  const call = (tenant: string, tool: string, args: unknown = {}) =>
    new Promise<{ outcome: CallOutcome; value?: any }>((resolve) => {
      const spec = {
        tenant,
        cordon: tenant,
        bundle: 'b',
        vars: {},
        limits,
        script: async () => Buffer.from('s'),
      };
      hosts.toolsPool(spec).call({ kind: 'tool', name: tool }, { ...context, tenant }, Buffer.from(JSON.stringify(args)), {
        request: () => {},
        notice: () => {},
        end: (outcome, body) =>
          resolve(body instanceof Uint8Array ? { outcome, value: JSON.parse(Buffer.from(body).toString()) } : { outcome }),
      });
    });
  const pid = (cordon: string, kind = 'tools') =>
    events.findLast((report) => report.event === 'started' && report.cordon === cordon && report.kind === kind)?.pid ?? 0;
  return { hosts, call, pid };
}

t.test('what the kernel says of a walled host', { skip: process.platform === 'linux' ? false : 'Linux only' }, async (t) => {
  const { hosts, call, pid } = world(t, wall);
  t.same((await call('acme', 'echo', { a: 1 })).value, { a: 1 });
  t.same((await call('globex', 'echo', { a: 2 })).value, { a: 2 });
  const [acme, globex] = [pid('acme'), pid('globex')];

  await t.test('no privileges', { skip: without('privileges') }, async (t) => {
    t.equal(status(acme, 'NoNewPrivs'), '1');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      if (process.getuid?.() === 0 && set !== 'CapBnd') t.match(status(acme, set), /^0+$/, set);
    if (process.getuid?.() === 0) t.match(status(acme, 'CapBnd'), /^0+$/);
  });
  await t.test('a user of its own, and no signals to others', { skip: without('user') }, async (t) => {
    const [mine, other] = [acme, globex].map((one) => Number(status(one, 'Uid')?.split('\t')[0]));
    t.ok(mine !== undefined && mine >= 61_184 && mine < 65_520, `user ${mine}`);
    t.not(mine, other, 'another for each host');
    t.equal(status(acme, 'Groups') ?? '', '');
    const tried = (await call('acme', 'outside', { supervisor: process.pid, neighbour: globex, self: acme })).value;
    t.same(tried, { supervisor: 'EPERM', neighbour: 'EPERM', self: 'read true' });
  });
  await t.test('no network for tools, but for egress', { skip: without('network') }, async (t) => {
    t.not(namespace(acme, 'net'), namespace('self', 'net'));
    t.not(namespace(acme, 'net'), namespace(globex, 'net'));
    const routes = readFileSync(`/proc/${acme}/net/route`, 'utf8').trim().split('\n');
    t.equal(routes.length, 1, 'nothing but the heading');
    const egress = hosts.egressPool({
      tenant: 'acme',
      cordon: 'acme',
      bundle: 'b',
      limits: DEFAULT_LIMITS,
      tools: () => Buffer.from('{}'),
    });
    const order = {
      work: { kind: 'binding' as const, tool: 'echo' },
      policy: { origins: [], privateOrigins: [], maxResponseBytes: 1000 },
      traceparent: '00-0-0-01',
      timeoutMs: 5000,
    } satisfies EgressOrder;
    const { outcome } = await egress.send(order, Buffer.from('{}'), new AbortController().signal);
    t.equal(outcome.status, 'ok');
    t.equal(namespace(pid('acme', 'egress'), 'net'), namespace('self', 'net'));
  });
  await t.test('memory ends at the cap, and only in that host', { skip: without('memory') }, async (t) => {
    t.match(readFileSync(`/proc/${acme}/limits`, 'utf8'), /Max core file size +0 +0/);
    const { outcome, value } = await call('acme', 'hoard_memory');
    // A refused allocation is an error in the thread, or the end of the host: V8 decides. What it had got stays below the cap.
    if (outcome.status === 'ok') {
      t.ok(value.mb > 100 && value.mb * 1_048_576 < CAP_BYTES, `${value.mb} MB, then ${value.refused}`);
    } else t.match(outcome, { status: 'error', failure: { code: 'worker_lost' } });
    t.same((await call('globex', 'echo', { alive: 1 })).value, { alive: 1 });
  });
});

t.test('a wall that is missing is told, or keeps the server from starting', async (t) => {
  const poor = {
    ...thisMachine(),
    platform: 'linux' as const,
    find: (name: string) => (name === 'unshare' ? undefined : `/usr/bin/${name}`),
  };
  const auto = findOsWall('auto', poor);
  t.match(auto.walls.find(({ name }) => name === 'network')?.missing, {
    reason: 'there is no unshare',
    todo: 'install util-linux',
  });
  t.notOk(auto.command({ network: false }).includes('--net'));
  t.throws(() => findOsWall('required', poor), OsWallMissing);
  t.throws(() => findOsWall('required', poor), {
    message: /network: there is no unshare; install util-linux/,
    code: 'os_wall_missing',
  });
  const refused = {
    ...thisMachine(),
    platform: 'linux' as const,
    find: (name: string) => `/usr/bin/${name}`,
    works: () => false,
  };
  t.equal(findOsWall('auto', refused).walls.filter(({ missing }) => missing === undefined).length, 0);
  t.same(findOsWall('auto', refused).command({ network: false }), []);
  const mac = { ...thisMachine(), platform: 'darwin' as const };
  t.throws(() => findOsWall('required', mac), { message: /darwin has none/ });
  t.match(findOsWall('auto', { ...thisMachine(), platform: 'linux', isRoot: false }).walls[1]?.missing, {
    reason: 'the server is not root',
  });
  t.same(findOsWall('off').command({ network: false }), []);

  // A wall that stood at the start and cannot be put up later leaves no host without it.
  const { call } = world(t, { mode: 'auto', walls: [], command: () => ['/bin/false'] });
  const { outcome } = await call('acme', 'echo');
  t.match(outcome, { status: 'error', failure: { code: 'worker_lost' } });
});

t.test('a whole server behind all of them', { skip: without('privileges', 'user', 'network', 'memory') }, async (t) => {
  const tools = toolset(`
    ok: defineTool({ description: 'ok', handler: () => 'ok' }),
    spin: defineTool({ description: 'spins', timeoutMs: 500, handler: () => { for (;;); } }),
  `);
  const served = await serve(t, { server: { osWall: 'required' }, tenants: { acme: { tools: { 'o.ts': tools } } } });
  t.equal((await served.call('acme', 'ok')).text, 'ok');
  t.equal((await served.call('acme', 'spin')).error?.code, 'deadline_exceeded');
  t.equal((await served.retry('acme', 'ok')).text, 'ok');
});

t.test('leasehold doctor', async (t) => {
  const env = ownUser(t);
  const doctor = async (estate: string, ...more: string[]) => leasehold(['doctor', estate, ...more], { env });
  const tools = { 'o.ts': toolset("ok: defineTool({ description: 'ok', handler: () => 'ok' })") };
  const fine = writeEstate(t, {
    server: { osWall: 'auto' },
    tenants: { acme: { tenant: { cordon: 'own', isolation: 'call' }, tools } },
  });
  const shown = await doctor(fine);
  t.equal(shown.code, 0, shown.stdout);
  t.match(shown.stdout, /✓ node +v\d+/);
  t.match(shown.stdout, /[✓!] permissions /);
  const { ok, checks } = JSON.parse((await doctor(fine, '--json')).stdout) as { ok: boolean; checks: Check[] };
  t.equal(ok, true);
  const check = (name: string, all = checks) => all.find((one) => one.name === name);
  t.match(check('tenant acme'), { status: 'ok', detail: /cordon own, isolation call/ });
  for (const { name, missing } of wall.walls) t.equal(check(`os wall: ${name}`)?.status, missing === undefined ? 'ok' : 'warn');
  for (const one of checks)
    if (one.status === 'warn' || one.status === 'fail') t.type(one.todo, 'string', `${one.name} says what to do`);

  const off = writeEstate(t, { tenants: { acme: { tools } } });
  const without = JSON.parse((await doctor(off, '--json')).stdout) as { checks: Check[] };
  t.match(check('os wall', without.checks), { status: 'off', todo: /"osWall"/ });

  const open = writeEstate(t, { tenants: { acme: { tools } } });
  mkdirSync(join(open, '.leasehold'), { mode: 0o755 });
  chmodSync(join(open, '.leasehold'), 0o755);
  const leaky = await doctor(open);
  t.equal(leaky.code, 1);
  t.match(leaky.stdout, /✗ data folder .*755.*\n.*chmod 700/);

  const broken = writeEstate(t, { server: { osWal: 'auto' }, tenants: {} });
  const refused = await doctor(broken);
  t.equal(refused.code, 1);
  t.match(refused.stdout, /✗ configuration .*osWal/);
  t.equal((await doctor(join(open, 'nowhere'))).code, 1);
});
interface Check {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly todo?: string;
}
