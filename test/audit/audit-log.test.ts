// The audit log on real files and with real processes: durability, replay, tampering, locks, failing disks, back-pressure.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { encodeEvent, LINE_BYTES } from '../../src/audit/encode.ts';
import { frameBatch, parseSegment, segmentHead } from '../../src/audit/journal-format.ts';
import { type AuditTrail, createAuditLog } from '../../src/audit/log.ts';
import { PendingLines } from '../../src/audit/pending-lines.ts';
import { type AuditEvent, NO_TENANT } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';

const WRITER = join(import.meta.dirname, 'writer.ts');
const SEGMENT = 1 << 20;

function event(tenant: string, id: string): AuditEvent {
  return { kind: 'store.write', tenant, correlation: id, id, scope: 'tenant', action: 'set', bytes: 1 };
}
function logIn(
  dataDir: string,
  more: { segmentBytes?: number; mode?: 'strict' | 'relaxed'; now?: () => number } = {},
): Promise<AuditTrail> {
  return createAuditLog({ dataDir, mode: 'grouped', supervisorId: 'test', ...more });
}
function records(dataDir: string, tenant: string): { seq: number; time: string; event: AuditEvent & { lost?: number } }[] {
  const path = join(dataDir, 'audit', `${tenant}.jsonl`);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
function ids(dataDir: string, tenant: string): string[] {
  return records(dataDir, tenant).map((record) => record.event.id);
}
function fileOf(dataDir: string, tenant: string): string {
  return join(dataDir, 'audit', `${tenant}.jsonl`);
}
function segments(dataDir: string): string[] {
  return readdirSync(join(dataDir, 'audit', 'journal'))
    .sort()
    .map((name) => join(dataDir, 'audit', 'journal', name));
}

interface Writer {
  readonly child: ChildProcess;
  readonly lines: string[];
  until(wanted: (line: string, count: number) => boolean): Promise<string>;
  ended: Promise<void>;
}
function startWriter(dataDir: string, prefix: string, segmentBytes = SEGMENT, shell?: string): Writer {
  const argv = [WRITER, dataDir, prefix, String(segmentBytes)];
  const child =
    shell === undefined
      ? spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
      : spawn('sh', ['-c', `${shell}; exec "$0" "$@"`, process.execPath, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  reader.on('line', (line) => {
    lines.push(line);
    for (const wake of waiting) wake();
  });
  const ended = new Promise<void>((resolve) => reader.once('close', resolve));
  return {
    child,
    lines,
    ended,
    async until(wanted) {
      let seen = 0;
      for (;;) {
        for (; seen < lines.length; seen += 1) if (wanted(lines[seen] as string, seen)) return lines[seen] as string;
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        const over = await Promise.race([promise, ended.then(() => 'over' as const)]);
        waiting.delete(resolve);
        if (over === 'over' && seen === lines.length) throw new Error(`the writer ended: ${lines.slice(-3).join(' | ')}`);
      }
    },
  };
}
async function writeUntilKilled(
  dataDir: string,
  prefix: string,
  afterMs: number,
  segmentBytes?: number,
  records = 0,
): Promise<string[]> {
  const writer = startWriter(dataDir, prefix, segmentBytes);
  await writer.until((_line, at) => at >= records);
  await sleep(afterMs);
  writer.child.kill('SIGKILL');
  await writer.ended;
  return writer.lines.filter((line) => line.includes(' ') && !line.startsWith('refused'));
}
/** No acknowledged record is missing, none stands twice, every chain holds. */
async function checkAll(
  test: Pick<typeof t, 'equal' | 'strictSame' | 'match'>,
  dataDir: string,
  acknowledged: readonly string[],
): Promise<void> {
  for (const tenant of ['acme', 'globex', 'initech']) {
    const found = ids(dataDir, tenant);
    const set = new Set(found);
    test.equal(set.size, found.length, `${tenant}: no record stands twice`);
    const missing = acknowledged.filter((line) => line.startsWith(`${tenant} `) && !set.has(line.slice(tenant.length + 1)));
    test.strictSame(missing, [], `${tenant}: no acknowledged record is missing`);
    if (found.length === 0) continue;
    const verified = await verifyAudit(fileOf(dataDir, tenant));
    test.match(verified, { ok: true, firstSeq: 1, records: found.length }, `${tenant}: the chain holds`);
  }
}

// Run directly, tap would end the file after 30 s; a busy machine needs longer.
t.setTimeout(120_000);

void t.test('kill -9 at random moments loses and doubles nothing, and the chain goes on', async (t) => {
  const dataDir = t.testdir();
  const acknowledged: string[] = [];
  for (let round = 0; round < 20; round += 1) {
    // Every other round with segments so small that rotation and removal are under way all the time.
    acknowledged.push(...(await writeUntilKilled(dataDir, `r${round}`, Math.random() * 200, round % 2 === 0 ? 20_000 : SEGMENT)));
  }
  const log = await logIn(dataDir);
  await log.close();
  t.ok(acknowledged.length > 100, `${acknowledged.length} records were acknowledged`);
  await checkAll(t, dataDir, acknowledged);
  t.strictSame(segments(dataDir), [], 'a clean end leaves no journal');
});

void t.test('torn writes: journal and tenant files cut or filled with rubbish anywhere', async (t) => {
  const root = t.testdir({ origin: {} });
  const origin = join(root, 'origin');
  const acknowledged = await writeUntilKilled(origin, 'x', 0, SEGMENT, 100);
  const [segment] = segments(origin);
  const whole = readFileSync(segment as string);
  const batches = parseSegment(whole)?.batches ?? [];
  t.ok(batches.length > 5, 'there are batches to cut');
  const last = batches.at(-1)?.end ?? 0;
  for (let round = 0; round < 25; round += 1) {
    const copy = join(root, `copy${round}`);
    cpSync(origin, copy, { recursive: true });
    rmSync(join(copy, 'audit', 'lock.db'));
    const path = segments(copy)[0] as string;
    const cut = round === 0 ? 0 : Math.floor(Math.random() * last);
    truncateSync(path, cut);
    // As after a power failure: the file has its length, but what was not synced is zeros.
    if (round % 3 === 1) writeFileSync(path, Buffer.alloc(500), { flag: 'a' });
    // What the tenant's file got since the journal began was not synced either.
    for (const tenant of ['acme', 'globex', 'initech']) rmSync(fileOf(copy, tenant), { force: true });
    const kept = new Set(
      batches.filter((batch) => batch.end <= cut).flatMap((batch) => batch.lines.match(/"id":"x-\d+"/g) ?? []),
    );
    // The journal comes first: only where it names the tenant can the tenant's file have something.
    const named = batches.some((batch) => batch.end <= cut && batch.lines.includes('"tenant":"acme"'));
    if (round % 2 === 0 && named) writeFileSync(fileOf(copy, 'acme'), Buffer.alloc(100));
    const log = await logIn(copy);
    await log.append(event('acme', 'after'));
    await log.close();
    if (kept.size === 0) continue;
    for (const tenant of ['acme', 'globex']) {
      const found = ids(copy, tenant).filter((id) => id !== 'after');
      t.strictSame(
        found,
        [...new Set(found)].filter((id) => kept.has(`"id":"${id}"`)),
        `round ${round}: whole batches only, once each`,
      );
      if (existsSync(fileOf(copy, tenant))) t.match(await verifyAudit(fileOf(copy, tenant)), { ok: true, firstSeq: 1 });
    }
    const total = ['acme', 'globex', 'initech'].flatMap((tenant) => ids(copy, tenant)).filter((id) => id !== 'after');
    t.equal(total.length, kept.size, `round ${round}: every record of a whole batch is there`);
  }
  // Damage in the middle is not a torn tail: refuse rather than forget acknowledged records.
  const damaged = join(root, 'damaged');
  cpSync(origin, damaged, { recursive: true });
  rmSync(join(damaged, 'audit', 'lock.db'));
  const bytes = Buffer.from(whole);
  const middle = (batches[2]?.end ?? 0) + 40;
  bytes[middle] = (bytes[middle] as number) ^ 1;
  writeFileSync(segments(damaged)[0] as string, bytes);
  await t.rejects(logIn(damaged), { code: 'audit_refused', message: /damaged at byte/ });
  const log = await logIn(origin);
  await log.close();
  await checkAll(t, origin, acknowledged);
});

void t.test('a batch that was refused counts for nothing, though its bytes stay', (t) => {
  const target = Buffer.alloc(4096);
  const head = segmentHead(3, 77);
  target.write(head, 0, 'latin1');
  const first = frameBatch(target, head.length, '@acme 0\n{"a":1}\n');
  frameBatch(target, head.length + first, '{"b":2}\n');
  const parsed = parseSegment(target);
  t.match(parsed, { number: 3, previousEnd: 77, damagedAt: undefined });
  t.strictSame(
    parsed?.batches.map((batch) => batch.lines),
    ['@acme 0\n{"a":1}\n', '{"b":2}\n'],
  );
  t.equal(parseSegment(Buffer.from('leasehold-jour')), undefined);
  t.end();
});

void t.test('every flipped byte, deleted, doubled, moved and foreign record is found', async (t) => {
  const dataDir = t.testdir();
  const log = await logIn(dataDir);
  for (let i = 0; i < 6; i += 1) await log.append(event('acme', `id-${i}`));
  await log.append(event('globex', 'other'));
  await log.close();
  const path = fileOf(dataDir, 'acme');
  const good = readFileSync(path);
  const head = (await verifyAudit(path)).head;
  t.equal(head?.seq, 6);
  const broken = join(dataDir, 'broken.jsonl');
  async function refuses(bytes: Buffer | string, what: string): Promise<void> {
    writeFileSync(broken, bytes);
    const verified = await verifyAudit(broken, { expect: head });
    if (verified.ok) t.fail(`not found: ${what}`);
  }
  for (let at = 0; at < good.length; at += 1) {
    const bytes = Buffer.from(good);
    bytes[at] = (bytes[at] as number) ^ 1;
    await refuses(bytes, `flipped byte ${at}`);
  }
  const lines = good.toString().trimEnd().split('\n');
  const text = (of: readonly string[]): string => of.map((line) => `${line}\n`).join('');
  for (let at = 0; at < lines.length; at += 1) {
    await refuses(text(lines.toSpliced(at, 1)), `deleted record ${at}`);
    await refuses(text(lines.toSpliced(at, 0, lines[at] as string)), `doubled record ${at}`);
    if (at > 0)
      await refuses(text(lines.with(at, lines[at - 1] as string).with(at - 1, lines[at] as string)), `moved record ${at}`);
  }
  await refuses(text([...lines, readFileSync(fileOf(dataDir, 'globex'), 'utf8').trimEnd()]), 'foreign record');
  await refuses(text(['[]']), 'no record');
  await refuses(`${'x'.repeat(LINE_BYTES * 8)}`, 'endless line');
  await refuses('', 'cut to nothing');
  t.match(await verifyAudit(path, { expect: head }), { ok: true, records: 6 });
  await t.rejects(verifyAudit(join(dataDir, 'none')), { code: 'ENOENT' });
});

void t.test('one writer at a time; the lock ends with its process', async (t) => {
  const dataDir = t.testdir();
  const writer = startWriter(dataDir, 'one');
  await writer.until((line) => line === 'ready');
  await t.rejects(logIn(dataDir), { code: 'audit_refused', message: new RegExp(`in use by pid ${writer.child.pid} `) });
  writer.child.kill('SIGKILL');
  await writer.ended;
  const log = await logIn(dataDir);
  await t.rejects(logIn(dataDir), { code: 'audit_refused' }, 'also within one process');
  await log.close();
  await (await logIn(dataDir)).close();
});

void t.test('a disk that is full refuses, says so, and recovers with a gap record', async (t) => {
  const dataDir = t.testdir();
  // Files of this process cannot grow beyond 40 KiB (soft limit), until the test lifts it.
  const writer = startWriter(dataDir, 'full', SEGMENT, 'ulimit -S -f 80');
  const refused = await writer.until((line) => line.startsWith('refused'));
  t.equal(refused, 'refused audit_unavailable false');
  await writer.until((line) => line === 'unhealthy');
  execFileSync('prlimit', ['--pid', String(writer.child.pid), '--fsize=unlimited:']);
  await writer.until((line) => line === 'healthy');
  const from = writer.lines.length;
  await writer.until((line, at) => at > from && line.startsWith('acme '));
  writer.child.stdin?.write('stop\n');
  await writer.until((line) => line === 'closed');
  await writer.ended;
  await checkAll(
    t,
    dataDir,
    writer.lines.filter((line) => /^(acme|globex|initech) /.test(line)),
  );
  const gaps = records(dataDir, 'acme').filter((record) => record.event.kind === 'audit.gap');
  t.ok(gaps.length >= 1 && gaps.every((gap) => (gap.event.lost ?? 0) > 0), 'the gap says how many are missing');
  const lost = ['acme', 'globex', 'initech']
    .flatMap((tenant) => records(dataDir, tenant))
    .reduce((sum, record) => sum + (record.event.lost ?? 0), 0);
  t.equal(lost, writer.lines.filter((line) => line.startsWith('refused')).length, 'every refused record is counted once');
});

void t.test('a write that hangs counts as failed after two seconds, and is not written twice later', async (t) => {
  const root = t.testdir();
  const dataDir = join(root, 'data');
  const log = await logIn(dataDir);
  const before = log.append(event('acme', 'before'));
  // A folder in the place of the file keeps all records in the journal, where a crash would find them.
  mkdirSync(fileOf(dataDir, 'acme'));
  await before;
  await log.flush();
  const pipe = join(dataDir, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Opening a pipe that nobody writes to keeps a thread of the pool; with all of them busy no write can begin.
  const { open, close } = await import('node:fs');
  const opened = Array.from(
    { length: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) },
    () => new Promise<void>((resolve) => open(pipe, 'r', (_error, fd) => close(fd, () => resolve()))),
  );
  const began = performance.now();
  await t.rejects(log.append(event('acme', 'hung')), { code: 'audit_unavailable', message: /longer than 2000 ms/ });
  t.ok(performance.now() - began < 10_000, 'in about two seconds');
  t.equal(log.healthy(), false);
  await t.rejects(log.append(event('acme', 'while down')), { code: 'audit_unavailable' });
  openSync(pipe, 'w');
  await Promise.all(opened);
  while (!log.healthy()) await sleep(20);
  await log.append(event('acme', 'after'));
  await log.flush();
  // The write that hung went through later. A replay must not count it.
  const crashed = join(root, 'crashed');
  cpSync(dataDir, crashed, { recursive: true, filter: (path) => !path.endsWith('pipe') && !path.endsWith('lock.db') });
  for (const folder of [crashed, dataDir]) rmSync(fileOf(folder, 'acme'), { recursive: true });
  await log.close();
  await (await logIn(crashed)).close();
  t.strictSame(records(crashed, 'acme'), records(dataDir, 'acme'), 'a replay gives the same records');
  t.strictSame(
    ids(dataDir, 'acme').filter((id) => ['before', 'hung', 'while down', 'after'].includes(id)),
    ['before', 'after'],
  );
  t.match(records(dataDir, 'acme')[1], { seq: 2, event: { kind: 'audit.gap', lost: 2 } });
  t.match(await verifyAudit(fileOf(dataDir, 'acme')), { ok: true, records: 3, lost: 2 });
});

void t.test('one tenant whose file cannot be written is refused at last; the others go on', async (t) => {
  const dataDir = t.testdir();
  mkdirSync(fileOf(dataDir, 'acme'), { recursive: true });
  const log = await logIn(dataDir);
  await t.rejects(log.append(event('acme', 'a')), { code: 'audit_unavailable' }, 'no head can be read');
  await log.append(event('globex', 'g'));
  t.equal(log.healthy(), true);
  // Lost while it runs: the journal has the records, up to a bound.
  await log.append(event('initech', 'first'));
  await log.flush();
  for (const at of [1, 2]) {
    rmSync(fileOf(dataDir, `t${at}`), { force: true });
    mkdirSync(fileOf(dataDir, `t${at}`));
  }
  renameSync(fileOf(dataDir, 't1'), fileOf(dataDir, 't1-gone'));
  await log.append(event('t1', 'one'));
  await log.flush();
  await log.close();
  t.strictSame(ids(dataDir, 't1'), ['one']);
  t.strictSame(ids(dataDir, 'globex'), ['g']);
});

void t.test('a blocked file keeps its records in the journal until it can be written', async (t) => {
  const dataDir = t.testdir();
  const log = await logIn(dataDir);
  const first = log.append(event('acme', 'one'));
  // The head is read (no file yet); before the first line is moved there, a folder takes the place.
  mkdirSync(fileOf(dataDir, 'acme'));
  await first;
  await log.flush();
  await log.append(event('globex', 'two'));
  await log.close();
  t.equal(segments(dataDir).length, 1, 'the journal stays');
  t.strictSame(ids(dataDir, 'globex'), ['two']);
  const again = await logIn(dataDir);
  await again.append(event('acme', 'three'));
  const big = { ...event('acme', 'x'), client: 'y'.repeat(250) };
  let refused: unknown;
  for (let i = 0; i < 8000 && refused === undefined; i += 500) {
    const all = await Promise.allSettled(Array.from({ length: 500 }, () => again.append(big)));
    refused = all.find((result) => result.status === 'rejected')?.reason;
    await again.flush();
  }
  t.match(refused, { code: 'audit_unavailable', message: /file of acme cannot be written/ }, 'memory is bounded');
  await again.append(event('globex', 'four'));
  rmSync(fileOf(dataDir, 'acme'), { recursive: true });
  await again.flush();
  await again.append(event('acme', 'five'));
  await again.close();
  const found = ids(dataDir, 'acme');
  t.strictSame([found[0], found[1], found.at(-1)], ['one', 'three', 'five']);
  t.match(await verifyAudit(fileOf(dataDir, 'acme')), { ok: true, firstSeq: 1 });
  t.strictSame(segments(dataDir), []);
});

void t.test('the queue is bounded, and what it refused is told', async (t) => {
  const dataDir = t.testdir();
  const log = await logIn(dataDir);
  const all = await Promise.allSettled(Array.from({ length: 20_000 }, (_, i) => log.append(event('acme', `q${i}`))));
  const refused = all.filter((result) => result.status === 'rejected');
  t.ok(refused.length > 0, `${refused.length} were refused`);
  t.match(refused[0], { reason: { code: 'audit_unavailable', message: /queue is full/ } });
  t.equal(log.healthy(), true, 'back-pressure is no fault');
  await log.append(event('acme', 'after'));
  await log.close();
  t.match(await verifyAudit(fileOf(dataDir, 'acme')), { ok: true, lost: refused.length, records: 20_000 - refused.length + 2 });
  await t.rejects(log.append(event('acme', 'late')), { code: 'audit_unavailable' });
  t.equal(log.healthy(), false);
});

void t.test('restart, clock going back, many tenants with few open files, rotation by an operator', async (t) => {
  const dataDir = t.testdir();
  let now = Date.parse('2026-05-01T00:00:00.123Z');
  const log = await logIn(dataDir, { now: () => (now -= 1000), segmentBytes: 100_000 });
  const tenants = Array.from({ length: 300 }, (_, i) => `tenant-${i}`);
  for (let round = 0; round < 3; round += 1) await Promise.all(tenants.map((tenant) => log.append(event(tenant, `${round}`))));
  await log.flush();
  const open = readdirSync('/proc/self/fd').length;
  t.ok(open < 200, `${open} files are open`);
  t.ok(segments(dataDir).length <= 3, 'old segments go');
  renameSync(fileOf(dataDir, 'tenant-7'), fileOf(dataDir, 'tenant-7.1'));
  writeFileSync(fileOf(dataDir, 'tenant-8.1'), readFileSync(fileOf(dataDir, 'tenant-8')));
  truncateSync(fileOf(dataDir, 'tenant-8'), 0);
  await Promise.all(tenants.map((tenant) => log.append(event(tenant, 'last'))));
  await log.close();
  const second = await logIn(dataDir);
  await second.append(event('tenant-0', 'second'));
  await second.close();
  t.strictSame(ids(dataDir, 'tenant-0'), ['0', '1', '2', 'last', 'second']);
  const times = records(dataDir, 'tenant-0').map((record) => record.time);
  t.ok((times[0] as string) > (times[1] as string), 'the clock went back');
  for (const tenant of tenants)
    if (!/-[78]$/.test(tenant)) t.match(await verifyAudit(fileOf(dataDir, tenant)), { ok: true, firstSeq: 1 }, tenant);
  const rotated = await verifyAudit(fileOf(dataDir, 'tenant-8.1'));
  const goesOn = await verifyAudit(fileOf(dataDir, 'tenant-8'), { after: rotated.head });
  t.match(goesOn, { ok: true, firstSeq: 4 }, 'goes on after copy and truncate');
  t.match(await verifyAudit(fileOf(dataDir, 'tenant-8')), { ok: false }, 'a file that begins later says what is missing');
  t.match(ids(dataDir, 'tenant-7').concat(ids(dataDir, 'tenant-7.1')).includes('last'), true, 'nothing is lost by a move');
  t.equal(statSync(fileOf(dataDir, 'tenant-0')).mode & 0o777, 0o600);
  t.equal(statSync(join(dataDir, 'audit')).mode & 0o777, 0o700);
});

/** While it is there, what the log waits for at most (1 ms) is a wait of `ms`; gives how many began. */
function gatheringFor(t: Test, ms: number): () => number {
  const real = globalThis.setTimeout;
  let begun = 0;
  const slowed = (act: () => void, after?: number): NodeJS.Timeout => {
    if (after === 1) begun += 1;
    return real(act, after === 1 ? ms : after);
  };
  globalThis.setTimeout = Object.assign(slowed, real);
  t.teardown(() => (globalThis.setTimeout = real));
  return () => begun;
}

void t.test('a commit waits for the callers of the last one, and for nobody else', async (t) => {
  const begun = gatheringFor(t, 60_000);
  const rounds = 20;
  async function commitsOf(callers: number): Promise<number> {
    const dataDir = t.testdir({});
    const log = await logIn(dataDir);
    // They come back in turns of their own.
    const loop = async (caller: number): Promise<void> => {
      for (let round = 0; round < rounds; round += 1) {
        await log.append(event('acme', `${caller}-${round}`));
        for (let turns = 0; turns < caller; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller)));
    const segment = parseSegment(readFileSync(segments(dataDir)[0] as string));
    await log.close();
    return segment?.batches.length ?? 0;
  }
  // Had it waited for more than come, it would wait for a minute.
  t.equal(await commitsOf(12), rounds, 'one for all of them');
  t.ok(begun() > 0);
  const before = begun();
  t.ok((await commitsOf(3)) >= rounds);
  t.equal(begun(), before, 'few are not waited for');
});

void t.test('pending lines: what was given out stays as it is, and room is given back', (t) => {
  const pending = new PendingLines();
  let model = '';
  const line = 'x'.repeat(999);
  for (let n = 0; n < 40_000; n += 1) {
    pending.add(line);
    model += `${line}\n`;
  }
  const given = pending.bytes();
  pending.add('later');
  pending.addText('rest of a line\n');
  t.equal(given.toString('latin1') === model, true, 'what is written does not change meanwhile');
  pending.drop(given.length);
  t.equal(pending.bytes().toString('latin1'), 'later\nrest of a line\n');
  t.ok(pending.bytes().buffer.byteLength < 10_000, 'the room of 40 MB is gone, though lines are pending');
  pending.drop(pending.length);
  pending.release();
  t.equal(pending.length, 0);
  pending.add('again');
  t.equal(pending.bytes().toString('latin1'), 'again\n');
  t.end();
});

void t.test('strict and relaxed', async (t) => {
  const dataDir = t.testdir();
  const strict = await logIn(dataDir, { mode: 'strict' });
  await strict.append(event('acme', 's'));
  t.match(readFileSync(segments(dataDir)[0] as string, 'latin1'), /"id":"s"/, 'in the journal when append resolves');
  await strict.close();
  const relaxed = await logIn(dataDir, { mode: 'relaxed' });
  await relaxed.append(event('acme', 'r'));
  await relaxed.close();
  t.strictSame(ids(dataDir, 'acme'), ['s', 'r']);
});

void t.test('no name of a tenant becomes a path', async (t) => {
  const dataDir = t.testdir();
  const log = await logIn(dataDir);
  for (const tenant of ['../evil', 'a/b', 'ACME', '', '.', 'a'.repeat(64), 'journal/x', '\u0000']) {
    await t.rejects(log.append(event(tenant, 'x')), { code: 'audit_unavailable' });
  }
  await t.rejects(log.append({ kind: 'nothing' } as unknown as AuditEvent), { code: 'audit_unavailable' });
  await log.append(event(NO_TENANT, 'x'));
  await log.close();
  t.strictSame(
    readdirSync(join(dataDir, 'audit')).filter((name) => name.endsWith('.jsonl')),
    [`${NO_TENANT}.jsonl`],
  );
});

void t.test('records: one line of ASCII JSON, capped, without what looks like a credential', (t) => {
  const base = { tenant: 'acme', correlation: 'c', id: 'i', tool: 'echo', bundle: 'b' };
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 1200 }),
      fc.string({ unit: 'binary' }),
      fc.double(),
      (text, name, number) => {
        const line = encodeEvent({ ...base, subject: text, kind: 'call.request', args: [{ name, bytes: number }], depth: 0 });
        const told = encodeEvent({ ...base, kind: 'call.outcome', durationMs: number, outcome: 'tool', reason: text });
        for (const json of [line, told]) {
          if (!/^[\x20-\x7e]*$/.test(json)) return false;
          JSON.parse(json);
        }
        return true;
      },
    ),
  );
  const many = Array.from({ length: 1000 }, (_, i) => ({ name: `\u202e${i}`.repeat(100), bytes: i }));
  const long = '\u2028'.repeat(5000);
  const line = encodeEvent({
    ...base,
    tool: long,
    bundle: long,
    subject: long,
    issuer: long,
    client: long,
    trace: long,
    parent: long,
    credential: long,
    kind: 'call.request',
    args: many,
    depth: 1,
  });
  t.ok(line.length < LINE_BYTES - 1000, `${line.length} bytes at most`);
  t.match(JSON.parse(line), { argsOmitted: 936 });
  const secrets = [
    `lh_acme_${'x'.repeat(43)}`,
    `Bearer ${'y'.repeat(30)}`,
    `eyJ${'a'.repeat(20)}.${'b'.repeat(20)}.sig`,
    'BASIC dXNlcjpwYXNz',
  ];
  for (const secret of secrets) {
    const json = encodeEvent({
      ...base,
      kind: 'call.outcome',
      durationMs: 1,
      outcome: 'internal',
      reason: `upstream said "${secret}"`,
      client: secret,
    });
    t.notMatch(json, secret.slice(-12));
    t.doesNotThrow(() => JSON.parse(json) as unknown);
  }
  for (const secret of secrets) {
    for (let room = 1000; room < 1024; room += 1) {
      const json = encodeEvent({ ...base, kind: 'audit.gap', lost: 1, reason: `${'.'.repeat(room)} ${secret}` });
      t.notMatch(json, /lh_|y{6}|eyJa|dXNl/, 'no part of one is left where a text is cut');
    }
  }
  const begun = performance.now();
  for (const text of ['eyJ-', 'lh_a_', 'Bearer ', 'Basic%20'])
    encodeEvent({ ...base, kind: 'audit.gap', lost: 1, reason: text.repeat(250_000), args: [] } as AuditEvent);
  t.ok(performance.now() - begun < 1000, 'a text of a megabyte costs no more than a short one');
  const ordinary = encodeEvent({
    ...base,
    subject: 'ada@müller.de',
    kind: 'call.outcome',
    durationMs: 1.23456,
    outcome: 'ok',
    resultBytes: 7,
  });
  t.strictSame(JSON.parse(ordinary), {
    ...base,
    kind: 'call.outcome',
    subject: 'ada@müller.de',
    durationMs: 1.235,
    outcome: 'ok',
    resultBytes: 7,
  });
  t.end();
});

