// Real host processes with real threads: whatever dies in them, every call ends once, with its own result or a coded failure.
// The threads run a fixture without a sandbox, so that each fault is one line; the sandbox has tests of its own.
import '../helpers/bare-children.ts';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { BODY_WINDOW_BYTES, POOL_WINDOW_BYTES } from '../../src/boundary/body-sender.ts';
import type { EgressOrder } from '../../src/boundary/egress.ts';
import type { Notice } from '../../src/boundary/host-request.ts';
import type { CallOutcome } from '../../src/boundary/outcome.ts';
import type { HostReport } from '../../src/hosts/cordon.ts';
import { createHosts, type HostsOptions } from '../../src/hosts/create-hosts.ts';
import { FatalReport } from '../../src/hosts/fatal-report.ts';
import { BodyLost, PoolBroken } from '../../src/hosts/pool-errors.ts';
import type {
  ActiveCall,
  Body,
  BodyStream,
  CallSink,
  Hosts,
  PoolReport,
  SeparationReport,
  ToolsPool,
} from '../../src/hosts/pool.ts';
import { readApart } from '../../src/hosts/run-dir.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/shared/limits.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/hosts/${name}`, import.meta.url));
const THREAD = fixture('thread.ts');
const bytes = (text: string) => new TextEncoder().encode(text);
const context = {
  tenant: 'acme',
  subject: 'ada',
  scopes: [],
  requestId: '01J',
  traceparent: '00-0-0-01',
  depth: 0,
  deadline: Date.now() + 60_000,
};

interface World {
  hosts: Hosts;
  pools: PoolReport[];
  events: HostReport[];
  moves: SeparationReport[];
  runDir: string;
  pid: () => number;
  tools: (tenant?: string, limits?: Partial<Limits>, more?: { script?: string; cordon?: string }) => ToolsPool;
}
type Test = { testdir(): string; teardown(fn: () => Promise<unknown>): void };

function world(t: Test, options: Partial<HostsOptions> = {}): World {
  const pools: PoolReport[] = [];
  const events: HostReport[] = [];
  const moves: SeparationReport[] = [];
  const runDir = join(t.testdir(), 'run');
  const hosts = createHosts({
    runDir,
    entries: { tools: THREAD, egress: THREAD },
    onPool: (report) => pools.push(report),
    onHost: (report) => events.push(report),
    onSeparation: (report) => moves.push(report),
    ...options,
  });
  t.teardown(() => hosts.close(0));
  return {
    hosts,
    pools,
    events,
    moves,
    runDir,
    pid: () => events.findLast(({ event }) => event === 'started')?.pid ?? 0,
    tools: (tenant = 'acme', limits = {}, { script = 'script', cordon = 'shared' } = {}) =>
      hosts.toolsPool({
        tenant,
        cordon,
        bundle: `bundle-${tenant}`,
        vars: {},
        limits: { ...DEFAULT_LIMITS, ...limits },
        script: async () => bytes(script),
      }),
  };
}

interface Ended {
  outcome: CallOutcome;
  body: Body | undefined;
  ends: () => number;
}
interface Begun {
  active: ActiveCall;
  end: Promise<Ended>;
  notices: Notice[];
}
function begin(pool: ToolsPool, tool: string, args: unknown = {}, request?: CallSink['request'], of: object = {}): Begun {
  const notices: Notice[] = [];
  let ends = 0;
  let active!: ActiveCall;
  const end = new Promise<Ended>((resolve) => {
    const sink: CallSink = {
      request: request ?? (() => {}),
      notice: (notice) => notices.push(notice),
      end(outcome, body) {
        ends += 1;
        resolve({ outcome, body, ends: () => ends });
      },
    };
    active = pool.call({ kind: 'tool', name: tool }, { ...context, ...of }, bytes(JSON.stringify(args)), sink);
  });
  return { active, end, notices };
}
async function json(pool: ToolsPool, tool: string, args: unknown = {}): Promise<Record<string, unknown>> {
  const { outcome, body } = await begin(pool, tool, args).end;
  if (outcome.status !== 'ok' || !(body instanceof Uint8Array)) return { outcome };
  return JSON.parse(Buffer.from(body).toString());
}
async function read(body: Body | undefined): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const parts: Uint8Array[] = [];
  if (body !== undefined) for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}
const code = ({ outcome }: { outcome: CallOutcome }) => (outcome.status === 'error' ? outcome.failure.code : outcome.status);
async function until(what: () => boolean, name = 'what was waited for'): Promise<void> {
  for (let i = 0; i < 1000 && !what(); i += 1) await delay(10);
  if (!what()) throw new Error(`${name} did not come to be`);
}
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

