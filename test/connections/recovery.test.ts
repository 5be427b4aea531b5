// Recovery as a table, through a whole running server: what an upstream does, how often it is asked, what the caller of the
// MCP tool is told, and what stands in the audit. Each row as a declared tool and from tool code.
import { createSocket } from 'node:dgram';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { FAILURES_TO_OPEN } from '../../src/connections/breaker.ts';
import { newGrant } from '../../src/connections/oauth/grant-facts.ts';
import { newCorrelationId } from '../../src/shared/ids.ts';
import { toolset } from '../helpers/estate.ts';
import { type Called, type ServedEstate, serve } from '../helpers/runtime.ts';
import { json, startUpstream, type Upstream } from '../bindings/upstream-server.ts';
import { FaultyServer } from './faulty-server.ts';

t.setTimeout(180_000);

/** One answer of the upstream, or none. */
type Reply = (response: ServerResponse) => unknown;
const ok: Reply = (response) => json(response, { done: true });
const okOnce: Reply = (response) => json(response, { done: true }, 200, { connection: 'close' });
const status =
  (code: number, headers: Record<string, string> = {}): Reply =>
  (response) =>
    json(response, {}, code, headers);
const reset: Reply = (response) => response.socket?.resetAndDestroy();
const resetInBody: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"half":', () => response.socket?.resetAndDestroy());
};
const hang: Reply = () => undefined;
const slowBody: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};
const html: Reply = (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Maintenance</h1>');
const inSeconds = (seconds: number) => ({ 'retry-after': String(seconds) });
/** Made when the answer leaves; a date has whole seconds. */
const onDate =
  (code: number, seconds: number): Reply =>
  (response) =>
    status(code, { 'retry-after': new Date(Date.now() + seconds * 1000).toUTCString() })(response);

/** `declared`: the tool says that it is idempotent. `keyed`: it has an idempotency key. */
type Kind = 'get' | 'post' | 'keyed' | 'declared';
const SLOTS = ['api', 'crm', 'absent', 'broken', 'mute'] as const;
type Slot = (typeof SLOTS)[number];

const KINDS: Record<Kind, readonly [method: string, binding: string, init: string, hints: string]> = {
  get: ['GET', '', '', ''],
  post: ['POST', '', '', ''],
  keyed: ['POST', `idempotencyKey: 'Idempotency-Key',`, `idempotencyKey: 'once',`, ''],
  declared: ['POST', 'idempotent: true,', '', 'annotations: { idempotentHint: true },'],
};
const TOOLS = toolset(
  SLOTS.flatMap((slot) =>
    Object.entries(KINDS).map(
      ([kind, [method, binding, init, hints]]) => `
  ${slot}_${kind}: rest({
    description: 'd', inputSchema: Type.Object({}), connection: '${slot}', method: '${method}', path: '/${slot}', ${binding}
  }),
  ${slot}_${kind}_code: defineTool({
    description: 'd', inputSchema: Type.Object({}), connections: { ${slot}: {} }, ${hints}
    handler: async (_, ctx) => {
      const init = { method: '${method}', ${init} };
      return JSON.stringify(await ctx.connections.${slot}.json('/${slot}', init));
    },
  }),`,
    ),
  ).join(''),
);

interface Scene extends ServedEstate {
  readonly upstream: Upstream;
  readonly server: FaultyServer;
  readonly names: Names;
  /** Answers in order; the last one repeats. */
  replies: readonly Reply[];
  /** A grant of ada's that is good now. */
  connect(): void;
  /** Requests since the last time that this was asked. */
  asked(): number;
}

/** Deadline of the tenant for rows that wait for one. */
const BRIEF_MS = 1500;

async function scene(t: Test): Promise<Scene> {
  const server = await FaultyServer.start();
  let answered = 0;
  const upstream = await startUpstream(({ url, headers }, response) => {
    if (url.startsWith('/crm') && !server.isGood(headers.authorization)) return json(response, {}, 401);
    const reply = scene.replies[Math.min(answered, scene.replies.length - 1)] ?? ok;
    answered += 1;
    reply(response);
  });
  const names = await startNames(t);
  t.teardown(() => Promise.all([server.close(), upstream.close()]));
  const named = (name: string) => ({ type: 'none', origins: [`http://${name}.test:${upstream.port}`] });
  const connections: Record<Slot, Record<string, unknown>> = {
    api: { type: 'none', origins: [upstream.origin] },
    crm: {
      type: 'oauth2',
      origins: [upstream.origin],
      endpoints: { authorization: `${server.origin}/authorize`, token: `${server.origin}/token` },
      clientId: 'c',
      scopes: ['read'],
    },
    absent: named('absent'),
    broken: named('broken'),
    mute: named('mute'),
  };
  const origins = Object.values(connections).flatMap(({ origins }) => origins as string[]);
  const tools = { 'all.ts': TOOLS };
  const served = await serve(t, {
    server: { egress: { privateOrigins: [...origins, server.origin], nameServers: [names.server] } },
    tenants: {
      acme: { tenant: { connections, limits: { concurrentCalls: 30, queueLength: 30 } }, tools },
      brief: { tenant: { connections, limits: { callDeadlineMs: BRIEF_MS } }, tools },
    },
  });
  const scene: Scene = {
    ...served,
    upstream,
    server,
    names,
    replies: [ok],
    connect() {
      const connection = served.runtime.registry.get('acme')?.config.connections.get('crm');
      if (connection?.type !== 'oauth2') throw new Error('the estate has it');
      const key = { tenant: 'acme', slot: 'crm', owner: { issuer: 'leasehold', subject: 'ada' } };
      served.vault.grants.put(key, newGrant(newCorrelationId(), connection.oauth, server.issue(), Date.now()));
    },
    asked() {
      answered = 0;
      return upstream.received.splice(0).length;
    },
  };
  // The pools are awake, so that a short deadline is spent on the upstream.
  for (const tenant of ['acme', 'brief']) for (const tool of ['api_get', 'api_get_code']) await served.retry(tenant, tool);
  return scene;
}

interface Names {
  /** `address:port` */
  readonly server: string;
  /** All names are at loopback. Else none is: `absent` does not exist, `broken` fails, and to `mute` there is no answer. */
  healthy: boolean;
}
async function startNames(t: Test): Promise<Names> {
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const name = query.toString('latin1', 13, 13 + (query[12] ?? 0));
    if (!names.healthy && name === 'mute') return;
    const end = query.indexOf(0, 12) + 5;
    const isFound = names.healthy && query.readUInt16BE(end - 4) === 1;
    const code = names.healthy ? 0 : name === 'absent' ? 3 : 2;
    const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80 + code, 0, 1, 0, isFound ? 1 : 0, 0, 0, 0, 0]);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    socket.send(Buffer.concat([head, query.subarray(12, end), ...(isFound ? [record] : [])]), port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  const names: Names = { server: `127.0.0.1:${socket.address().port}`, healthy: true };
  return names;
}

