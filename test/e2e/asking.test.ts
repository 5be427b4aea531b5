// Asking the client: one handler for both eras, with the real clients; what was done stays done; a state opens for nobody else.
// Real hosts, threads, sockets, and an upstream that counts.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { toolset, writeTenant } from '../helpers/estate.ts';
import { type ClientAnswers, type ClientKind, connectClient } from '../helpers/mcp-clients.ts';
import { EventReader, type StreamEvent } from '../helpers/event-reader.ts';
import { init, initialize, legacy, modern, post, PREFIX } from '../helpers/mcp-wire.ts';
import { type ServedEstate, serve } from '../helpers/runtime.ts';

const CLIENTS: readonly ClientKind[] = ['sdk 1.32', 'client 2.4 default', 'client 2.4 pinned'];
const ALL = { elicitation: {}, sampling: {}, roots: {} };

async function upstream(t: Test): Promise<{ origin: string; seen: string[]; headers: NodeJS.Dict<string | string[]>[] }> {
  const seen: string[] = [];
  const headers: NodeJS.Dict<string | string[]>[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    headers.push(request.headers);
    const answer = JSON.stringify({ n: seen.length });
    if (request.url === '/large') response.end('x'.repeat(50_000));
    else setTimeout(() => response.end(answer), request.url === '/slow' ? 60 : 0);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, headers };
}

const NAME = 'Type.Object({ name: Type.String() })';
const TOOLS = `
  confirm: defineTool({ description: 'confirm', connections: { api: {} }, outputSchema: Type.Any(), async handler(_a, ctx) {
    const first = await ctx.connections.api.json('/first');
    const one = await ctx.elicit('one', { message: 'first ' + JSON.stringify(first), schema: Type.Object({ name: Type.String(), note: Type.Optional(Type.String({ default: 'none' })) }) });
    await ctx.store.subject.set('asked', 1);
    const second = await ctx.connections.api.json('/second');
    const two = await ctx.elicit('two', { message: 'second', schema: Type.Object({ color: Type.Enum(['red', 'blue']) }) });
    return { first, one, second, two };
  } }),
  caught: defineTool({ description: 'caught', outputSchema: Type.Any(), async handler(_a, ctx) {
    const before = await ctx.store.tenant.get('unwound');
    try { return { before, answer: await ctx.elicit('one', { message: '?', schema: ${NAME} }) }; }
    catch (e: any) { await ctx.store.tenant.set('unwound', e.code ?? String(e)); return { caught: e.code ?? String(e) }; }
    finally { (globalThis as any).finals = ((globalThis as any).finals ?? 0) + 1; }
  } }),
  finals: defineTool({ description: 'finals', handler: () => String((globalThis as any).finals ?? 0) }),
  many: defineTool({ description: 'many', connections: { api: {} }, outputSchema: Type.Any(), async handler(_a, ctx) {
    const ask = (key: string) => ctx.elicit(key, { message: key, schema: ${NAME} });
    const all = await Promise.all([ask('a'), ctx.connections.api.json('/slow').then(() => ask('b')), ctx.sample('m', { messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }], maxTokens: 5 }), ctx.roots()]);
    return { all };
  } }),
  leaf: defineTool({ description: 'leaf', connections: { api: {} }, outputSchema: Type.Any(), inputSchema: Type.Object({ n: Type.Integer() }), async handler({ n }, ctx) {
    await ctx.connections.api.json('/leaf' + n);
    return await ctx.elicit('name', { message: 'leaf ' + n, schema: ${NAME} });
  } }),
  nested: defineTool({ description: 'nested', outputSchema: Type.Any(), async handler(_a, ctx) {
    const two = await Promise.all([ctx.call('leaf', { n: 1 }), ctx.call('leaf', { n: 2 })]);
    return { two, own: await ctx.elicit('name', { message: 'own', schema: ${NAME} }) };
  } }),
  after: defineTool({ description: 'after', connections: { api: {} }, async handler(_a, ctx) {
    await ctx.connections.api.fetch('/effect', { method: 'POST', body: 'x' });
    await ctx.elicit('late', { message: '?', schema: ${NAME} });
    return 'never';
  } }),
  fickle: defineTool({ description: 'fickle', async handler(_a, ctx) {
    await ctx.elicit('sure', { message: 'delete ' + Math.random(), schema: ${NAME} });
    return 'deleted';
  } }),
  large: defineTool({ description: 'large', connections: { api: {} }, async handler(_a, ctx) {
    await (await ctx.connections.api.fetch('/large')).text();
    await ctx.elicit('late', { message: '?', schema: ${NAME} });
    return 'never';
  } }),
  partial: defineTool({ description: 'partial', async handler(_a, ctx) {
    return (await Promise.allSettled([ctx.elicit('e', { message: '?', schema: ${NAME} }), ctx.sample('s', { messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }], maxTokens: 5 })])).map((r) => r.status === 'fulfilled' ? 'ok' : r.reason.code).join(' ');
  } }),
  traced: defineTool({ description: 'traced', connections: { api: {} }, async handler(_a, ctx) { await ctx.call('leaf_traced', {}); return 'ok'; } }),
  leaf_traced: defineTool({ description: 'leaf_traced', connections: { api: {} }, async handler(_a, ctx) { await ctx.connections.api.fetch('/traced'); return 'ok'; } }),
`;