t.test('a call there and back', async (t) => {
  const { tools, hosts, pools } = world(t);
  const pool = tools();
  t.equal(pool.awake, false, 'nothing starts before the first call');
  const first = begin(pool, 'echo', { a: 'ä' });
  t.equal(pool.running, 1);
  const { outcome, body } = await first.end;
  t.same(outcome, { status: 'ok' });
  t.equal((await read(body)).toString(), '{"a":"ä"}');
  t.equal(pool.running, 0);
  t.same(await json(pool, 'who'), { tenant: 'acme', script: 'script', threadId: 1, heapMb: 64 });
  t.same(JSON.parse((await read(await pool.describe())).toString()), { tools: [], script: 'script' });
  t.match(pools, [{ event: 'opened', tenant: 'acme', bundle: 'bundle-acme', readyMs: Number }]);

  await t.test('notices come before the end', async (t) => {
    const call = begin(pool, 'notices', { count: 500 });
    await call.end;
    t.equal(call.notices.length, 500);
    t.same(call.notices[499], { kind: 'progress', progress: 499 });
  });

  await t.test('requests and replies, short and long', async (t) => {
    const asked: Buffer[] = [];
    const call: Begun = begin(pool, 'ask', { text: 'ping' }, (request, ask, body) => {
      t.same(ask, { op: 'call', tool: 'x' });
      asked.push(Buffer.from(body));
      call.active.reply(request, { status: 'ok' }, bytes('pong'));
    });
    t.same(JSON.parse((await read((await call.end).body)).toString()), { status: 'ok', text: 'pong' });
    t.equal(asked[0]?.toString(), 'ping');
    const long: Begun = begin(pool, 'ask_long', { bytes: 900_000 }, (request, _ask, body) => {
      t.equal(body.byteLength, 900_000);
      long.active.reply(request, { status: 'ok' }, Buffer.alloc(700_000, 1));
    });
    t.same(JSON.parse((await read((await long.end).body)).toString()), { status: 'ok', bytes: 700_000 });
    const large: Begun = begin(pool, 'ask_long', { bytes: DEFAULT_LIMITS.argumentsBytes + 1 }, () => t.fail('must not be asked'));
    t.match(JSON.parse((await read((await large.end).body)).toString()), { status: 'error' });
  });

  await t.test('requests under way hold bounded memory, over all calls of the pool', async (t) => {
    const small = tools('small', { argumentsBytes: 65_536 * 2 });
    const room = 32 * 65_536 * 2;
    // Of several frames, and of one.
    for (const size of [100_000, 60_000]) {
      const asked: (() => void)[] = [];
      let held = 0;
      const calls = Array.from({ length: 2 }, () => {
        const call: Begun = begin(small, 'ask_many', { count: 60, bytes: size }, (request, _ask, body) => {
          if (body.byteLength === size) held += 1;
          else t.equal(body.byteLength, 0, 'whole, or the word of a refusal');
          asked.push(() => call.active.reply(request, { status: 'ok' }));
        });
        return call;
      });
      await until(() => asked.length === 120, 'every request, asked or refused');
      t.ok(held * size <= room && held * size > room / 2, `${held} of ${size} bytes`);
      for (const answer of asked) answer();
      const codes: string[] = [];
      for (const { end } of calls) codes.push(...JSON.parse((await read((await end).body)).toString()));
      t.equal(codes.filter((one) => one === 'ok').length, held);
      t.equal(codes.filter((one) => one === 'fanout_limit').length, 120 - held);
    }
    const after: Begun = begin(small, 'ask_many', { count: 30, bytes: 100_000 }, (request) =>
      after.active.reply(request, { status: 'ok' }),
    );
    t.notMatch((await read((await after.end).body)).toString(), 'fanout_limit', 'answered, it is free again');
  });

  await t.test('a reply from a stream: whole, or not at all', async (t) => {
    // A result of one call is the body of a reply to another, as with a nested call.
    const source = (await begin(pool, 'big', { bytes: 2_000_000 }).end).body as BodyStream;
    const call: Begun = begin(pool, 'ask', {}, (request) => call.active.reply(request, { status: 'ok' }, source));
    const { text } = JSON.parse((await read((await call.end).body)).toString());
    t.equal(text, 'a'.repeat(2_000_000));
    async function* breaking() {
      yield bytes('half');
      throw new Error('lost');
    }
    const body = Object.assign(breaking(), { cancel() {} });
    const broken: Begun = begin(pool, 'ask', {}, (request) => broken.active.reply(request, { status: 'ok' }, body));
    t.same(JSON.parse((await read((await broken.end).body)).toString()), { status: 'error', text: '' });
  });

  await t.test('long arguments', async (t) => {
    const args = { text: 'x'.repeat(900_000) };
    t.same(JSON.parse((await read((await begin(pool, 'echo', args).end).body)).toString()), args);
  });

  await t.test('a thousand interleaved calls are never crossed', async (t) => {
    const other = tools('globex');
    let crossed = 0;
    const one = async (n: number) => {
      const from = n % 2 === 0 ? pool : other;
      const long = n % 50 === 0 ? 'y'.repeat(100_000) : '';
      const args = { n, long };
      const call: Begun = begin(
        from,
        n % 3 === 0 ? 'ask' : 'echo',
        n % 3 === 0 ? { text: `${n}` } : args,
        (request, _ask, body) => {
          if (Buffer.from(body).toString() !== `${n}`) crossed += 1;
          setImmediate(() => call.active.reply(request, { status: 'ok' }, bytes(`re ${n}`)));
        },
      );
      const got = JSON.parse((await read((await call.end).body)).toString());
      if (n % 3 === 0 ? got.text !== `re ${n}` : got.n !== n || got.long !== long) crossed += 1;
    };
    await Promise.all(Array.from({ length: 1000 }, (_, n) => one(n)));
    t.equal(crossed, 0);
  });
  await hosts.close(0);
});

