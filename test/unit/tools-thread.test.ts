// A tools thread from outside, over the messages that a host speaks: what handlers return and throw, what ctx does, who logs what.
import t, { type Test } from 'tap';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import type { Failure } from '../../src/shared/errors.ts';
import { type Answer, bundleFixture, type Ended, type Request, ToolsPool } from '../helpers/tools-pool.ts';

const fixture = fileURLToPath(new URL('../fixtures/tools/everything.ts', import.meta.url));
const script = await bundleFixture(fixture);
const bytes = (text: string) => new TextEncoder().encode(text);
const json = (value: unknown) => bytes(JSON.stringify(value));
const text = ({ outcome, result }: Ended) => result?.content?.[0]?.text ?? JSON.stringify(outcome);
const failure = ({ outcome }: Ended): Partial<Failure> => (outcome.status === 'error' ? outcome.failure : {});
const ok = (body?: Uint8Array): Answer => ({ reply: { status: 'ok' }, ...(body === undefined ? {} : { body }) });
const http = (status: number, body: string, headers = {}): Answer => ({
  reply: { status: 'ok', http: { status, headers, url: 'https://api.github.com/x' } },
  body: bytes(body),
});

async function ready(t: Test, limits = {}) {
  const pool = new ToolsPool(limits);
  t.teardown(() => pool.close());
  t.same(await pool.load(script, { owner: 'acme', nested: { a: [1] } }), { ok: true });
  return pool;
}

void t.test('the manifest is data, with all keywords of the schemas', async (t) => {
  const pool = await ready(t);
  const { instructions, tools } = await pool.describe();
  t.equal(instructions, 'Use with care.');
  const named = new Map(tools.map((tool) => [tool.name, tool]));
  t.match(named.get('typed'), {
    description: 'Arguments as they arrive',
    file: 'tools/fixture.ts',
    inputSchema: { properties: { name: { type: 'string', minLength: 2, audit: 'value' } } },
  });
  t.match(named.get('list_issues'), {
    binding: {
      kind: 'rest',
      connection: 'github',
      method: 'GET',
      path: '/repos/{owner}/issues',
      response: { select: '{items: [].number}' },
    },
    outputSchema: { type: 'object' },
  });
  t.same(named.get('fetches')?.connections, { github: { scopes: ['repo'] } });
  t.same(named.get('returns_text')?.inputSchema, { type: 'object', properties: {}, additionalProperties: false });
  t.equal(named.get('typed')?.binding, undefined);
});

void t.test('arguments: checked, defaults filled, the same for TypeBox and JSON schemas, never coerced', async (t) => {
  const pool = await ready(t);
  for (const tool of ['typed', 'declared']) {
    t.same(JSON.parse(text(await pool.call(tool, { name: 'Ada', address: {} }))), {
      name: 'Ada',
      address: { city: 'Paris' },
      limit: 20,
      tags: ['x'],
    });
    const wrong: [unknown, string, RegExp][] = [
      [{}, '/name', /is required/],
      [{ name: 'A' }, '/name', /2/],
      [{ name: 'Ada', limit: '3' }, '/limit', /integer/],
      [{ name: 'Ada', limit: 101 }, '/limit', /100/],
      [{ name: 'Ada', tags: ['a', 1] }, '/tags/1', /string/],
      [{ name: 'Ada', address: { 'a/b~c': 'x' } }, '/address/a~1b~0c', /integer/],
      [[], '', /object/],
      [null, '', /object/],
      ['text', '', /object/],
      [bytes('{"name":'), '', /JSON/],
      [bytes(`{"name":${'['.repeat(200_000)}`), '', /deep/],
    ];
    for (const [args, path, reason] of wrong) {
      const failed = failure(await pool.call(tool, args));
      t.match(failed, { code: 'arguments_invalid', path, reason });
    }
  }
  t.same(await pool.call('typed', bytes('{"name":"Ada","__proto__":{"x":1}}')).then(text).then(JSON.parse), {
    ['__proto__']: { x: 1 },
    name: 'Ada',
    limit: 20,
    tags: ['x'],
  });
  t.match(failure(await pool.call('returns_text', { extra: 1 })), {
    code: 'arguments_invalid',
    path: '/extra',
    reason: 'is not allowed',
  });
  t.match(failure(await pool.call('nothing')), { code: 'tool_unknown' });
  t.match(failure(await pool.call('list_issues')), { code: 'tool_unknown' }, 'declared tools do not run here');
});