/** What the audit tells, a line for a record. */
function storyOf(records: readonly any[]): string[] {
  return records.flatMap((record) => {
    switch (record.kind) {
      case 'egress.request':
        return [`request ${record.attempt}`];
      case 'egress.outcome':
        return [[record.outcome, record.status].filter((part) => part !== undefined).join(' ')];
      case 'credential.rejected':
        return [`rejected ${record.failures}`];
      case 'grant.refresh':
        return ['refresh'];
      case 'grant.refreshed':
        return [`refreshed ${record.outcome}`];
      case 'call.outcome':
        return [`call ${record.code ?? record.outcome}`];
      default:
        return [];
    }
  });
}

/** Code, class and next action that the caller got, or the text of the result. */
function toldOf({ error, text }: Called): string {
  return error === undefined ? text : `${error.code} ${error.class} ${error.nextAction.do}`;
}

const DONE = '{"done":true}';
const UNAVAILABLE = 'upstream_unavailable transient retry';
const UNKNOWN = 'outcome_unknown internal none';
const THRICE = (outcome: string): string[] => [1, 2, 3].flatMap((attempt) => [`request ${attempt}`, outcome]);

interface Row {
  readonly name: string;
  readonly kind: Kind;
  readonly slot?: Slot;
  readonly tenant?: 'brief';
  readonly replies: readonly Reply[];
  /** What goes wrong with the grant before the call. */
  readonly before?: (server: FaultyServer) => void;
  readonly requests: number;
  readonly tokenRequests?: number;
  readonly told: string;
  /** The story of the audit, without the end of the call. */
  readonly audit: readonly string[];
  /** @default the same */
  readonly auditOfCode?: readonly string[];
  /** Least time that the call takes, and bounds of `afterMs`, in milliseconds. */
  readonly leastMs?: number;
  readonly afterMs?: readonly [least: number, most: number];
}

