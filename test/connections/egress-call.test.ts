// The one place of recovery, over the real egress entry, real servers and the real audit log.
import '../helpers/bare-children.ts';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { createAuditLog, type AuditTrail } from '../../src/audit/log.ts';
import type { AuditLog } from '../../src/audit/record.ts';
import type { EgressTools } from '../../src/boundary/egress.ts';
import type { FetchRequest } from '../../src/boundary/host-request.ts';
import type { CompiledConnection } from '../../src/config/compiled.ts';
import { admit, type BreakerState, CLOSED, FAILURES_TO_OPEN, settle } from '../../src/connections/breaker.ts';
import {
  createEgressCall,
  type EgressAsk,
  type EgressCallPorts,
  type EgressRequest,
  type EgressSettled,
} from '../../src/connections/egress-call.ts';
import { originPolicy, targetOrigin } from '../../src/connections/policy.ts';
import { ATTEMPTS, backoffMs, isRepeatableBinding, isRepeatableFetch } from '../../src/connections/retry.ts';
import { createHosts } from '../../src/hosts/create-hosts.ts';
import { DEFAULT_LIMITS } from '../../src/shared/limits.ts';
import { startThreadPool, type ThreadPool } from './thread-pool.ts';
import { type Handler, json, startUpstream, type Upstream } from '../bindings/upstream-server.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const binding = { kind: 'rest', connection: 'api', method: 'GET', path: '/items/{id}' } as const;
const TOOLS: EgressTools = {
  item: { inputSchema: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }, binding },
};

interface Scene {
  readonly server: Upstream;
  readonly audit: AuditTrail;
  readonly connection: CompiledConnection;
  readonly pool: ThreadPool;
  send(ask: EgressAsk, more?: Partial<EgressRequest>): Promise<EgressSettled>;
  get(path: string, more?: Partial<EgressRequest>): Promise<EgressSettled>;
  post(path: string, more?: Partial<EgressRequest>, request?: Partial<FetchRequest>): Promise<EgressSettled>;
  records(): Promise<Record<string, unknown>[]>;
  unsafe: number;
}

let pool: ThreadPool;
t.before(async () => {
  pool = await startThreadPool(TOOLS);
});
t.teardown(() => pool.close(0));

function fetchAsk(path: string, method: string, more: Partial<FetchRequest> = {}): EgressAsk {
  return { kind: 'fetch', request: { op: 'fetch', connection: 'api', url: path, method, headers: {}, ...more } };
}