void t.test('what a handler may return, and nothing by guessing', async (t) => {
  const pool = await ready(t);
  const result = async (tool: string) => (await pool.call(tool)).result;
  t.same(await result('returns_text'), { content: [{ type: 'text', text: 'hello' }] });
  t.same(await result('returns_nothing'), { content: [] });
  t.same(await result('returns_block'), { content: [{ type: 'text', text: 'one' }] });
  t.equal((await result('returns_blocks'))?.content?.length, 2);
  t.same(await result('returns_value'), { content: [{ type: 'text', text: '{"n":1}' }], structuredContent: { n: 1 } });
  t.same(await result('returns_array'), { content: [{ type: 'text', text: '[1,2]' }], structuredContent: [1, 2] });
  t.same(await result('returns_scalar'), { content: [{ type: 'text', text: '7' }], structuredContent: 7 });
  t.same(await result('returns_date').then((r) => r?.structuredContent), { at: '1970-01-01T00:00:00.000Z' });
  t.same(await result('returns_result_value'), { content: [{ type: 'text', text: '{"n":2}' }], structuredContent: { n: 2 } });
  const full = await pool.call('returns_result');
  t.same(full.outcome, { status: 'ok', meta: { 'x/y': 1 } });
  t.same(full.result, { content: [{ type: 'text', text: 'r' }], structuredContent: { a: 1 } });
  const large = await pool.call('returns_large');
  t.equal(text(large).length, 100_000);
  t.ok(
    pool.messages.some((message) => message.t === 'body'),
    'a large body is transferred',
  );

  const wrong = (await pool.describe()).tools.map((tool) => tool.name).filter((name) => name.startsWith('wrong_'));
  t.ok(wrong.length >= 17);
  for (const tool of wrong) {
    const failed = failure(await pool.call(tool));
    t.match(failed, { code: 'result_invalid', detail: /./ }, `${tool}: ${failed.detail?.split('\n')[0]}`);
  }
  t.match(failure(await pool.call('wrong_value')), { path: '/n', reason: /integer/ });
  for (const tool of ['large_value', 'large_utf8']) t.match(failure(await pool.call(tool)), { code: 'result_too_large' });
  t.same(pool.errors, []);
});

void t.test('a result of 200 MB is refused, not sent', async (t) => {
  const pool = await ready(t, { heapMb: 512 });
  t.match(failure(await pool.call('large_text')), { code: 'result_too_large' });
  t.equal(text(await pool.call('returns_text')), 'hello');
});

void t.test('what a handler throws: masked, unless it is meant for the caller', async (t) => {
  const pool = await ready(t);
  const names = (await pool.describe()).tools.map((tool) => tool.name).filter((name) => name.startsWith('throws_'));
  t.ok(names.length >= 19);
  const failures = new Map(await Promise.all(names.map(async (tool) => [tool, failure(await pool.call(tool))] as const)));
  for (const [tool, failed] of failures) {
    t.match(failed, { code: 'tool_failed', detail: /./ }, `${tool}: ${failed.detail?.slice(0, 80)}`);
    t.equal(failed.message, undefined, 'nothing of it is public');
    t.ok((failed.detail?.length ?? 0) <= 16_384);
    t.notMatch(failed.detail, /workers\/|node_modules/, 'no file of the machine');
  }
  const detail = (tool: string) => failures.get(tool)?.detail;
  t.match(detail('throws_error'), /^Error: secret detail\n    at .*acme@3f2a91c0\.js:\d+:\d+[\s\S]*caused by: Error: deeper/);
  t.match(detail('throws_null'), 'thrown: null');
  t.match(detail('throws_exit'), /process\.exit is not available in tools: return a value or throw a ToolError/);
  t.match(detail('throws_fetch'), /fetch is not available in tools: declare a connection/);
  t.match(detail('throws_require'), /"node:fs" is not available in tools/);
  t.match(detail('throws_stray'), /in a timer/);
  t.match(detail('throws_rejection'), /nobody waits/);
  t.notMatch(detail('throws_like_ours'), 'http://evil');
  t.match(failure(await pool.call('tool_error')), {
    code: 'tool_error',
    message: 'Try the other one',
    toolCode: 'other',
    data: { n: 1 },
    retryAfterMs: 1501,
  });
  const bad = failure(await pool.call('tool_error_bad'));
  t.same([bad.message?.length, bad.toolCode?.length, bad.data, bad.retryAfterMs], [4096, 128, undefined, undefined]);
  t.same(pool.errors, [], 'the thread has outlived them all');
});