t.test('large results', async (t) => {
  const { tools } = world(t);
  const pool = tools();
  const other = tools('globex');
  await json(pool, 'who');
  await json(other, 'who');

  await t.test('5 MB come whole; small results of others pass it', async (t) => {
    const big = begin(pool, 'big', { bytes: 5_000_000 });
    const { body } = await big.end;
    t.notOk(body instanceof Uint8Array);
    // Nobody reads yet: the window is full, and everything else goes on.
    for (let n = 0; n < 50; n += 1) {
      t.same(await json(n % 2 === 0 ? pool : other, 'echo', { n }), { n });
    }
    const whole = await read(body);
    t.equal(whole.length, 5_000_000);
    t.ok(whole.every((byte) => byte === 97));
  });

  await t.test('a slow reader holds its own window, others of other tenants read on', async (t) => {
    const slow: BodyStream[] = [];
    const stuck = POOL_WINDOW_BYTES / BODY_WINDOW_BYTES;
    for (let n = 0; n < stuck; n += 1) slow.push((await begin(pool, 'big', { bytes: 2_000_000 }).end).body as BodyStream);
    t.equal((await read((await begin(other, 'big', { bytes: 3_000_000 }).end).body)).length, 3_000_000);
    const fifth = begin(pool, 'big', { bytes: 300_000 });
    const given = [begin(pool, 'big', { bytes: 300_000 }), begin(pool, 'big', { bytes: 300_000 })] as const;
    t.equal((await json(pool, 'echo', { small: 1 })).small, 1, 'small results need no window');
    given[0].active.cancel('deadline');
    given[1].active.kill();
    t.equal(code(await given[0].end), 'deadline_exceeded', 'a result that waits for room is given up');
    t.equal(code(await given[1].end), 'worker_lost');
    slow.shift()?.cancel();
    t.equal((await read((await fifth.end).body)).length, 300_000, 'a cancelled body gives its window back');
    for (const body of slow) t.equal((await read(body)).length, 2_000_000);
  });

  await t.test('a cancelled body is an error to its reader', async (t) => {
    const body = (await begin(pool, 'big', { bytes: 2_000_000 }).end).body as BodyStream;
    body.cancel();
    await t.rejects(read(body), BodyLost);
    t.equal((await read((await begin(pool, 'big', { bytes: 2_000_000 }).end).body)).length, 2_000_000);
  });

  await t.test('beyond the limit of the tenant', async (t) => {
    t.equal(code(await begin(tools('small', { resultBytes: 100_000 }), 'big', { bytes: 100_001 }).end), 'result_too_large');
    t.equal(code(await begin(pool, 'large_meta').end), 'result_too_large');
    t.equal(code(await begin(pool, 'bigint_meta').end), 'result_too_large');
  });

  await t.test('a host that dies breaks the body off', async (t) => {
    const { body } = await begin(pool, 'big', { bytes: 2_000_000 }).end;
    t.equal(code(await begin(pool, 'kill_host').end), 'worker_lost');
    const error = await read(body).catch((thrown: unknown) => thrown);
    t.ok(error instanceof BodyLost && error.failure.code === 'worker_lost');
  });
});

t.test('calls that do not end by themselves', async (t) => {
  const { tools } = world(t);
  const pool = tools();
  await json(pool, 'who');

  await t.test('cancel reaches the run, before and after it began', async (t) => {
    const call = begin(pool, 'wait');
    call.active.cancel('deadline');
    t.same(JSON.parse((await read((await call.end).body)).toString()), { reason: 'deadline' });
    const cold = tools('cold');
    const early = begin(cold, 'wait');
    early.active.cancel('cancelled');
    const { outcome, body } = await early.end;
    if (outcome.status === 'ok') t.same(JSON.parse((await read(body)).toString()), { reason: 'cancelled' });
    else t.equal(code({ outcome }), 'cancelled');
    t.equal(code(await begin(cold, 'echo').end), 'ok');
  });

  await t.test('kill ends a spinning call and its neighbours; the next one works soon', async (t) => {
    const spinning = begin(pool, 'spin');
    const neighbour = begin(pool, 'never');
    const startedAt = performance.now();
    spinning.active.kill();
    const ends = await Promise.all([spinning.end, neighbour.end]);
    t.same(ends.map(code), ['worker_lost', 'worker_lost']);
    t.same(await json(pool, 'echo', { again: 1 }), { again: 1 });
    const took = performance.now() - startedAt;
    t.comment(`kill to next successful call: ${took.toFixed(0)} ms`);
    t.ok(took < 2000);
    t.same(
      ends.map(({ ends: count }) => count()),
      [1, 1],
    );
    spinning.active.kill();
    spinning.active.cancel('cancelled');
    spinning.active.reply(1, { status: 'ok' });
  });

  await t.test('kill before the host is up', async (t) => {
    const cold = tools('colder', {}, { cordon: 'own' });
    const call = begin(cold, 'echo');
    call.active.kill();
    t.equal(code(await call.end), 'worker_lost');
    t.equal(code(await begin(cold, 'echo').end), 'ok');
  });

  await t.test('with two threads, only the killed one goes', async (t) => {
    const two = tools('two', { threads: 2 });
    const threads = new Set<unknown>();
    const held = begin(two, 'wait');
    const spinning = begin(two, 'spin');
    spinning.active.kill();
    t.equal(code(await spinning.end), 'worker_lost');
    for (let n = 0; n < 20; n += 1) threads.add((await json(two, 'who')).threadId);
    held.active.cancel('drained');
    t.same(JSON.parse((await read((await held.end).body)).toString()), { reason: 'drained' });
    await until(() => two.running === 0);
    t.ok(threads.size >= 1);
  });
});

