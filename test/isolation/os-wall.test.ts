// The walls of the operating system around real host processes: what the kernel says of them, and that none is skipped in silence.
// Needs Linux with util-linux; the user wall needs root and a checkout that other users may read: what is missing is skipped by name.
import '../helpers/bare-children.ts';
import { chmodSync, existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { EgressOrder } from '../../src/boundary/egress.ts';
import type { CallOutcome } from '../../src/boundary/outcome.ts';
import type { HostReport } from '../../src/hosts/cordon.ts';
import { createHosts } from '../../src/hosts/create-hosts.ts';
import { scopeCommand } from '../../src/hosts/cgroup-wall.ts';
import { type HostRoom, hasRoom, roomFor, SHARED_ROOM } from '../../src/hosts/host-room.ts';
import { type Machine, thisMachine } from '../../src/hosts/machine.ts';
import { findOsWall, type OsWall, OsWallMissing, type Wall } from '../../src/hosts/os-wall.ts';
import { DEFAULT_LIMITS } from '../../src/shared/limits.ts';
import { cli, leasehold, ownUser, program, servingWithin, until } from '../helpers/cli.ts';
import { toolset, writeEstate, writeTenant } from '../helpers/estate.ts';
import { rpc } from '../helpers/mcp-wire.ts';
import { serve } from '../helpers/runtime.ts';
import { cgroupOf, systemdWorld } from '../helpers/systemd-world.ts';

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
const MIB = 1_048_576;
const TOOLS = { network: false, room: SHARED_ROOM };
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
      t.ok(value.mb > 100 && value.mb * MIB < CAP_BYTES, `${value.mb} MB, then ${value.refused}`);
    } else t.match(outcome, { status: 'error', failure: { code: /^(worker_lost|heap_limit)$/ } });
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
  t.notOk(auto.command(TOOLS).includes('--net'));
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
  t.same(findOsWall('auto', refused).command(TOOLS), []);
  const mac = { ...thisMachine(), platform: 'darwin' as const };
  t.throws(() => findOsWall('required', mac), { message: /darwin has none/ });
  t.match(findOsWall('auto', { ...thisMachine(), platform: 'linux', isRoot: false }).walls[1]?.missing, {
    reason: 'the server is not root',
  });
  t.same(findOsWall('off').command(TOOLS), []);

  // A wall that stood at the start and cannot be put up later leaves no host without it.
  const { call } = world(t, { mode: 'auto', walls: [], command: () => ['/bin/false'] });
  const { outcome } = await call('acme', 'echo');
  t.match(outcome, { status: 'error', failure: { code: 'worker_lost' } });
});