async function estate(
  t: Test,
  limits: Record<string, number> = {},
): Promise<{ served: ServedEstate; api: Awaited<ReturnType<typeof upstream>> }> {
  const api = await upstream(t);
  const tenant = { limits, connections: { api: { type: 'none', origins: [api.origin] } } };
  const tools = { 'ask.ts': toolset(TOOLS) };
  const served = await serve(t, {
    server: { egress: { privateOrigins: [api.origin] } },
    tenants: { acme: { tenant, tools }, globex: { tenant, tools } },
  });
  return { served, api };
}

interface Round {
  readonly args?: Record<string, unknown>;
  readonly answers?: unknown;
  readonly state?: unknown;
  readonly token?: string;
  readonly tenant?: string;
  readonly capabilities?: object;
}

interface Result {
  readonly resultType: string;
  readonly inputRequests?: { readonly [key: string]: { readonly method: string } };
  readonly requestState?: string;
  readonly structuredContent?: unknown;
  readonly content?: readonly { readonly text: string }[];
  readonly _meta?: { readonly 'leasehold/error'?: { readonly code: string } };
}

/** One request of the 2026 era. */
async function round(
  served: ServedEstate,
  tool: string,
  { args = {}, answers, state, capabilities = ALL, tenant = 'acme', token = served.token(tenant) }: Round = {},
) {
  const { body, headers } = modern('tools/call', {
    name: tool,
    arguments: args,
    ...(answers === undefined ? {} : { inputResponses: answers }),
    ...(state === undefined ? {} : { requestState: state }),
    _meta: { [`${PREFIX}clientCapabilities`]: capabilities },
  });
  const { status, json } = await post(served.endpoint(tenant), token, body, headers);
  const result = json?.result as Result | undefined;
  return {
    status,
    result,
    asks: Object.keys(result?.inputRequests ?? {}).toSorted(),
    state: result?.requestState ?? '',
    code: result?._meta?.['leasehold/error']?.code,
    data: result?.structuredContent,
    text: result?.content?.[0]?.text,
    error: json?.error,
  };
}

const accept = (content: object) => ({ action: 'accept', content });
const SAMPLED = { role: 'assistant', model: 'm', content: { type: 'text', text: 'hello' } } as const;