t.test('threads that go wrong', async (t) => {
  const { tools, pools, events, hosts } = world(t);
  const pool = tools();
  const other = tools('globex');
  await json(pool, 'who');
  const held = begin(other, 'wait');

  const faults = [
    ['exit', 'worker_lost'],
    ['oom', 'heap_limit'],
    ['no_result', 'internal_error'],
    ['bad_outcome', 'internal_error'],
    ['bad_notice', 'worker_lost'],
    ['no_number', 'worker_lost'],
    ['unheard_of', 'worker_lost'],
  ] as const;
  for (const [tool, expected] of faults) {
    t.equal(code(await begin(pool, tool).end), expected, tool);
    t.same(await json(pool, 'echo', { after: tool }), { after: tool });
  }

  await t.test('late throws are told of, and cost the calls on the thread only', async (t) => {
    for (const tool of ['throw_late', 'throw_null_late']) {
      const before = pools.filter(({ event }) => event === 'late_error').length;
      t.same(await json(pool, tool), {});
      await until(() => pools.filter(({ event }) => event === 'late_error').length > before);
      t.same(await json(pool, 'echo', { after: tool }), { after: tool });
    }
    t.match(pools.find(({ event }) => event === 'late_error')?.detail, /late on purpose/);
  });

  await t.test('a bundle that does not load', async (t) => {
    const broken = tools('broken', {}, { script: 'broken' });
    const error = await broken.describe().catch((thrown: unknown) => thrown);
    t.ok(error instanceof PoolBroken);
    t.match(error, { failure: { code: 'toolset_broken', detail: 'at line 1' } });
    t.equal(code(await begin(broken, 'echo').end), 'toolset_broken');
    t.match(
      pools.filter(({ event }) => event === 'broken'),
      [{ detail: 'at line 1' }],
    );
    t.equal(broken.running, 0);
    t.equal(broken.awake, false);
  });

  await t.test('a bundle that cannot be read', async (t) => {
    const spec = { tenant: 'gone', cordon: 'shared', bundle: 'b', vars: {}, limits: DEFAULT_LIMITS };
    const gone = hosts.toolsPool({ ...spec, script: () => Promise.reject(new Error('no such file')) });
    t.equal(code(await begin(gone, 'echo').end), 'toolset_broken');
    t.equal(gone.awake, false);
    const vast = hosts.toolsPool({ ...spec, vars: { x: 'x'.repeat(70_000) }, script: async () => bytes('x') });
    t.equal(code(await begin(vast, 'echo').end), 'toolset_broken');
  });

  await t.test('a manifest of several frames', async (t) => {
    t.equal((await tools('large', {}, { script: 'large' }).describe()).byteLength, 3_000_000);
  });

  await t.test('an entry that cannot be loaded', async (t) => {
    const bad = world(t, { entries: { tools: fixture('broken-entry.ts') } });
    const { end } = begin(bad.tools(), 'echo');
    t.equal(code(await end), 'worker_lost');
    await t.rejects(bad.tools().describe(), PoolBroken);
  });

  held.active.cancel('cancelled');
  t.equal(code(await held.end), 'ok', 'the other tenant noticed nothing');
  t.equal(events.filter(({ event }) => event === 'died').length, 0, 'no host died of it');
});

t.test('hosts that die', async (t) => {
  const { tools, events, pools, pid, runDir, hosts } = world(t);
  const pool = tools();
  const far = tools('far', {}, { cordon: 'own' });
  await Promise.all([json(pool, 'who'), json(far, 'who')]);
  const apart = begin(far, 'wait');
  for (let round = 0; round < 3; round += 1) {
    const calls = Array.from({ length: 20 }, () => begin(pool, 'never'));
    await json(pool, 'echo');
    const host = events.findLast(({ event, cordon }) => event === 'started' && cordon !== 'own')?.pid ?? 0;
    process.kill(host, 'SIGKILL');
    const ends = await Promise.all(calls.map(({ end }) => end));
    t.ok(ends.every((end) => code(end) === 'worker_lost'));
    t.same(await json(pool, 'echo', { round }), { round }, 'the next call starts it again');
    t.ok(ends.every(({ ends: count }) => count() === 1));
  }
  t.equal(pools.filter(({ event }) => event === 'host_lost').length, 3);
  t.equal(code(await begin(pool, 'kill_host').end), 'worker_lost');
  apart.active.cancel('cancelled');
  t.equal(code(await apart.end), 'ok', 'another cordon noticed nothing');

  await t.test('again and again: a pause that grows', async (t) => {
    const pauses: number[] = [];
    while (pauses.length < 3) {
      const { outcome } = await begin(pool, 'kill_host').end;
      if (outcome.status !== 'error' || outcome.failure.retryAfterMs === undefined) continue;
      pauses.push(outcome.failure.retryAfterMs);
      await delay(outcome.failure.retryAfterMs + 10);
    }
    t.ok(
      pauses.every((ms, n) => ms > 50 * 2 ** n && ms <= 100 * 2 ** n),
      `a crash loop is slowed down: ${pauses.join(', ')} ms`,
    );
    t.same(await json(pool, 'echo', { back: 1 }), { back: 1 });
  });

  t.ok(pid() > 0);
  await hosts.close(0);
  const pids = events.filter(({ event }) => event === 'started').map((report) => report.pid ?? 0);
  t.notOk(pids.some(alive), 'no process is left');
  t.same(readdirSync(runDir), [], 'no folder is left');
});