t.test('a service manager that does not do it is told, or keeps the server from starting', async (t) => {
  const program = join(t.testdir(), 'systemd-run');
  const machine = { ...thisMachine(process.execPath, 500), platform: 'linux' as const, isRoot: true };
  const STUBBORN = "trap '' TERM\nwhile :; do sleep 1; done";
  // `exec` of what stands behind the `--`, without any limit.
  const CARELESS = 'while [ "$1" != -- ]; do shift; done\nshift\nexec "$@"';
  for (const [what, text, reason, systemd = true] of [
    ['is refused', 'echo refused >&2; exit 1', /refused/],
    ['hangs', STUBBORN, /does not answer/],
    ['sets no limits', CARELESS, /no limits on memory and tasks/],
    ['is missing', undefined, /there is no systemd-run/],
    ['does not run', 'exit 0', /systemd does not run this machine/, false],
  ] as const) {
    if (text !== undefined) writeFileSync(program, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const its: Machine = {
      ...machine,
      systemd,
      find: (name) => (name !== 'systemd-run' ? machine.find(name) : text === undefined ? undefined : program),
    };
    const auto = findOsWall('auto', its);
    const found = auto.walls.find(({ name }) => name === 'cgroup')?.missing;
    t.match(found?.reason, reason, what);
    t.type(found?.todo, 'string');
    t.notOk(
      auto.command(TOOLS).some((word) => word.includes('systemd-run')),
      `${what}: hosts start without`,
    );
    t.throws(() => findOsWall('required', its), { code: 'os_wall_missing', message: new RegExp(`cgroup: ${found?.reason}`) });
  }
});

t.test('what systemd is asked for', async (t) => {
  const room = { memoryBytes: 1_000_000_000, tasks: 99, cpuWeight: 300 };
  const machine = { ...thisMachine(), find: (name: string) => `/usr/bin/${name}`, userRuntimeDir: '/run/user/7' };
  const SCOPE = [
    '/usr/bin/systemd-run --scope --quiet --collect --slice=leasehold.slice --unit=leasehold-host-ID',
    '--property=MemoryMax=1000000000 --property=MemorySwapMax=0 --property=TasksMax=99 --property=CPUWeight=300',
    '-- /usr/bin/env -i',
  ].join(' ');
  const asked = (isRoot: boolean) =>
    scopeCommand({ ...machine, isRoot }, room)
      .join(' ')
      .replace(/leasehold-host-[\da-f]{16}/, 'leasehold-host-ID');
  t.equal(asked(true), SCOPE);
  const user = SCOPE.replace('--scope', '--user --scope');
  t.equal(asked(false), `/usr/bin/env XDG_RUNTIME_DIR=/run/user/7 ${user}`, 'its own manager, found without an environment');

  const limits = { threads: 2, heapMb: 64, offHeapMb: 64, resultBytes: 1, logLinesPerCall: 1, progressPerCall: 1 };
  const small = roomFor(limits, 3);
  t.equal(small.cpuWeight, 300);
  t.ok(small.memoryBytes > 6 * (64 * 8 + 64) * MIB, 'above what V8 itself allows');
  t.ok(hasRoom(SHARED_ROOM, roomFor({ ...limits, threads: 16, heapMb: 4096 }, 1)), 'never more than all hosts may');
  t.notOk(hasRoom(small, roomFor({ ...limits, threads: 3 }, 3)));
  t.equal(roomFor(limits, 100).cpuWeight, 10_000);
});

t.test('hosts in cgroups, under a real systemd', { timeout: 120_000 }, async (t) => {
  const tools = {
    'o.ts': toolset(`
      ok: defineTool({ description: 'ok', handler: () => 'ok' }),
      grow: defineTool({ description: 'keeps 200 MiB', handler: () => String(Buffer.alloc(200 * 2 ** 20, 1).length) }),
    `),
  };
  const own = (heapMb: number) => ({ cordon: 'own', limits: { heapMb, offHeapMb: 256 } });
  const estate = writeEstate(t, {
    server: { listen: '127.0.0.1:0', osWall: without('privileges', 'user', 'network', 'memory') === false ? 'required' : 'auto' },
    tenants: { acme: { tenant: own(24), tools }, globex: { tools } },
  });
  const world = await systemdWorld(t, estate);
  if ('missing' in world) return void t.pass(`skipped, no systemd can be had: ${world.missing}`, { skip: world.missing });
  const home = join(estate, '.home');
  const env = { HOME: home, XDG_DATA_HOME: home, XDG_STATE_HOME: home };
  const [file, ...before] = world.within;
  const told = await program(file, [...before, process.execPath, cli, 'doctor', estate, '--json'], { env });
  const { checks } = JSON.parse(told.stdout) as { checks: Check[] };
  t.match(
    checks.find(({ name }) => name === 'os wall: cgroup'),
    { status: 'ok', detail: /a cgroup for every host/ },
  );

  const tokens = new Map<string, string>();
  for (const tenant of ['acme', 'globex']) {
    const made = await leasehold(['token', 'create', tenant, '--subject', 'ada', '--estate', estate], { env });
    tokens.set(tenant, made.stdout.trim());
  }
  const { child, ready } = await servingWithin(t, world.within, ['start', estate, '--port', '0'], env);
  const call = async (tenant: string, name: string) => {
    const url = `${ready.url}/t/${tenant}/mcp`;
    const { json } = await rpc(url, tokens.get(tenant) as string, 'tools/call', { name, arguments: {} });
    const result: any = json?.result;
    return result?._meta?.['leasehold/error']?.code ?? result?.content?.[0]?.text;
  };
  const hosts = () => descendants(child.pid as number).filter((pid) => commandOf(pid).includes('"kind":"tools"'));
  /** Hosts that may use so much. */
  const having = (room: HostRoom) => hosts().filter((pid) => cgroupOf(pid).memoryBytes === room.memoryBytes);
  t.equal(await call('globex', 'ok'), 'ok');
  const [shared = 0] = having(SHARED_ROOM);
  t.match(cgroupOf(shared), { unit: /^leasehold\.slice\/leasehold-host-[\da-f]+\.scope$/, tasks: SHARED_ROOM.tasks });
  t.equal(readFileSync(`/proc/${shared}/environ`, 'utf8'), '', 'nothing of systemd comes with it');
  t.equal(await call('acme', 'ok'), 'ok');
  const room = (heapMb: number) => roomFor({ ...DEFAULT_LIMITS, heapMb, offHeapMb: 256 }, 1);
  const [alone = 0] = having(room(24));
  t.match(cgroupOf(alone), { tasks: room(24).tasks }, 'what the limits of its tenant allow');

  // Less than its tenant may use, more than its cgroup now: the kernel ends the host, a death like any other.
  const { unit, usedBytes } = cgroupOf(alone);
  const set = ['set-property', '--runtime', unit.split('/').at(-1) as string, `MemoryMax=${usedBytes + 48 * MIB}`];
  const manager = process.getuid?.() === 0 ? [] : ['--user'];
  t.match(await program(file, [...before, 'systemctl', ...manager, ...set], { env }), { code: 0 });
  t.equal(await call('acme', 'grow'), 'worker_lost');
  t.notOk(existsSync(`/proc/${alone}`), 'killed');
  await until(async () => (await call('acme', 'ok')) === 'ok');
  t.equal(await call('globex', 'ok'), 'ok');
  t.strictSame(having(SHARED_ROOM), [shared], 'a neighbour has noticed nothing');

  const [second = 0] = having(room(24));
  t.not(second, alone);
  writeTenant(estate, 'acme', { tenant: own(48) });
  await until(async () => (await call('acme', 'ok')) === 'ok' && having(room(48)).length === 1);
  await until(async () => !existsSync(`/proc/${second}`));
});

function descendants(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

t.test('a whole server behind all that stand', { skip: without('privileges', 'user', 'network', 'memory') }, async (t) => {
  const tools = toolset(`
    ok: defineTool({ description: 'ok', handler: () => 'ok' }),
    spin: defineTool({ description: 'spins', timeoutMs: 500, handler: () => { for (;;); } }),
  `);
  const served = await serve(t, { server: { osWall: 'auto' }, tenants: { acme: { tools: { 'o.ts': tools } } } });
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