t.test('one handler, three clients, both eras: answers, defaults, decline', async (t) => {
  const { served, api } = await estate(t);
  for (const kind of CLIENTS) {
    api.seen.length = 0;
    const asked: string[] = [];
    const answers: ClientAnswers = {
      elicit({ message, requestedSchema }) {
        asked.push(message);
        if (requestedSchema.properties.color) return { action: 'accept', content: { color: 'blue' } };
        return { action: 'accept', content: { name: 'Ada' } };
      },
      sample: () => SAMPLED,
      roots: () => [{ uri: 'file:///home/ada', name: 'home' }],
    };
    await using client = await connectClient(kind, served.endpoint('acme'), served.token('acme'), answers);
    const { structuredContent } = await client.call('confirm', {});
    t.strictSame(
      structuredContent,
      {
        first: { n: 1 },
        one: { action: 'accept', content: { name: 'Ada', note: 'none' } },
        second: { n: 2 },
        two: { action: 'accept', content: { color: 'blue' } },
      },
      `${kind}: answers arrive, with defaults`,
    );
    t.strictSame(api.seen, ['GET /first', 'GET /second'], `${kind}: each request left once`);
    t.strictSame(asked, ['first {"n":1}', 'second'], `${kind}: each question was put once`);
    t.match(
      (await client.call('many', {})).structuredContent,
      { all: [{ action: 'accept' }, { action: 'accept' }, { model: 'm' }, [{ uri: 'file:///home/ada', name: 'home' }]] },
      `${kind}: all kinds at once`,
    );
    t.match(
      (await client.call('nested', {})).structuredContent,
      { two: [{ action: 'accept' }, { action: 'accept' }], own: { action: 'accept' } },
      `${kind}: nested`,
    );
    t.match((await client.call('after', {}))._meta, { 'leasehold/error': { code: 'elicit_after_effect' } }, kind);

    await using declining = await connectClient(kind, served.endpoint('acme'), served.token('acme'), {
      elicit: () => ({ action: 'decline' }),
    });
    t.strictSame(
      (await declining.call('caught', {})).structuredContent,
      { answer: { action: 'decline' } },
      `${kind}: decline is an answer`,
    );

    await using mute = await connectClient(kind, served.endpoint('acme'), served.token('acme'));
    t.match(
      await mute.call('fickle', {}).then(
        (r) => r._meta?.['leasehold/error'],
        (e) => e,
      ),
      kind === 'client 2.4 pinned' ? { code: -32021 } : { code: 'elicit_unsupported' },
      `${kind}: a client that cannot be asked`,
    );
  }
});