t.test('a thread that cannot be terminated', async (t) => {
  await t.test('alone: its host is killed', async (t) => {
    const { tools, events } = world(t);
    const pool = tools();
    t.same(await json(pool, 'echo', { warm: 1 }), { warm: 1 });
    const stuck = begin(pool, 'stuck');
    await delay(50);
    stuck.active.kill();
    t.equal(code(await stuck.end), 'worker_lost');
    t.match(
      events.filter(({ event }) => event === 'died'),
      [{ detail: /could not be terminated/ }],
    );
    t.same(await json(pool, 'echo', { after: 1 }), { after: 1 });
  });

  await t.test('beside another tenant: that one is served to its end first', async (t) => {
    const { tools, events, pools, moves } = world(t);
    const [pool, other] = [tools(), tools('globex')];
    const died = () => events.filter(({ event }) => event === 'died');
    await json(pool, 'echo');
    const held = begin(other, 'wait');
    const stuck = begin(pool, 'stuck');
    const neighbour = begin(pool, 'never');
    t.same(await json(other, 'echo', { before: 1 }), { before: 1 });
    const [old] = events.filter(({ event }) => event === 'started');
    stuck.active.kill();
    t.same([code(await stuck.end), code(await neighbour.end)], ['worker_lost', 'worker_lost']);
    t.match(
      events.filter(({ event }) => event === 'fenced'),
      [{ pid: old?.pid, tenants: ['acme'] }],
    );
    t.same(await json(other, 'echo', { fresh: 1 }), { fresh: 1 }, 'new calls go to a fresh host');
    t.same(await json(pool, 'echo', { fresh: 2 }), { fresh: 2 });
    const fresh = events.filter(({ event, pid }) => event === 'started' && pid !== old?.pid).map(({ cordon }) => cordon);
    t.same(fresh, ['shared', 'apart:acme'], 'and those of the tenant at fault to one of its own');
    t.match(moves, [{ event: 'separated', tenant: 'acme', deaths: 1 }]);
    t.equal(died().length, 0, 'the old one lives for the held call');
    held.active.cancel('cancelled');
    t.equal(code(await held.end), 'ok');
    await until(() => died().length === 1, 'the end of the fenced host');
    t.same(await json(other, 'echo', { after: 1 }), { after: 1 });
    t.equal(pools.filter(({ event, tenant }) => event === 'host_lost' && tenant === 'acme').length, 1);
    t.equal(moves.length, 1, 'the end of a fenced host is no news of anybody');
  });

  await t.test('beside a call that does not end: killed when the deadline of that one has passed', async (t) => {
    const { tools, events } = world(t);
    const [pool, other] = [tools(), tools('globex')];
    await Promise.all([json(pool, 'echo'), json(other, 'echo')]);
    const held = begin(other, 'never', {}, undefined, { deadline: Date.now() + 1500 });
    const stuck = begin(pool, 'stuck');
    await delay(50);
    stuck.active.kill();
    t.equal(code(await stuck.end), 'worker_lost');
    t.equal(events.filter(({ event }) => event === 'died').length, 0);
    t.equal(code(await held.end), 'worker_lost');
    t.ok(Date.now() > context.deadline - 60_000 + 1500);
    t.match(
      events.filter(({ event }) => event === 'died'),
      [{ detail: /could not be terminated/ }],
    );
  });

  await t.test('at the close of its pool', async (t) => {
    const { tools } = world(t);
    const [pool, other] = [tools(), tools('globex')];
    const stuck = begin(pool, 'stuck');
    await json(other, 'echo');
    await pool.close(0);
    t.equal(code(await stuck.end), 'worker_lost');
    t.equal(pool.awake, false);
  });
});