void t.test('context: facts, variables, getContext', async (t) => {
  const pool = await ready(t);
  const client = { name: 'cli', version: '1' };
  const facts = JSON.parse(text(await pool.call('context', {}, { client, requestId: 'R-1', deadline: 12 })));
  t.same(facts, {
    tenant: 'acme',
    subject: 'ada@acme.com',
    scopes: ['issues:read'],
    client,
    vars: { owner: 'acme', nested: { a: [1] } },
    requestId: 'R-1',
    deadline: 12,
    same: true,
  });
});

void t.test('connections: fetch semantics, good enough for Octokit', async (t) => {
  const pool = await ready(t);
  const asked: Request[] = [];
  pool.answer = (request) => {
    asked.push(request);
    return http(404, 'not there', { 'content-type': 'text/plain' });
  };
  const facts = JSON.parse(text(await pool.call('fetches', { path: '/a?b=1' })));
  t.same(
    facts,
    [404, false, 'https://api.github.com/x', 'text/plain', 1, 'not there', true, 'not there'],
    'fetch does not throw on 404',
  );
  t.match(asked[0]?.ask, {
    op: 'fetch',
    connection: 'github',
    url: '/a?b=1',
    method: 'POST',
    headers: { 'x-one': '1', 'content-type': 'text/plain;charset=UTF-8' },
    idempotencyKey: 'k',
  });
  t.equal(Buffer.from(asked[0]?.body ?? []).toString(), 'hi');
  t.match(failure(await pool.call('reads_json')), { code: 'upstream_error', message: /status 404/ }, 'json does');
  t.same(asked.at(-1)?.ask.op === 'fetch' && asked.at(-1)?.ask, {
    op: 'fetch',
    connection: 'github',
    url: '/x',
    method: 'PATCH',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
  });
  const sent = asked.length;
  const refusals = text(await pool.call('bad_requests')).split('\n');
  t.equal(asked.length, sent, 'nothing of it is sent');
  t.match(refusals, [
    /GET has no body/,
    /not a header name/,
    /one line/,
    /not an HTTP method/,
    /longer than 8192/,
    /A body must be/,
    'gone',
  ]);

  pool.answer = () => http(200, 'streamed');
  t.equal(text(await pool.call('reads_stream')), 'streamed');
  pool.answer = () => http(200, 'no json');
  t.match(failure(await pool.call('reads_json')), { code: 'upstream_invalid' });
  pool.answer = () => undefined;
  t.equal(text(await pool.call('aborts_fetch')), 'enough');
  t.equal(text(await pool.call('undeclared')), 'undefined');

  pool.answer = ({ ask }) =>
    ask.op === 'fetch' && ask.url === 'https://api.github.com/repos/acme/site'
      ? http(200, '{"name":"site"}', { 'content-type': 'application/json; charset=utf-8' })
      : http(404, '{"message":"Not Found"}', { 'content-type': 'application/json' });
  t.same(JSON.parse(text(await pool.call('octokit'))), { status: 200, name: 'site', failed: 'HttpError 404' });
});

void t.test('failures of ctx: caught as LeaseholdError, or unchanged to the caller', async (t) => {
  const pool = await ready(t);
  const refused = {
    code: 'not_connected',
    url: 'http://127.0.0.1/connect/f/1',
    message: 'acme needs your GitHub account',
  } as const;
  pool.answer = () => ({ reply: { status: 'error', failure: refused } });
  t.same(JSON.parse(text(await pool.call('catches'))), {
    ours: true,
    code: 'not_connected',
    class: 'credential',
    nextAction: { do: 'reauthorize', url: refused.url },
    message: refused.message,
  });
  t.same(failure(await pool.call('lets_pass')), refused);
});

void t.test('store and nested calls', async (t) => {
  const pool = await ready(t);
  const asked: Request[] = [];
  pool.answer = (request) => {
    asked.push(request);
    const { ask } = request;
    if (ask.op === 'store') return ok(ask.action === 'get' && ask.key === 'k' ? json({ a: [1] }) : undefined);
    if (ask.op !== 'call') return undefined;
    if (ask.tool === 'list_issues') return ok(json({ content: [], structuredContent: { items: [1] } }));
    return ok(json({ content: [{ type: 'text', text: 'plain' }] }));
  };
  t.same(JSON.parse(text(await pool.call('stores'))), [{ a: [1] }, true, 'store_quota', 'TypeError']);
  t.match(
    asked.map(({ ask }) => ask),
    [
      { op: 'store', scope: 'subject', action: 'set', key: 'k', ttlMs: 1000 },
      { op: 'store', scope: 'tenant', action: 'get', key: 'k' },
      { op: 'store', scope: 'tenant', action: 'get', key: 'none' },
      { op: 'store', scope: 'tenant', action: 'delete', key: 'k' },
    ],
  );
  t.same(JSON.parse(text(await pool.call('nests'))), [{ items: [1] }, 'plain', 'plain']);
  t.same(
    asked.slice(-3).map(({ ask, body }) => [ask, Buffer.from(body ?? []).toString()]),
    [
      [{ op: 'call', tool: 'list_issues' }, '{"owner":"a"}'],
      [{ op: 'call', tool: 'by_name' }, '{"x":1}'],
      [{ op: 'call', tool: 'by_name' }, '{}'],
    ],
  );
  t.match(failure(await pool.call('nests_unknown')), { code: 'tool_failed', detail: /in no toolset/ });
});