const REFUSED = ['request 1', 'credential_rejected 401', 'rejected 1', 'refresh'];
const ROWS: readonly Row[] = [
  // credentials
  {
    name: 'the token ran out on the way',
    kind: 'get',
    slot: 'crm',
    replies: [ok],
    before: (server) => server.expireAll(),
    requests: 2,
    tokenRequests: 1,
    told: DONE,
    audit: [...REFUSED, 'refreshed ok', 'request 2', 'ok 200'],
  },
  {
    name: 'the token ran out on the way of a POST: it was not carried out, so it is sent again',
    kind: 'post',
    slot: 'crm',
    replies: [ok],
    before: (server) => server.expireAll(),
    requests: 2,
    tokenRequests: 1,
    told: DONE,
    audit: [...REFUSED, 'refreshed ok', 'request 2', 'ok 200'],
  },
  {
    name: 'the grant was revoked at the service',
    kind: 'get',
    slot: 'crm',
    replies: [ok],
    before: (server) => server.revokeAll(),
    requests: 1,
    tokenRequests: 1,
    told: 'not_connected credential reauthorize',
    audit: [...REFUSED, 'refreshed refused'],
  },
  {
    name: '403 with insufficient_scope',
    kind: 'post',
    slot: 'crm',
    replies: [status(403, { 'www-authenticate': 'Bearer error="insufficient_scope", scope="write"' })],
    requests: 1,
    tokenRequests: 0,
    told: 'not_connected credential reauthorize',
    audit: ['request 1', 'scope_insufficient 403'],
  },
  // the upstream asks for time
  ...([429, 503] as const).flatMap((code): Row[] => [
    {
      name: `${code} with Retry-After in seconds`,
      kind: 'get',
      replies: [status(code, inSeconds(1)), ok],
      requests: 2,
      told: DONE,
      audit: ['request 1', `transient ${code}`, 'request 2', 'ok 200'],
      leastMs: 990,
    },
    {
      name: `${code} with Retry-After as a date`,
      kind: 'get',
      replies: [onDate(code, 2), ok],
      requests: 2,
      told: DONE,
      audit: ['request 1', `transient ${code}`, 'request 2', 'ok 200'],
      leastMs: 900,
    },
    {
      name: `${code} with Retry-After beyond the deadline`,
      kind: 'get',
      replies: [status(code, inSeconds(3600))],
      requests: 1,
      told: UNAVAILABLE,
      audit: ['request 1', `transient ${code}`],
      afterMs: [3_600_000, 3_600_000],
    },
    {
      name: `${code} with a date beyond the deadline`,
      kind: 'get',
      replies: [onDate(code, 3600)],
      requests: 1,
      told: UNAVAILABLE,
      audit: ['request 1', `transient ${code}`],
      afterMs: [3_580_000, 3_600_000],
    },
    {
      name: `${code} to a POST`,
      kind: 'post',
      replies: [status(code, inSeconds(1)), ok],
      requests: 1,
      told: UNAVAILABLE,
      audit: ['request 1', `transient ${code}`],
      afterMs: [1000, 1000],
    },
  ]),
  { name: '503 for good', kind: 'get', replies: [status(503)], requests: 3, told: UNAVAILABLE, audit: THRICE('transient 503') },
  // the answer is lost
  ...(
    [
      ['reset before the headers', reset],
      ['reset within the body', resetInBody],
    ] as const
  ).flatMap(([name, lost]): Row[] => [
    { name, kind: 'get', replies: [lost, ok], requests: 2, told: DONE, audit: ['request 1', 'transient', 'request 2', 'ok 200'] },
    { name: `${name}, for good`, kind: 'get', replies: [lost], requests: 3, told: UNAVAILABLE, audit: THRICE('transient') },
    { name: `${name}, POST`, kind: 'post', replies: [lost, ok], requests: 1, told: UNKNOWN, audit: ['request 1', 'transient'] },
    ...(['keyed', 'declared'] as const).map(
      (kind): Row => ({
        name: `${name}, POST ${kind}`,
        kind,
        replies: [lost, ok],
        requests: 2,
        told: DONE,
        audit: ['request 1', 'transient', 'request 2', 'ok 200'],
      }),
    ),
  ]),
  { name: '504', kind: 'post', replies: [status(504), ok], requests: 1, told: UNKNOWN, audit: ['request 1', 'transient 504'] },
  // no JSON
  ...(['get', 'post'] as const).map(
    (kind): Row => ({
      name: `HTML, ${kind}`,
      kind,
      replies: [html],
      requests: 1,
      told: 'upstream_invalid upstream contact_operator',
      audit: ['request 1', 'upstream_error 200'],
      auditOfCode: ['request 1', 'ok 200'], // any body is an answer, until the code reads it as JSON
    }),
  ),
  // no name
  ...(['absent', 'broken'] as const).flatMap((slot) =>
    (['get', 'post'] as const).map(
      (kind): Row => ({
        name: `a name that is ${slot}, ${kind}: nothing left, so it is tried again`,
        kind,
        slot,
        replies: [ok],
        requests: 0,
        told: UNAVAILABLE,
        audit: THRICE('transient'),
      }),
    ),
  ),
  {
    name: 'a name server that does not answer',
    kind: 'get',
    slot: 'mute',
    tenant: 'brief',
    replies: [ok],
    requests: 0,
    told: 'deadline_exceeded limit retry',
    audit: ['request 1', 'transient'],
  },
  // no answer in time
  ...(
    [
      ['hang', hang],
      ['slow body', slowBody],
    ] as const
  ).flatMap(([name, late]): Row[] => [
    {
      name,
      kind: 'get',
      tenant: 'brief',
      replies: [late],
      requests: 1,
      told: 'deadline_exceeded limit retry',
      audit: ['request 1', 'transient'],
    },
    {
      name: `${name}, POST`,
      kind: 'post',
      tenant: 'brief',
      replies: [late],
      requests: 1,
      told: UNKNOWN,
      audit: ['request 1', 'transient'],
    },
  ]),
];