t.test('2026: rounds, and what a state is good for', async (t) => {
  const { served, api } = await estate(t);
  const first = await round(served, 'confirm');
  t.equal(first.result?.resultType, 'input_required');
  t.strictSame(first.result?.inputRequests?.['one']?.method, 'elicitation/create');
  t.notMatch(first.state, /first/);
  const again = await round(served, 'confirm', { answers: { other: accept({}) }, state: first.state });
  t.strictSame(again.asks, ['one'], 'a missing answer is asked for again');
  const unfit = await round(served, 'confirm', { answers: { one: accept({ name: 7 }) }, state: again.state });
  t.strictSame(unfit.asks, ['one'], 'one that does not fit, too');
  t.strictSame(api.seen, ['GET /first']);
  const second = await round(served, 'confirm', { answers: { one: accept({ name: 'Ada' }) }, state: unfit.state });
  t.strictSame(second.asks, ['two']);

  for (const pid of readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')) {
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('workers/host')) process.kill(Number(pid), 'SIGKILL');
  }
  let third = await round(served, 'confirm', { answers: { two: accept({ color: 'red' }) }, state: second.state });
  for (let tries = 0; third.code !== undefined && tries < 20; tries += 1) {
    t.match(third.code, /worker_lost|upstream_unavailable/);
    await delay(250);
    third = await round(served, 'confirm', { answers: { two: accept({ color: 'red' }) }, state: second.state });
  }
  t.match(
    third.data,
    { first: { n: 1 }, one: { content: { name: 'Ada' } }, second: { n: 2 }, two: { content: { color: 'red' } } },
    'after kill -9 of the hosts',
  );
  t.strictSame(api.seen, ['GET /first', 'GET /second'], 'each request left once, over all rounds and a dead host');
  const writes = (await served.audit('acme')).filter((event) => event.kind === 'store.write');
  const runs = (await served.audit('acme')).filter((event) => event.kind === 'call.request');
  t.notOk('resumes' in runs[0]);
  t.strictSame(
    runs.slice(1, 4).map((run) => run.resumes),
    runs.slice(0, 3).map((run) => run.correlation),
    'the audit says which goes on with which',
  );
  t.equal(writes.length, 1, 'so did each write');
  t.equal((await served.audit('acme')).filter((event) => event.outcome === 'input_required').length, 4);

  const answers = { one: accept({ name: 'Eve' }) };
  for (const [why, foreign] of Object.entries({
    subject: { token: served.token('acme', 'eve') },
    tenant: { tenant: 'globex' },
    arguments: { args: { x: 1 } },
    changed: { state: `${first.state.slice(0, -2)}${first.state.endsWith('AA') ? 'BB' : 'AA'}` },
    longer: { state: `${first.state}-TAMPERED` },
    empty: { state: '' },
    huge: { state: 'A'.repeat(60_000) },
  })) {
    const refused = await round(served, 'confirm', { answers, state: first.state, ...foreign });
    t.match(refused, { status: 400, error: { code: -32602 } }, `${why}: refused`);
  }
  t.match(await round(served, 'many', { answers, state: first.state }), { error: { code: -32602 } }, 'another tool');
  t.match(await round(served, 'confirm', { answers: 7 }), { error: { code: -32602 } }, 'answers that are no object');
  t.match(await round(served, 'confirm', { state: 7 }), { error: { code: -32602 } });
  t.match(await round(served, 'confirm', { answers: { one: { action: 'accept', content: { name: 'x'.repeat(300_000) } } } }), {
    error: { code: -32602 },
  });
  t.strictSame(api.seen.length, 2, 'nothing was sent for them');

  writeTenant(served.estate, 'acme', {
    tenant: { connections: { api: { type: 'none', origins: [api.origin] } } },
    tools: { 'ask.ts': toolset(`${TOOLS} more: defineTool({ description: 'more', handler: () => 'x' }),`) },
  });
  for (let tries = 0; tries < 100 && (await round(served, 'more')).error !== undefined; tries += 1) await delay(100);
  const swapped = await round(served, 'confirm', { answers, state: first.state });
  t.match(swapped, { status: 400, error: { code: -32602, message: /changed/ } }, 'the tools are others now');
});