/** `t.testdir` would empty the one of an earlier scene of the same test. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'leasehold-egress-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function scene(t: Test, handler: Handler, ports: Partial<EgressCallPorts> = {}): Promise<Scene> {
  const server = await startUpstream(handler);
  t.teardown(() => server.close());
  const audit = await createAuditLog({ dataDir: folder(t), mode: 'grouped', supervisorId: 'test' });
  t.teardown(() => audit.close());
  const connection: CompiledConnection = { slot: 'api', type: 'none', origins: [server.origin] };
  const egressCall = createEgressCall({ audit, privateOrigins: [server.origin], random: () => 0.1, ...ports });
  const made: Scene = {
    server,
    audit,
    connection,
    pool,
    unsafe: 0,
    send: (ask, more = {}) =>
      egressCall({
        tenant: 'acme',
        pool,
        connection,
        ask,
        body: new Uint8Array(),
        upstreamBytes: 65_536,
        subject: { issuer: 'leasehold', subject: 'ada', correlation: '01JD', trace: TRACE, parent: '01JD' },
        traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
        deadline: (ports.now ?? Date.now)() + 20_000,
        repeatable: false,
        signal: new AbortController().signal,
        onUnsafeSent: () => {
          made.unsafe += 1;
        },
        ...more,
      }),
    get: (path, more) => made.send(fetchAsk(path, 'GET'), more),
    post: (path, more, request) => made.send(fetchAsk(path, 'POST', request), more),
    async records() {
      await audit.flush();
      const lines = readFileSync(`${audit.folder}/acme.jsonl`, 'utf8').trim().split('\n');
      return lines.map((line) => (JSON.parse(line) as { event: Record<string, unknown> }).event);
    },
  };
  return made;
}
const failureCode = (settled: EgressSettled) => (settled.ok ? 'ok' : settled.failure.code);
const textOf = (settled: EgressSettled) =>
  settled.ok && settled.body instanceof Uint8Array ? Buffer.from(settled.body).toString() : '';

t.test('a declared tool and a fetch: recorded before and after, with the same context', async (t) => {
  const s = await scene(t, (request, response) => json(response, { url: request.url }));
  const bound = await s.send({ kind: 'binding', tool: 'item', binding }, { body: Buffer.from('{"id":"q-secret-value"}') });
  t.strictSame(JSON.parse(textOf(bound)), { content: [{ type: 'text', text: '{"url":"/items/q-secret-value"}' }] });
  t.match(await s.get('/a?b=1'), { ok: true, http: { status: 200, url: `${s.server.origin}/a?b=1` } });
  t.match(s.server.received[1]?.headers['traceparent'], TRACE);
  const records = await s.records();
  t.match(records, [
    {
      kind: 'egress.request',
      tenant: 'acme',
      issuer: 'leasehold',
      subject: 'ada',
      correlation: '01JD',
      trace: TRACE,
      parent: '01JD',
      connection: 'api',
      method: 'GET',
      origin: s.server.origin,
      attempt: 1,
    },
    { kind: 'egress.outcome', connection: 'api', status: 200, outcome: 'ok', durationMs: Number },
    { kind: 'egress.request', attempt: 1 },
    { kind: 'egress.outcome', outcome: 'ok' },
  ]);
  t.equal(records[0]?.['id'], records[1]?.['id']);
  t.not(records[0]?.['id'], records[2]?.['id']);
  t.notMatch(JSON.stringify(records), /q-secret-value|b=1/, 'no value of an argument, no query');
  t.equal(s.unsafe, 0);
});

t.test('no record, no request', async (t) => {
  const s = await scene(t, (_, response) => json(response, {}));
  await s.audit.close();
  t.equal(failureCode(await s.post('/')), 'audit_unavailable');
  t.equal(s.server.received.length, 0);
  t.equal(s.unsafe, 0);
});

t.test('an outcome that cannot be recorded after an unsafe request is unknown', async (t) => {
  let appended = 0;
  const once: AuditLog = {
    append: async () => {
      appended += 1;
      if (appended % 2 === 0) throw new Error('full');
    },
    healthy: () => true,
    close: async () => undefined,
  };
  const s = await scene(t, (_, response) => json(response, {}), { audit: once });
  t.equal(failureCode(await s.post('/')), 'outcome_unknown');
  t.equal(failureCode(await s.get('/')), 'audit_unavailable');
  t.equal(s.server.received.length, 2);
});

t.test('transient answers are repeated where that is harmless, and only there', async (t) => {
  const failing = new Map<string, number>();
  const s = await scene(t, ({ url }, response) => {
    const left = failing.get(url) ?? Number(new URL(url, 'http://x').searchParams.get('fail'));
    failing.set(url, left - 1);
    const status = Number(new URL(url, 'http://x').searchParams.get('status') ?? 503);
    if (left > 0) json(response, {}, status, { 'retry-after': new URL(url, 'http://x').searchParams.get('after') ?? '0' });
    else json(response, { done: true });
  });
  const sent = () => s.server.received.splice(0).length;
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
    t.equal(failureCode(await s.send(fetchAsk(`/${method}?fail=2`, method))), 'ok', method);
    t.equal(sent(), 3, method);
  }
  t.equal(s.unsafe, 0);
  for (const method of ['POST', 'PATCH']) {
    t.equal(failureCode(await s.send(fetchAsk(`/${method}?fail=1&status=429`, method))), 'upstream_unavailable', method);
    t.equal(sent(), 1, method);
  }
  t.equal(s.unsafe, 2);
  t.equal(failureCode(await s.post('/key?fail=1', {}, { idempotencyKey: 'k' })), 'ok');
  t.equal(failureCode(await s.post('/declared?fail=1', { repeatable: true })), 'ok');
  t.equal(sent(), 4);
  t.equal(s.unsafe, 2);
  t.equal(failureCode(await s.get('/always?fail=99&status=429')), 'upstream_unavailable');
  t.equal(sent(), ATTEMPTS);
  t.equal(failureCode(await s.post('/gateway?fail=1&status=504')), 'outcome_unknown', 'a gateway without an answer');
  t.equal(sent(), 1);

  const long = await s.get('/long?fail=9&status=429&after=3600');
  t.match(
    long,
    { ok: false, failure: { code: 'upstream_unavailable', retryAfterMs: 3_600_000 } },
    'not waited for beyond the deadline',
  );
  const date = new Date(Date.now() + 3_600_000).toUTCString();
  const dated = await s.get(`/dated?fail=9&status=429&after=${encodeURIComponent(date)}`);
  t.ok(!dated.ok && (dated.failure.retryAfterMs ?? 0) > 3_500_000);
  t.equal(sent(), 2);
  const begun = performance.now();
  t.equal(failureCode(await s.get('/wait?fail=1&status=429&after=1')), 'ok');
  t.ok(performance.now() - begun >= 990, 'Retry-After is never undercut');
  t.equal(sent(), 2);
  const attempts = (await s.records()).filter(({ kind }) => kind === 'egress.request').map(({ attempt }) => attempt);
  t.strictSame(attempts.slice(0, 3), [1, 2, 3]);
});

t.test('a lost answer: repeated for GET, unknown for POST; what never left is tried again', async (t) => {
  const s = await scene(t, (_, response) => response.socket?.resetAndDestroy());
  t.equal(failureCode(await s.get('/')), 'upstream_unavailable');
  t.equal(s.server.received.length, ATTEMPTS);
  t.equal(failureCode(await s.post('/')), 'outcome_unknown');
  t.equal(s.server.received.length, ATTEMPTS + 1);

  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, 'close');
  const origin = `http://127.0.0.1:${port}`;
  const egressCall = createEgressCall({ audit: s.audit, privateOrigins: [origin], random: () => 0 });
  let unsafe = 0;
  const refused = await egressCall({
    tenant: 'acme',
    pool,
    connection: { ...s.connection, origins: [origin] },
    ask: fetchAsk('/', 'POST'),
    body: new Uint8Array(),
    upstreamBytes: 1000,
    subject: { correlation: 'nothing-left' },
    traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
    deadline: Date.now() + 10_000,
    repeatable: false,
    signal: new AbortController().signal,
    onUnsafeSent: () => {
      unsafe += 1;
    },
  });
  t.match(refused, { ok: false, failure: { code: 'upstream_unavailable', detail: 'ECONNREFUSED' } });
  t.equal(unsafe, ATTEMPTS);
  t.equal(
    (await s.records()).filter(({ correlation, kind }) => correlation === 'nothing-left' && kind === 'egress.request').length,
    ATTEMPTS,
  );
});

t.test('credentials, denials and arguments are final', async (t) => {
  const s = await scene(t, (_, response) => json(response, {}, 401));
  t.equal(failureCode(await s.get('/')), 'credential_rejected');
  t.equal(s.server.received.length, 1);
  t.equal(failureCode(await s.get('https://elsewhere.example/')), 'egress_denied');
  t.equal(failureCode(await s.get('http://[')), 'egress_denied');
  t.match(await s.send({ kind: 'binding', tool: 'item', binding }, { body: Buffer.from('{"id":"../x"}') }), {
    ok: false,
    failure: { code: 'arguments_invalid', path: '/id' },
  });
  t.equal(s.server.received.length, 1);
  const denied = (await s.records()).filter(({ outcome }) => outcome === 'denied');
  t.equal(denied.length, 3, 'a refusal is on record');
  const closed = await scene(t, (_, response) => json(response, {}), { privateOrigins: [] });
  t.equal(failureCode(await closed.get('/')), 'egress_denied', 'a private address without the word of the operator');
});

t.test('without a room for credentials, a connection that needs one is not served', async (t) => {
  const s = await scene(t, (_, response) => json(response, {}));
  const key = { owner: 'acme', secret: 'k' };
  const connection: CompiledConnection = { ...s.connection, type: 'basic', username: 'ada', password: key };
  t.equal(failureCode(await s.get('/', { connection })), 'not_connected');
  t.equal(s.server.received.length, 0);
});

t.test('a stopped call: the reason says how it ends', async (t) => {
  const s = await scene(t, () => undefined);
  for (const [reason, code] of [
    ['cancelled', 'cancelled'],
    ['deadline', 'deadline_exceeded'],
    ['drained', 'draining'],
  ] as const) {
    const stop = new AbortController();
    const before = s.server.received.length;
    const pending = s.get('/hang', { signal: stop.signal });
    while (s.server.received.length === before) await new Promise(setImmediate);
    stop.abort(reason);
    t.equal(failureCode(await pending), code);
    t.equal(failureCode(await s.get('/', { signal: stop.signal })), code, 'and nothing more is begun');
    t.equal(s.server.received.length, before + 1);
  }
  t.equal(failureCode(await s.get('/hang', { deadline: Date.now() + 150 })), 'deadline_exceeded');
  t.equal(failureCode(await s.get('/hang', { deadline: Date.now() - 1 })), 'deadline_exceeded');
  t.equal(failureCode(await s.post('/hang', { deadline: Date.now() + 150 })), 'outcome_unknown');

  const busy = await scene(t, (_, response) => json(response, {}, 429, { 'retry-after': '5' }));
  const stop = new AbortController();
  const waiting = busy.get('/', { signal: stop.signal });
  while ((await busy.records().catch(() => [])).length < 2) await new Promise(setImmediate);
  stop.abort('cancelled');
  t.equal(failureCode(await waiting), 'cancelled', 'also while it waits to repeat');
});

t.test('a lost thread after a POST: unknown', async (t) => {
  const own = await startThreadPool(TOOLS);
  t.teardown(() => own.close(0));
  const s = await scene(t, () => undefined);
  const pending = s.post('/', { pool: own });
  while (s.server.received.length === 0) await new Promise(setImmediate);
  await own.terminate();
  t.equal(failureCode(await pending), 'outcome_unknown');
  t.equal(s.unsafe, 1);
});

t.test('through a real host process, under its permissions', async (t) => {
  const s = await scene(t, ({ url, body }, response) =>
    json(response, { url, body, filler: url.includes('big') ? 'x'.repeat(200_000) : '' }),
  );
  const hosts = createHosts({ runDir: folder(t) });
  t.teardown(() => hosts.close(0));
  const tools = () => new TextEncoder().encode(JSON.stringify(TOOLS));
  const hosted = hosts.egressPool({ tenant: 'acme', cordon: 'shared', bundle: 'b', limits: DEFAULT_LIMITS, tools });
  const bound = await s.send({ kind: 'binding', tool: 'item', binding }, { pool: hosted, body: Buffer.from('{"id":"7"}') });
  t.match(textOf(bound), '/items/7');
  t.match(textOf(await s.post('/notes', { pool: hosted, body: Buffer.from('hello') })), '"body":"hello"');
  const big = await s.get('/big', { pool: hosted, upstreamBytes: 1_000_000 });
  if (!big.ok || big.body === undefined || big.body instanceof Uint8Array) throw new Error('a large body comes as a stream');
  let bytes = 0;
  for await (const chunk of big.body) bytes += chunk.byteLength;
  t.ok(bytes > 200_000);
  const named = `http://localhost:${s.server.port}`;
  const byName = createEgressCall({ audit: s.audit, privateOrigins: [named] });
  const request: Omit<EgressRequest, 'ask'> = {
    tenant: 'acme',
    pool: hosted,
    connection: { ...s.connection, origins: [named] },
    body: new Uint8Array(),
    upstreamBytes: 1000,
    subject: { correlation: '01JD' },
    traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
    deadline: Date.now() + 20_000,
    repeatable: false,
    signal: new AbortController().signal,
    onUnsafeSent: () => undefined,
  };
  t.match(
    await byName({ ...request, ask: fetchAsk('/named', 'GET') }),
    { ok: true, http: { status: 200 } },
    'names are looked up there',
  );
});

t.test('a lost host or thread of ours says nothing about the upstream', async (t) => {
  let healthy = false;
  const s = await scene(t, (_, response) => (healthy ? json(response, {}) : undefined));
  let host = 0;
  const hosts = createHosts({
    runDir: folder(t),
    onHost: (report) => {
      if (report.event === 'started') host = report.pid ?? 0;
    },
  });
  t.teardown(() => hosts.close(0));
  const tools = () => new TextEncoder().encode(JSON.stringify(TOOLS));
  const hosted = hosts.egressPool({ tenant: 'acme', cordon: 'shared', bundle: 'b', limits: DEFAULT_LIMITS, tools });
  const own = await startThreadPool(TOOLS);
  t.teardown(() => own.close(0));
  for (const [lost, end] of [
    [hosted, () => process.kill(host, 'SIGKILL')],
    [own, () => own.terminate()],
  ] as const) {
    healthy = false;
    const before = s.server.received.length;
    const pending = Array.from({ length: FAILURES_TO_OPEN }, () => s.post('/', { pool: lost }));
    while (s.server.received.length < before + FAILURES_TO_OPEN) await new Promise(setImmediate);
    await end();
    for (const settled of await Promise.all(pending)) t.equal(failureCode(settled), 'outcome_unknown');
    healthy = true;
    t.equal(failureCode(await s.post('/')), 'ok', 'the breaker let it through');
  }
});

t.test('the breaker opens per tenant and origin, and a probe closes it', async (t) => {
  let clock = 1_000_000;
  let healthy = false;
  const s = await scene(t, (_, response) => json(response, {}, healthy ? 200 : 503), { now: () => clock, random: () => 0 });
  for (let i = 0; i < FAILURES_TO_OPEN; i += 1) t.equal(failureCode(await s.post('/')), 'upstream_unavailable');
  t.equal(s.server.received.length, FAILURES_TO_OPEN);
  const open = await s.post('/');
  t.match(open, { ok: false, failure: { code: 'upstream_unavailable', retryAfterMs: 5000 } });
  t.equal(s.server.received.length, FAILURES_TO_OPEN, 'nothing was sent');
  const unsafeBefore = s.unsafe;
  await s.post('/');
  t.equal(s.unsafe, unsafeBefore);
  t.equal(failureCode(await s.post('/', { tenant: 'globex' })), 'upstream_unavailable');
  t.equal(s.server.received.length, FAILURES_TO_OPEN + 1, 'another tenant has its own');

  clock += 5000;
  t.equal(failureCode(await s.post('/')), 'upstream_unavailable');
  t.equal(s.server.received.length, FAILURES_TO_OPEN + 2, 'one probe');
  clock += 9999;
  t.match(await s.post('/'), { ok: false, failure: { retryAfterMs: 1 } }, 'a failed probe opens for twice as long');
  clock += 1;
  healthy = true;
  t.equal(failureCode(await s.post('/')), 'ok');
  t.equal(failureCode(await s.post('/')), 'ok');
});

t.test('breaker: pure', async (t) => {
  const step = fc.record({
    verdict: fc.constantFrom('success' as const, 'failure' as const, 'neutral' as const),
    passes: fc.integer({ min: 0, max: 70_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let state: BreakerState = CLOSED;
      let now = 0;
      let inARow = 0;
      for (const { verdict, passes } of steps) {
        now += passes;
        const admission = admit(state, now);
        if (admission.pass === undefined) {
          if (admission.retryAfterMs <= 0 || state.status !== 'open') throw new Error('refused without reason');
          continue;
        }
        if (admission.pass === 'probe' && admit(admission.state, now).pass !== undefined) throw new Error('two probes');
        state = settle(admission.state, admission.pass, verdict, now);
        inARow = verdict === 'failure' ? inARow + 1 : verdict === 'success' ? 0 : inARow;
        if (inARow >= FAILURES_TO_OPEN && state.status !== 'open') throw new Error('should be open');
        if (inARow === 0 && state.status === 'open' && verdict === 'success') throw new Error('should be closed');
      }
    }),
  );
  const open: BreakerState = { status: 'open', until: 10, opened: 1 };
  t.equal(settle(open, 'normal', 'success', 5), open, 'a late result of an older request decides nothing');
  t.strictSame(settle({ status: 'half-open', opened: 2 }, 'probe', 'neutral', 7), { status: 'open', until: 7, opened: 2 });
  t.equal(settle({ status: 'half-open', opened: 1 }, 'normal', 'failure', 5).status, 'half-open');
});

t.test('backoff, repeatability and policy: pure', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.option(fc.nat(100_000), { nil: undefined }),
      fc.nat(50_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, after, left, random) => {
        const wait = backoffMs(attempt, after, left, random);
        if (wait === undefined) return attempt >= ATTEMPTS || left <= Math.max(after ?? 0, 2000);
        return attempt < ATTEMPTS && wait < left && wait >= (after ?? 0) && wait <= Math.max(after ?? 0, 2000);
      },
    ),
  );
  t.ok(isRepeatableBinding({ ...binding, method: 'PUT' }));
  t.notOk(isRepeatableBinding({ ...binding, method: 'POST' }));
  t.ok(isRepeatableBinding({ ...binding, method: 'POST', idempotent: true }));
  t.notOk(isRepeatableBinding({ ...binding, idempotent: false }), 'a GET that says it is not');
  t.notOk(isRepeatableFetch({ op: 'fetch', connection: 'a', url: '/', method: 'patch', headers: {} }));

  const connection: CompiledConnection = { slot: 'a', type: 'none', origins: ['https://a.example', 'http://10.0.0.1:8080'] };
  t.strictSame(originPolicy(connection, ['http://10.0.0.1:8080', 'http://other'], 10), {
    origins: ['https://a.example', 'http://10.0.0.1:8080'],
    privateOrigins: ['http://10.0.0.1:8080'],
    maxResponseBytes: 10,
  });
  t.equal(targetOrigin('/x', connection), 'https://a.example');
  t.equal(targetOrigin('//evil.com/x', connection), 'https://evil.com');
  t.equal(targetOrigin('file:///x', connection), undefined);
});