void t.test('a file that is moved away or replaced while it is written', async (t) => {
  const dataDir = t.testdir();
  const log = await logIn(dataDir);
  const file = fileOf(dataDir, 'acme');
  const numbers = (path: string) =>
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { seq: number }).seq);
  const two = async () => {
    await log.append(event('acme', 'x'));
    await log.append(event('acme', 'y'));
    await log.flush();
  };
  await two();
  writeFileSync(`${file}.new`, readFileSync(file));
  renameSync(`${file}.new`, file);
  await two();
  t.strictSame(numbers(file), [1, 2, 3, 4], 'a copy in its place gets the lines');
  renameSync(file, `${file}.1`);
  await two();
  t.strictSame(numbers(file), [5, 6], 'a new file begins where the old one ended');
  t.match(await verifyAudit(`${file}.1`), { ok: true });
  await log.close();
  const again = await logIn(dataDir);
  await again.append(event('acme', 'z'));
  await again.flush();
  t.strictSame(numbers(file), [5, 6, 7]);
  await again.close();
});

void t.test('leasehold audit verify', async (t) => {
  const estate = t.testdir({ 'leasehold.json': '{}', tenants: {} });
  const dataDir = join(estate, '.leasehold');
  async function verify(...argv: string[]): Promise<{ code: number; out: string }> {
    const { audit } = await import('../../src/commands/audit.ts');
    const stdout = new PassThrough();
    const io = {
      stdin: process.stdin,
      stdout,
      stderr: stdout,
      env: { HOME: estate, XDG_RUNTIME_DIR: estate, XDG_DATA_HOME: estate },
      cwd: estate,
      isTTY: false,
    };
    const code = await audit.run(['verify', ...argv], io);
    return { code, out: String(stdout.read() ?? '') };
  }
  await t.rejects(verify('--estate', estate), { name: 'UserError', message: /no audit trail/ });
  await t.rejects(verify('none.jsonl'), { name: 'UserError', message: /ENOENT/ });
  await t.rejects(verify('--expect', 'rubbish', 'x'), { name: 'UsageError' });
  const log = await logIn(dataDir);
  for (let i = 0; i < 3; i += 1) await log.append(event('acme', `${i}`));
  await log.append(event('globex', 'x'));
  await log.close();
  const good = await verify('--estate', estate);
  t.equal(good.code, 0);
  const head = /acme\.jsonl {2}3 records {2}head (3:[0-9a-f]{64})/.exec(good.out)?.[1] ?? '';
  t.equal((await verify('--expect', head, fileOf(dataDir, 'acme'))).code, 0);
  const lines = readFileSync(fileOf(dataDir, 'acme'), 'utf8').trimEnd().split('\n');
  writeFileSync(fileOf(dataDir, 'acme'), `${lines.slice(0, 2).join('\n')}\n`);
  t.equal((await verify('--estate', estate)).code, 0, 'a cut end does not show');
  t.equal((await verify('--expect', head, fileOf(dataDir, 'acme'))).code, 1, 'but it does where the head was kept');
  writeFileSync(join(estate, 'rest.jsonl'), `${lines[2]}\n`);
  t.equal((await verify(fileOf(dataDir, 'acme'), join(estate, 'rest.jsonl'))).code, 0, 'rotated files are one chain');
  const broken = await verify('--json', join(estate, 'rest.jsonl'));
  t.equal(broken.code, 1);
  t.match(JSON.parse(broken.out), { ok: false, problem: { line: 1 } });
  writeFileSync(join(estate, 'rest.jsonl'), 'torn');
  t.match(await verify(join(estate, 'rest.jsonl')), { code: 1, out: /has no end/ });
});