t.test('2026: an abandoned run is seen by nobody; several questions; nested ones; capabilities', async (t) => {
  const { served, api } = await estate(t);
  const asked = await round(served, 'caught');
  t.strictSame(asked.asks, ['one']);
  t.equal((await round(served, 'finals')).text, '0', 'no catch and no finally of the author ran');
  t.strictSame((await round(served, 'caught', { answers: { one: { action: 'cancel' } }, state: asked.state })).data, {
    answer: { action: 'cancel' },
  });
  t.match(
    (await round(served, 'caught', { answers: { one: accept({ name: 'x' }) } })).data,
    { answer: { action: 'accept' } },
    'answers without a state are answers',
  );

  const responses: Record<string, unknown> = {
    a: accept({ name: 'a' }),
    b: { action: 'decline' },
    m: SAMPLED,
    roots: { roots: [{ uri: 'file:///x' }] },
  };
  let many = await round(served, 'many');
  t.match(
    many.result?.inputRequests,
    { a: { method: 'elicitation/create' }, m: { method: 'sampling/createMessage' }, roots: { method: 'roots/list' } },
    'asked together',
  );
  many = await round(served, 'many', { answers: { a: responses['a'], m: SAMPLED }, state: many.state });
  t.strictSame(many.asks, ['b', 'roots'], 'the one behind a slow request too');
  many = await round(served, 'many', { answers: responses, state: many.state });
  t.match(many.data, { all: [{ action: 'accept' }, { action: 'decline' }, { model: 'm' }, [{ uri: 'file:///x' }]] });
  t.strictSame(api.seen, ['GET /slow']);

  api.seen.length = 0;
  const nested = await round(served, 'nested');
  t.strictSame(nested.asks, ['0/name', '1/name'], 'keys are named by their place');
  const one = await round(served, 'nested', { answers: { '0/name': accept({ name: 'l1' }) }, state: nested.state });
  t.strictSame(one.asks, ['1/name']);
  const own = await round(served, 'nested', { answers: { '1/name': { action: 'decline' } }, state: one.state });
  t.strictSame(own.asks, ['name']);
  const done = await round(served, 'nested', { answers: { name: accept({ name: 'me' }) }, state: own.state });
  t.match(done.data, { two: [{ content: { name: 'l1' } }, { action: 'decline' }], own: { content: { name: 'me' } } });
  t.strictSame(api.seen.toSorted(), ['GET /leaf1', 'GET /leaf2']);

  t.match(await round(served, 'after'), { code: 'elicit_after_effect' });
  t.match(await round(served, 'large'), { code: 'journal_full' });
  const fickle = await round(served, 'fickle');
  t.match(
    await round(served, 'fickle', { answers: { sure: accept({ name: 'yes' }) }, state: fickle.state }),
    { code: 'replay_mismatch' },
    'a yes counts for the question that was read',
  );

  t.match(await round(served, 'fickle', { capabilities: {} }), {
    status: 400,
    error: { code: -32021, data: { requiredCapabilities: { elicitation: {} } } },
  });
  t.match(
    await round(served, 'fickle', { capabilities: { elicitation: { url: {} } } }),
    { error: { code: -32021 } },
    'a client without forms',
  );
  const partial = await round(served, 'partial', { capabilities: { sampling: {} } });
  t.strictSame(partial.asks, ['s'], 'only what the client declared');
  t.equal(
    (await round(served, 'partial', { capabilities: { sampling: {} }, answers: { s: SAMPLED }, state: partial.state })).text,
    'elicit_unsupported ok',
  );
});

const OTHERS = `import { definePrompt, defineResource, defineToolset, Type } from 'leasehold';
const schema = Type.Object({ name: Type.String() });
const greet = definePrompt({ description: 'greet', async handler(_a, ctx) { return JSON.stringify(await ctx.elicit('who', { message: 'Who?', schema })); } });
const card = defineResource({ uri: 'card://own', description: 'card', async handler(_a, ctx) { return JSON.stringify(await ctx.elicit('who', { message: 'Who?', schema })); } });
export default defineToolset({ prompts: { greet }, resources: { card } });
`;

t.test('prompts and resources ask too', async (t) => {
  const served = await serve(t, { tenants: { acme: { tools: { 'o.ts': OTHERS } } } });
  const told = JSON.stringify({ action: 'accept', content: { name: 'Ada' } });
  for (const kind of CLIENTS) {
    const elicit = () => ({ action: 'accept' as const, content: { name: 'Ada' } });
    await using client = await connectClient(kind, served.endpoint('acme'), served.token('acme'), { elicit });
    t.match(await client.sdk.getPrompt({ name: 'greet' }), { messages: [{ content: { text: told } }] }, `${kind}: prompt`);
    t.match(await client.sdk.readResource({ uri: 'card://own' }), { contents: [{ text: told }] }, `${kind}: resource`);
    await using mute = await connectClient(kind, served.endpoint('acme'), served.token('acme'));
    await t.rejects(mute.sdk.getPrompt({ name: 'greet' }), { code: kind === 'client 2.4 pinned' ? -32_021 : 50_206 }, kind);
  }
});