t.test('a tenant whose work kills hosts is served by hosts of its own, until it has been healthy for a time', async (t) => {
  // Long enough for three hosts to start on a machine that is busy.
  const { tools, events, moves, hosts, runDir } = world(t, { healthyMs: 4000 });
  const [acme, globex, initech] = [tools(), tools('globex'), tools('initech')];
  await Promise.all([json(acme, 'echo'), json(globex, 'echo'), json(initech, 'echo')]);
  const homes = () => new Map(events.filter(({ event }) => event === 'started').map(({ cordon, pid }) => [cordon, pid] as const));
  const working = begin(globex, 'never');
  t.equal(code(await begin(acme, 'kill_host').end), 'worker_lost');
  t.equal(code(await working.end), 'worker_lost');
  t.same(
    moves.map(({ event, tenant }) => `${event} ${tenant}`).toSorted(),
    ['separated acme', 'separated globex'],
    'all who had work in it',
  );
  await Promise.all([json(acme, 'echo'), json(globex, 'echo'), json(initech, 'echo')]);
  t.same([...homes().keys()].sort(), ['apart:acme', 'apart:globex', 'shared']);
  t.match(
    readApart(runDir).map(({ tenant }) => tenant),
    ['acme', 'globex'],
  );

  await t.test('the next death names its tenant, and costs nobody else anything', async (t) => {
    const held = [begin(globex, 'wait'), begin(initech, 'wait')];
    await Promise.all([json(globex, 'echo'), json(initech, 'echo')]);
    moves.length = 0;
    t.equal(code(await begin(acme, 'kill_host').end), 'worker_lost');
    t.match(moves, [{ event: 'separated', tenant: 'acme', deaths: 2 }]);
    t.same(await json(acme, 'echo', { again: 1 }), { again: 1 });
    for (const { active, end } of held) {
      active.cancel('cancelled');
      t.equal(code(await end), 'ok');
    }
  });

  await t.test('back after a healthy time; the one at fault later', async (t) => {
    const running = begin(globex, 'wait');
    await until(() => moves.some(({ event, tenant }) => event === 'returned' && tenant === 'globex'), 'the return of globex');
    t.same(
      hosts.apart().map(({ tenant }) => tenant),
      ['acme'],
      'its time has doubled',
    );
    const shared = homes().get('shared');
    t.same(await json(globex, 'echo', { home: 1 }), { home: 1 });
    t.equal(homes().get('shared'), shared);
    running.active.cancel('cancelled');
    t.equal(code(await running.end), 'ok', 'what ran ends where it began');
    await until(() => moves.some(({ event, tenant }) => event === 'returned' && tenant === 'acme'), 'the return of acme');
    t.same(hosts.apart(), []);
    // Served by the shared host again: its death is felt there.
    const beside = begin(initech, 'never');
    await json(initech, 'echo');
    await begin(acme, 'kill_host').end;
    t.equal(code(await beside.end), 'worker_lost');
    t.match(
      moves.findLast(({ tenant }) => tenant === 'acme'),
      { event: 'separated', deaths: 3 },
      'and what it did before counts',
    );
  });
});

t.test('a thread that V8 can give no memory names its tenant, and nobody else is moved', async (t) => {
  const lie = (thread: number, heapBytes = 2 ** 40) =>
    JSON.stringify({ header: { trigger: 'OOMError', threadId: thread }, javascriptHeap: { usedMemory: heapBytes } });
  /** Who is moved when `last` of acme ends a host in which globex works, too. */
  const moved = async (last: string, before?: (globex: number) => { fd: number; text: string }): Promise<string[]> => {
    const { tools, events, moves } = world(t);
    const [acme, globex] = [tools('acme', { heapMb: 16 }), tools('globex')];
    await json(acme, 'echo');
    const { threadId } = (await json(globex, 'who')) as { threadId: number };
    const working = begin(globex, 'never');
    if (before !== undefined) await json(acme, 'print', before(threadId));
    t.match((await begin(acme, last).end).outcome, { status: 'error', failure: { code: 'worker_lost' } });
    t.equal(code(await working.end), 'worker_lost', 'the calls of the others end with the host all the same');
    const died = events.find(({ event }) => event === 'died');
    t.match(died?.detail, last === 'kill_host' ? 'ended with SIGKILL' : 'ended with SIGABRT');
    t.same(died?.tenants?.toSorted(), moves.map(({ tenant }) => tenant).toSorted());
    t.same(await json(globex, 'echo', { on: 1 }), { on: 1 });
    return moves.map(({ tenant }) => tenant).toSorted();
  };
  const all = ['acme', 'globex'];
  t.same(await moved('huge', (globex) => ({ fd: 2, text: lie(globex) })), ['acme'], 'what is said elsewhere is no report');
  t.same(await moved('huge', (globex) => ({ fd: 1, text: lie(globex) })), all, 'two reports are none');
  t.same(await moved('kill_host', (globex) => ({ fd: 1, text: lie(globex) })), all, 'this is not how V8 ends a process');
  t.same(await moved('abort', (globex) => ({ fd: 1, text: lie(globex, 1000) })), all, 'who holds little is a victim');

  const read = async (...texts: string[]) => {
    const pipe = Readable.from(texts.map(bytes));
    const report = new FatalReport(pipe);
    await once(pipe, 'close');
    return report.read();
  };
  t.same(await read('\n', lie(7, 5), '\n'), { thread: 7, heapBytes: 5 });
  for (const [what, ...texts] of [
    ['nothing'],
    ['no end', lie(7).slice(0, -1)],
    ['no number', lie(7).replace('7', '"7"')],
    ['another trigger', lie(7).replace('OOMError', 'Exception')],
    ['too deep', '{"header":'.repeat(6000)],
    ['too much', lie(7), ' '.repeat(70_000)],
    ['after too much', ' '.repeat(70_000), lie(7)],
  ] as const)
    t.equal(await read(...texts), undefined, what);
});