void t.test('elicit: an answer resumes, keys are unique, an abandoned run is never unwound', async (t) => {
  const pool = await ready(t);
  pool.answer = ({ ask }) =>
    ask.op === 'ask' ? ok(json({ action: 'accept', content: { yes: true, note: 'none' } })) : undefined;
  const [answer, again] = JSON.parse(text(await pool.call('elicits')));
  t.same(answer, { action: 'accept', content: { yes: true, note: 'none' } });
  t.match(again, /must be unique/);
  pool.answer = () => ok(json({ action: 'decline' }));
  t.match(text(await pool.call('elicits')), '"decline"');
  t.match(failure(await pool.call('asks_for_too_much')), { detail: /"deep" is not a text, number, integer, boolean or choice/ });

  pool.answer = () => undefined;
  const { call, ended } = pool.begin('waits_for_user');
  const asked = await pool.seen((message) => message.t === 'request' && message.call === call);
  await pool.cancel(call, 'input_required');
  t.match(failure(await ended), { code: 'cancelled' }, 'the pool has its slot back');
  if (asked.t === 'request') {
    pool.hello?.port.postMessage({
      t: 'reply',
      call,
      request: asked.request,
      reply: { status: 'error', failure: { code: 'cancelled' } },
    });
  }
  t.equal(text(await pool.call('returns_text')), 'hello');
  t.equal(text(await pool.call('was_unwound')), 'false', 'no catch of the author has run');
  t.notOk(
    pool.messages.some((message) => message.t === 'notice' && message.call === call),
    'nothing is heard of it any more',
  );
});

void t.test('cancel: the signal tells why, what waits is released, drained ones may finish', async (t) => {
  const pool = await ready(t);
  pool.answer = ({ ask }) => (ask.op === 'store' ? ok() : undefined);
  for (const [reason, expected] of [
    ['cancelled', 'cancelled cancelled'],
    ['deadline', 'deadline deadline_exceeded'],
    ['drained', 'drained answered'],
  ] as const) {
    const { call, ended } = pool.begin('waits');
    await pool.seen((message) => message.t === 'notice' && message.call === call);
    await pool.cancel(call, reason);
    t.equal(text(await ended), expected);
  }
  pool.answer = () => undefined;
  const { call, ended } = pool.begin('lets_pass');
  await pool.seen((message) => message.t === 'request' && message.call === call);
  await pool.cancel(call, 'deadline');
  t.match(failure(await ended), { code: 'deadline_exceeded' });
  await pool.cancel(call, 'cancelled');
  await pool.cancel(4711, 'cancelled');
  t.same(pool.errors, []);
});

void t.test('a handler may return while requests are open', async (t) => {
  const pool = await ready(t);
  const [before] = pool.threadIds;
  const { call, ended } = pool.begin('forgets');
  t.equal(text(await ended), 'done');
  await pool.call('platform');
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(text(await pool.call('returns_text')), 'hello');
  t.same([pool.threadIds, pool.errors], [[before], []], 'the thread lives');
  const late = pool.messages.filter((message) => message.t !== 'body' && message.t !== 'pong' && message.call === call);
  t.equal(late.length, 2, 'after its end nothing is asked or told in the name of a call');
});