t.test('2025: a question is taken back when its call is cancelled, and ends with the deadline', async (t) => {
  const { served } = await estate(t, { callDeadlineMs: 3000, concurrentCalls: 1 });
  const [url, token] = [served.endpoint('acme'), served.token('acme')];
  const begun = await post(
    url,
    token,
    JSON.stringify({
      jsonrpc: '2.0',
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: ALL, clientInfo: { name: 'wire', version: '1' } },
    }),
  );
  const session = begun.headers.get('mcp-session-id') ?? '';
  const call = (id: number, name: string) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } });
  const asking = (id: number) => {
    const headers = { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' };
    return EventReader.open(url, init(token, { body: JSON.stringify(call(id, 'caught')), headers }));
  };
  const isQuestion = ({ message }: StreamEvent) => message?.method === 'elicitation/create';
  t.match((await legacy(url, token, session, call(6, 'finals'))).json, { id: 6, result: {} }, 'the pool is awake');
  const cancelled = await asking(7);
  t.ok((await cancelled.until(isQuestion)).some(isQuestion));
  await legacy(url, token, session, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
  const rest = await cancelled.rest();
  t.notOk(
    rest.some(({ message }) => message?.id === 7),
    'no answer to what was cancelled',
  );
  let late = await asking(8);
  for (let tries = 0; !late.response.headers.get('content-type')?.includes('event-stream') && tries < 50; tries += 1) {
    await delay(100); // the slot is free when the thread has let go
    late = await asking(8);
  }
  t.match(
    (await late.rest()).at(-1)?.message,
    { id: 8, result: { _meta: { 'leasehold/error': { code: 'deadline_exceeded' } } } },
    'the slot was free again, and nobody answered in time',
  );
});

t.test('2025: a bad answer, and an answer to nothing', async (t) => {
  const { served } = await estate(t);
  for (const bad of [{ action: 'accept', content: { name: 7 } }, { action: 'perhaps' }]) {
    await using client = await connectClient('client 2.4 default', served.endpoint('acme'), served.token('acme'), {
      elicit: () => bad as never,
    });
    t.match(await client.call('fickle', {}), { _meta: { 'leasehold/error': { code: 'answer_invalid' } } });
  }
  const { session } = await initialize(served.endpoint('acme'), served.token('acme'));
  for (const odd of [
    { jsonrpc: '2.0', id: 99, result: {} },
    { jsonrpc: '2.0', id: 'x', result: { a: 1 } },
    { jsonrpc: '2.0', id: 0, error: { code: 1, message: 'x' } },
  ]) {
    t.equal((await legacy(served.endpoint('acme'), served.token('acme'), session, odd)).status, 202);
  }
  t.match(
    (
      await legacy(served.endpoint('acme'), served.token('acme'), session, {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'finals' },
      })
    ).json,
    { id: 1, result: {} },
  );
});

t.test('trace context and baggage reach the upstream through a nested call, in both eras', async (t) => {
  const { served, api } = await estate(t);
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01';
  const trace = { traceparent, tracestate: 'vendor=1', baggage: 'user=ada,plan=x%20y' };
  const { body, headers } = modern('tools/call', { name: 'traced', arguments: {}, _meta: trace });
  t.match((await post(served.endpoint('acme'), served.token('acme'), body, headers)).json, {
    result: { resultType: 'complete' },
  });
  t.match(api.headers.at(-1), trace, 'from _meta');
  const { session } = await initialize(served.endpoint('acme'), served.token('acme'));
  await legacy(
    served.endpoint('acme'),
    served.token('acme'),
    session,
    { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'traced' } },
    trace,
  );
  t.match(api.headers.at(-1), trace, 'from headers');
  const odd = modern('tools/call', {
    name: 'traced',
    arguments: {},
    _meta: { traceparent: 'x', tracestate: 'a=1', baggage: 'a=1\r\nx-evil: 1' },
  });
  await post(served.endpoint('acme'), served.token('acme'), odd.body, { ...odd.headers, traceparent, tracestate: 'b=2' });
  const { traceparent: begun, tracestate, baggage } = api.headers.at(-1) ?? {};
  t.match(begun, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/, 'what is not well formed is not passed on');
  t.notOk(begun === traceparent || tracestate || baggage);
});