t.test('the table', async (t) => {
  const s = await scene(t);
  for (const row of ROWS)
    for (const way of ['', '_code'] as const) {
      const { name, kind, slot = 'api', tenant = 'acme', tokenRequests = 0 } = row;
      await t.test(`${name}${way === '' ? '' : ', from code'}`, async (t) => {
        // A good answer, so that the breaker counts from nothing and the pools are awake; no connection is left, so that a name is looked up.
        if (slot === 'crm') s.connect();
        s.names.healthy = true;
        s.replies = [okOnce];
        t.equal(toldOf(await s.retry(tenant, `${slot}_get${way}`)), DONE);
        s.names.healthy = false;
        row.before?.(s.server);
        s.asked();
        s.replies = row.replies;
        const tokensBefore = s.server.tokenRequests.length;
        const before = (await s.audit(tenant)).length;
        const begun = performance.now();
        const called = await s.call(tenant, `${slot}_${kind}${way}`);
        const took = performance.now() - begun;
        t.equal(toldOf(called), row.told);
        t.equal(s.server.tokenRequests.length - tokensBefore, tokenRequests);
        const keys = s.upstream.received.map(({ headers }) => headers['idempotency-key']);
        t.equal(s.asked(), row.requests);
        if (way === '' && kind === 'keyed') t.ok(keys[0] !== undefined && new Set(keys).size === 1, 'the same key each time');
        const story = storyOf((await s.audit(tenant)).slice(before));
        const audit = (way === '' ? undefined : row.auditOfCode) ?? row.audit;
        t.strictSame(story, [...audit, `call ${called.error?.code ?? 'ok'}`]);
        if (row.leastMs !== undefined) t.ok(took >= row.leastMs, `waited for: ${took}`);
        const [least, most] = row.afterMs ?? [0, Number.POSITIVE_INFINITY];
        const after = called.error?.nextAction.afterMs ?? 0;
        t.ok(after >= least && after <= most, `afterMs ${after}`);
      });
    }
});

t.test('a revoked grant: one token request and one request, however many call', async (t) => {
  const s = await scene(t);
  s.connect();
  s.server.revokeAll();
  s.asked();
  for (const way of ['crm_get', 'crm_get_code']) {
    const all = await Promise.all(Array.from({ length: 20 }, () => s.call('acme', way)));
    for (const called of all) {
      t.equal(toldOf(called), 'not_connected credential reauthorize');
      t.match(called.error?.nextAction.url, `${s.runtime.url}/connect/`);
    }
  }
  t.equal(s.server.tokenRequests.length, 1);
  t.ok(s.asked() <= 20, 'those that were under way together, and none of the others');
});

t.test('the breaker opens for one tenant, says for how long, and one probe closes it', async (t) => {
  const s = await scene(t);
  s.asked();
  s.replies = [status(503)];
  for (let i = 0; i < FAILURES_TO_OPEN; i += 1) await s.call('acme', 'api_post');
  t.equal(s.asked(), FAILURES_TO_OPEN);
  const refused = await s.call('acme', 'api_get_code');
  t.equal(toldOf(refused), UNAVAILABLE);
  const afterMs = refused.error?.nextAction.afterMs ?? 0;
  t.ok(afterMs > 0 && afterMs <= 5000, `${afterMs}`);
  t.equal(s.asked(), 0, 'nothing is sent');
  s.replies = [ok];
  t.equal(toldOf(await s.call('brief', 'api_post')), DONE, 'another tenant has its own');
  s.asked();

  let release = (): void => undefined;
  const held: Reply = (response) => {
    release = () => ok(response);
  };
  s.replies = [held, ok];
  await delay(afterMs);
  const probe = s.call('acme', 'api_post');
  while (s.upstream.received.length === 0) await delay(5);
  t.equal(toldOf(await s.call('acme', 'api_post')), UNAVAILABLE, 'while one probes, nobody else asks');
  t.equal(s.upstream.received.length, 1);
  release();
  t.equal(toldOf(await probe), DONE);
  t.equal(toldOf(await s.call('acme', 'api_post')), DONE, 'closed');
});