void t.test('log lines and progress belong to their call, and are bounded', async (t) => {
  const pool = await ready(t, { logLinesPerCall: 50 });
  const runs = ['ada', 'bob', 'cyd'].map((who) => ({ who, ...pool.begin('logs', { who, times: 10 }) }));
  await Promise.all(runs.map(({ ended }) => ended));
  for (const { who, call } of runs) {
    const lines = pool.messages.flatMap((m) =>
      m.t === 'notice' && m.call === call && m.notice.kind === 'log' ? [m.notice.message] : [],
    );
    t.equal(lines.length, 30);
    t.ok(
      lines.every((line) => line.startsWith(who)),
      `${who} has only lines of ${who}`,
    );
  }
  const flood = pool.begin('floods');
  await flood.ended;
  const flooded = pool.messages.filter((m) => m.t === 'notice' && m.call === flood.call);
  t.equal(flooded.length, 51);
  t.match(flooded.at(-1), { notice: { level: 'warn', message: 'More than 50 lines; the rest is dropped.' } });
  t.ok(flooded.every((m) => m.t === 'notice' && m.notice.kind === 'log' && m.notice.message.length <= 8192));
  const odd = pool.begin('odd_logs');
  t.match(failure(await odd.ended), { code: 'tool_failed', detail: /progress must be a number/ });
  const notices = pool.messages.flatMap((m) => (m.t === 'notice' && m.call === odd.call ? [m.notice] : []));
  t.match(notices, [
    { fields: { dropped: /JSON/ } },
    { message: /cannot be printed/ },
    { fields: { dropped: /8192/ } },
    {},
    { kind: 'progress', total: 2 },
  ]);
});

void t.test('what tools are given works', async (t) => {
  const pool = await ready(t);
  const seen = JSON.parse(text(await pool.call('platform')));
  const emitted = ['x', 1, 'y', 's', 'ss', null, 2, '1', 'hi', 'eA==', 36, 4, 'number', '{ a: 1 }', 'a/b', '1', 'tick', true];
  t.same(seen, [...emitted, 'undefined', 'ok works', 'ERR_ASSERTION']);
});

void t.test('a bundle that does not load is said so, to calls that wait for it too', async (t) => {
  const broken: [string, RegExp][] = [
    ['throw new Error("at load")', /at load[\s\S]*acme@3f2a91c0\.js:1/],
    ['module.exports = {', /SyntaxError/],
    ['throw null', /thrown: null/],
    ['module.exports = {}', /does not export its toolsets/],
    [
      'module.exports = { toolsets: [{ file: "tools/a.ts", toolset: {} }] }',
      /tools\/a\.ts: the default export must be defineToolset/,
    ],
    ['require("leasehold").defineTool({ description: "x", execute() {} })', /defineTool: use `handler`, not `execute`/],
    [
      'require("leasehold").defineTool({ description: "x", parameters: {}, handler() {} })',
      /use `inputSchema`, not `parameters`/,
    ],
    ['require("leasehold").defineTool({ description: "x", input: {}, handler() {} })', /use `inputSchema`, not `input`/],
    ['require("fs")', /"fs" is not available in tools: tools have no file system/],
    ['require("leasehold").getContext()', /outside a tool call/],
  ];
  const first = new ToolsPool();
  t.teardown(() => first.close());
  const early = first.call('x');
  for (const [source, detail] of broken) {
    t.match(await first.load(source), { ok: false, failure: { code: 'toolset_broken', detail } });
  }
  t.match(failure(await early), { code: 'toolset_broken', detail: /at load/ });
  const pool = new ToolsPool();
  t.teardown(() => pool.close());
  const l = 'const { defineTool, defineToolset, Type } = require("leasehold");';
  const bad = 'defineTool({ description: "x", inputSchema: Type.Object({ a: Type.String({ pattern: "(" }) }), handler() {} })';
  t.same(
    await pool.load(
      `${l} module.exports = { toolsets: [{ file: "tools/a.ts", toolset: defineToolset({ tools: { bad: ${bad} } }) }] }`,
    ),
    { ok: true },
  );
  await t.rejects(pool.describe(), /tools\/a\.ts: tool "bad" cannot be described/);
  t.match(failure(await pool.call('bad', { a: 'x' })), { code: 'tool_failed' });
});

void t.test('a late throw of no call ends the thread, and the next one serves', async (t) => {
  const pool = new ToolsPool();
  t.teardown(() => pool.close());
  const l = 'const { defineTool, defineToolset } = require("leasehold");';
  const late =
    'defineTool({ description: "x", handler() { setTimeout(() => { throw new Error("after the end") }, 20); return "fine" } })';
  const source = `${l} module.exports = { toolsets: [{ file: "tools/a.ts", toolset: defineToolset({ tools: { late: ${late} } }) }] }`;
  await pool.load(source);
  const [before] = pool.threadIds;
  t.equal(text(await pool.call('late')), 'fine');
  while (pool.errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.match(pool.errors[0], /after the end/);
  await pool.load(source);
  t.equal(text(await pool.call('late')), 'fine');
  t.not(pool.threadIds[0], before);
});

t.ok(isMainThread);