t.test('a host with a stuck thread ends when its supervisor is killed', async (t) => {
  const runDir = join(t.testdir(), 'run');
  // An endless loop, and native code that `process.exit` would wait for.
  for (const tool of ['spin', 'stuck']) {
    const args = [fixture('supervisor.ts'), runDir, THREAD, tool];
    const supervisor = spawn(process.execPath, args, { env: {}, stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => supervisor.kill('SIGKILL'));
    const printed = await new Promise<string>((resolve) => supervisor.stdout.once('data', (chunk) => resolve(String(chunk))));
    const host = Number(printed);
    t.ok(alive(host), 'the host runs');
    supervisor.kill('SIGKILL');
    await until(() => !alive(host), 'the end of the host');
    t.notOk(alive(host), tool);
  }
});

t.test('bad frames end the host, and every call in it', async (t) => {
  const { tools, events } = world(t, {
    entries: { host: fixture('fake-host.ts'), tools: THREAD },
    heartbeat: { everyMs: 100, misses: 4 },
  });
  const faults = [
    'header_too_large',
    'body_too_large',
    'header_empty',
    'not_json',
    'not_utf8',
    'not_object',
    'unknown_type',
    'wrong_shape',
    'wrong_code',
    'wrong_kind',
    'ready_twice',
    'same_number',
    'exit',
    'silent',
  ];
  for (const fault of faults) {
    // A tenant and a cordon each: a crash loop is slowed down otherwise.
    const pool = tools(fault, {}, { cordon: fault });
    const neighbour = begin(pool, 'nothing');
    t.equal(code(await begin(pool, fault).end), 'worker_lost', fault);
    t.equal(code(await neighbour.end), 'worker_lost');
    const died = events.find(({ event, cordon }) => event === 'died' && cordon === fault);
    t.match(died?.detail, /bad frame|ended with code 0|the pipe|no answer to 4 pings/, fault);
  }

  await t.test('more than the credit, more than the limit', async (t) => {
    const pool = tools('overrun', { resultBytes: 1_000_000 }, { cordon: 'overrun' });
    const overrun = await begin(pool, 'credit_overrun').end;
    // Read before, and there would be credit for more.
    await until(() => events.some(({ event, cordon }) => event === 'died' && cordon === 'overrun'));
    await t.rejects(read(overrun.body), BodyLost);
    // Another tenant: the first one has hosts of its own from now on.
    const endless = await begin(tools('endless', { resultBytes: 1_000_000 }, { cordon: 'overrun' }), 'endless_body').end;
    await t.rejects(read(endless.body), BodyLost);
    const died = events.filter(({ event, cordon }) => event === 'died' && cordon === 'overrun');
    t.match(died, [{ detail: /chunk out of place/ }, { detail: /chunk out of place/ }]);
  });

  await t.test('bodies of requests that are begun and never ended', async (t) => {
    const pool = tools('hoard', { argumentsBytes: 65_536 }, { cordon: 'hoard' });
    for (let round = 0; round < 2; round += 1) {
      // The room of the first round is free again in the second.
      const call: Begun = begin(pool, 'hoard', {}, (request) => call.active.reply(request, { status: 'ok' }));
      const reply = JSON.parse((await read((await call.end).body)).toString());
      t.match(reply, { status: 'error', failure: { code: 'fanout_limit', message: /2097152 bytes/ } });
    }
  });

  await t.test('frames for what is settled or unknown are dropped', async (t) => {
    const pool = tools('late', {}, { cordon: 'late' });
    const { body, ends } = await begin(pool, 'unknown_call').end;
    t.equal((await read(body)).toString(), '{"late":false}');
    const again = await begin(pool, 'unknown_call').end;
    t.equal((await read(again.body)).toString(), '{"late":false}');
    t.equal(ends(), 1);
    t.equal(events.filter(({ event, cordon }) => event === 'died' && cordon === 'late').length, 0);
  });
});

t.test('what a thread sees of the machine', async (t) => {
  process.env.LEASEHOLD_TEST_CANARY = 'canary';
  process.env.NODE_OPTIONS = '--max-old-space-size=999';
  t.teardown(async () => {
    delete process.env.LEASEHOLD_TEST_CANARY;
    delete process.env.NODE_OPTIONS;
  });
  const { tools, pid, runDir } = world(t);
  const pool = tools();
  const inside = await json(pool, 'inside');
  t.same(inside.env, []);
  for (const name of ['cwd', 'passwd', 'memory']) t.equal(inside[name], 'ERR_ACCESS_DENIED', name);
  for (const right of ['worker', 'child', 'addon', 'write']) t.equal(inside[right], false, right);
  if (Number.parseInt(process.versions.node, 10) >= 25) t.equal(inside.net, false);
  const environment = execFileSync('cat', [`/proc/${pid()}/environ`], { env: {} });
  t.equal(environment.length, 0, 'the process has no environment');
  const cwd = readlinkSync(`/proc/${pid()}/cwd`);
  t.equal(dirname(cwd), realpathSync(runDir), 'a folder of its own');
  t.same(readdirSync(cwd), [], 'and empty: a thread may read whatever is in it');
  const fds = readdirSync(`/proc/${pid()}/fd`).length;
  t.ok(fds < 40, `${fds} descriptors`);
});

t.test('memory is zeroed before a thread gets it', async (t) => {
  const { tools } = world(t);
  const first = tools('acme', { offHeapMb: 1024 });
  await json(first, 'dirty_memory');
  t.same(await json(first, 'find_memory'), { dirty: 0 });
  await json(tools('globex'), 'echo');
  t.same(await json(tools('globex', { offHeapMb: 1024 }), 'find_memory'), { dirty: 0 });
});

t.test('idle pools hold no thread', async (t) => {
  const { tools, pools, pid, events } = world(t, { hostIdleMs: 500 });
  const pool = tools('acme', { idleMs: 150 });
  await json(pool, 'who');
  const held = begin(pool, 'wait');
  await delay(400);
  t.equal(pool.awake, true, 'a running call keeps it awake');
  const threads = () => readdirSync(`/proc/${pid()}/task`).length;
  const busy = threads();
  held.active.cancel('cancelled');
  await held.end;
  await until(() => !pool.awake);
  t.match(pools, [{ event: 'opened' }, { event: 'closed' }]);
  t.ok(threads() < busy, 'the thread is gone');
  t.same(await json(pool, 'echo', { again: 1 }), { again: 1 });
  await until(
    () => events.some(({ event, detail }) => event === 'ended' && detail === 'idle'),
    'the end of a host without pools',
  );
  t.same(await json(pool, 'echo', { anew: 1 }), { anew: 1 });
});

t.test('warm spares', async (t) => {
  const { tools, events } = world(t, { spares: 1 });
  await until(() => events.some(({ event }) => event === 'ready'));
  const threads = () => {
    const pid = events.find(({ event }) => event === 'started')?.pid;
    return readdirSync(`/proc/${pid}/task`).length;
  };
  let before = threads();
  await until(() => {
    const now = threads();
    const same = now === before && now > 5;
    before = now;
    return same;
  });
  const acme = await json(tools(), 'who');
  const globex = await json(tools('globex'), 'who');
  const own = await json(tools('own', { heapMb: 100 }), 'who');
  t.match(acme, { tenant: 'acme', threadId: 1 }, 'the first thread of the host was the spare');
  t.equal(globex.tenant, 'globex');
  t.not(globex.threadId, acme.threadId, 'a spare serves one tenant');
  t.match(own, { tenant: 'own', heapMb: 100 }, 'other limits are not served by a spare');
});

t.test('egress', async (t) => {
  const { hosts } = world(t);
  const spec = { tenant: 'acme', cordon: 'shared', bundle: 'b', limits: DEFAULT_LIMITS, tools: () => bytes('{}') };
  const pool = hosts.egressPool(spec);
  const order = (tool: string): EgressOrder => ({
    work: { kind: 'binding', tool },
    policy: { origins: [], privateOrigins: [], maxResponseBytes: 1_000_000 },
    traceparent: '00-0-0-01',
    timeoutMs: 1000,
  });
  const send = (tool: string, args = {}, signal = new AbortController().signal) =>
    pool.send(order(tool), bytes(JSON.stringify(args)), signal);
  const echoed = await send('echo', { a: 1 });
  t.match(echoed.outcome, { status: 'ok', sent: true });
  t.equal((await read(echoed.body)).toString(), '{"a":1}');
  t.equal((await read((await send('big', { bytes: 3_000_000 })).body)).length, 3_000_000);
  t.match(await send('big', { bytes: 9_000_000 }), {
    outcome: { status: 'upstream_error', failure: { code: 'result_too_large' } },
  });
  t.match(await send('exit'), { outcome: { status: 'transient', sent: true, local: true } }, 'a lost thread');
  t.match(await send('kill_host'), { outcome: { status: 'transient', sent: true, local: true } }, 'a lost host');
  t.match(await send('echo', {}, AbortSignal.abort()), { outcome: { status: 'transient', sent: false, local: true } });
  const abort = new AbortController();
  const waiting = send('wait', {}, abort.signal);
  abort.abort();
  t.match(await waiting, { outcome: { status: 'transient', sent: true, local: true } });
  const late = new AbortController();
  const outOfTime = send('wait', {}, late.signal);
  late.abort('deadline');
  t.strictSame((await outOfTime).outcome, { status: 'transient', sent: true, detail: 'aborted' }, 'the upstream may be slow');
  await until(() => pool.running === 0);
  const reading = new AbortController();
  const { body } = await send('big', { bytes: 3_000_000 }, reading.signal);
  reading.abort();
  await t.rejects(read(body), BodyLost);
  await pool.close(0);
  t.match(await send('echo'), { outcome: { status: 'transient', sent: false, local: true } });
});

t.test('closing', async (t) => {
  const { tools, hosts, events } = world(t);
  const pool = tools();
  await json(pool, 'who');
  const finishing = begin(pool, 'wait');
  const closed = pool.close(5000);
  t.equal(code(await begin(pool, 'echo').end), 'draining', 'no new calls');
  finishing.active.cancel('drained');
  t.equal(code(await finishing.end), 'ok', 'a running call may finish');
  await closed;
  t.equal(pool.awake, false);
  const other = tools('globex');
  await json(other, 'who');
  const spinning = begin(other, 'spin');
  const never = begin(other, 'never');
  const startedAt = performance.now();
  await hosts.close(200);
  t.ok(performance.now() - startedAt < 6000);
  t.same([code(await spinning.end), code(await never.end)], ['worker_lost', 'worker_lost']);
  t.notOk(alive(events[0]?.pid ?? 0));
  t.equal(code(await begin(tools('late'), 'echo').end), 'draining');
});
