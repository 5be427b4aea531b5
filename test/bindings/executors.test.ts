// GraphQL and JSON-RPC tools: documents, requests, and what each answer of a real server becomes; then both through a whole server.
import t, { type Test } from 'tap';
import type { GraphqlBinding, JsonRpcBinding, LoadedBinding } from '../../src/boundary/binding.ts';
import type { EgressOrder } from '../../src/boundary/egress.ts';
import type { EgressResult } from '../../src/boundary/thread-messages.ts';
import { checkBinding } from '../../src/shared/binding-check.ts';
import { Clients } from '../../src/shared/net/clients.ts';
import { createResolve } from '../../src/shared/net/resolve.ts';
import { documentReader } from '../../src/tenants/toolset/graphql-document.ts';
import { DeclaredTools } from '../../workers/bindings/declared-tool.ts';
import { LeaseBook } from '../../workers/egress/lease.ts';
import { runOrder } from '../../workers/egress/run-order.ts';
import { serve } from '../helpers/runtime.ts';
import { FaultyServer } from '../connections/faulty-server.ts';
import { newGrant } from '../../src/connections/oauth/grant-facts.ts';
import type { OAuth2Connection } from '../../src/config/compiled.ts';
import { type Handler, json, type Received, startUpstream, type Upstream } from './upstream-server.ts';

t.setTimeout(120_000);
const read = await documentReader();
const ARGS = { type: 'object', properties: { a: {}, b: {} }, required: ['a'] };

function graphql(document: string, more: Partial<GraphqlBinding> = {}): LoadedBinding {
  const { operation } = read(document) as Extract<ReturnType<typeof read>, { ok: true }>;
  return { kind: 'graphql', connection: 'api', document, operation, ...more };
}
function jsonrpc(more: Partial<JsonRpcBinding> = {}): LoadedBinding {
  return { kind: 'jsonrpc', connection: 'api', rpcMethod: 'partner.search', ...more };
}

interface Scene {
  readonly server: Upstream;
  run(binding: LoadedBinding, args?: object, more?: { outputSchema?: object; key?: string }): Promise<EgressResult>;
}
async function scene(t: Test, handler: Handler): Promise<Scene> {
  const server = await startUpstream(handler);
  const clients = new Clients(createResolve());
  t.teardown(async () => {
    await clients.close();
    await server.close();
  });
  return {
    server,
    run(binding, args = {}, { outputSchema, key } = {}) {
      const tool = { inputSchema: { type: 'object' }, binding, ...(outputSchema === undefined ? {} : { outputSchema }) };
      const tools = new DeclaredTools({ tool: tool as never });
      const order: EgressOrder = {
        work: { kind: 'binding', tool: 'tool', ...(key === undefined ? {} : { idempotencyKey: key }) },
        policy: { origins: [server.origin], privateOrigins: [server.origin], maxResponseBytes: 65_536 },
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        timeoutMs: 10_000,
      };
      const rooms = { tools, clients, leases: new LeaseBook(), resultBytes: 1_000_000 };
      return runOrder(rooms, order, Buffer.from(JSON.stringify(args)), new AbortController().signal);
    },
  };
}
const resultOf = ({ body }: EgressResult) => JSON.parse(Buffer.from(body ?? []).toString() || 'null') as unknown;
const failureOf = ({ outcome }: EgressResult) => ('failure' in outcome ? outcome.failure : undefined);

t.test('documents: one query or mutation, in itself consistent, bounded', async (t) => {
  t.strictSame(
    read('query Q($a: Int!, $b: [String!] = ["x"], $c: Int! = 1) { x(a: $a, b: $b, c: $c) { ...F } } fragment F on X { y }'),
    {
      ok: true,
      operation: {
        type: 'query',
        name: 'Q',
        variables: [
          { name: 'a', required: true },
          { name: 'b', required: false },
          { name: 'c', required: false },
        ],
      },
    },
  );
  t.match(read('mutation { x }'), { operation: { type: 'mutation', variables: [] } });
  t.match(read('{ x }'), { operation: { type: 'query' } });
  for (const [document, reason] of [
    ['{', /cannot be read: Syntax Error.*line 1, column 2/],
    ['', /cannot be read/],
    ['{ a } { b }', /2 operations/],
    ['fragment F on X { y }', /0 operations/],
    ['subscription { x }', /subscription/],
    ['{ x } type Y { z: Int }', /defines types/],
    ['{ x(a: $a) }', /"\$a", which it does not declare/],
    ['query ($a: Int) { x }', /"\$a" and does not use it/],
    ['query ($a: Int, $a: Int) { x(a: $a) }', /"\$a" twice/],
    ['{ ...F }', /fragment "F", which it does not have/],
    ['{ x } fragment F on X { y }', /fragment "F" and does not use it/],
    ['{ ...F } fragment F on X { y } fragment F on X { z }', /fragment "F" twice/],
    ['{a'.repeat(10_000), /nested too deeply|more than 4000 tokens/i],
    [`{${'a '.repeat(5000)}}`, /4000 tokens/],
  ] as const)
    t.match(read(document), { ok: false, reason }, document.slice(0, 60));
});

t.test('the static check: every argument stands somewhere, every name is an argument', async (t) => {
  const found = (binding: LoadedBinding, inputSchema: object = ARGS) =>
    checkBinding({ inputSchema: inputSchema as Record<string, unknown>, binding }).map(({ at, reason }) => `${at} ${reason}`);
  t.strictSame(found(graphql('query ($a: Int!, $b: Int) { x(a: $a, b: $b) }')), []);
  t.strictSame(found(graphql('query ($a: Int!) { x(a: $a) }', { path: '/{b}/graphql' })), ['path uses "b", which is optional']);
  t.strictSame(found(graphql('query ($a: Int!) { x(a: $a) }')), ['inputSchema the argument "b" stands nowhere in the request']);
  t.strictSame(found(graphql('query ($a: Int!, $b: Int!) { x(a: $a, b: $b) }')), ['document uses "b", which is optional']);
  t.strictSame(found(graphql('query ($a: Int, $b: Int, $z: Int) { x(a: $a, b: $b, c: $z) }')), [
    'document uses "z", which is no argument',
  ]);
  t.strictSame(found(jsonrpc()), []);
  t.strictSame(found(jsonrpc({ params: ['a'] })), ['inputSchema the argument "b" stands nowhere in the request']);
  t.strictSame(found(jsonrpc({ params: ['a', 'z'], headers: { 'x-b': '{b}' } })), ['params uses "z", which is no argument']);
  t.strictSame(found(jsonrpc({ path: '/../x' })), ['path has the segment ".."']);
  t.strictSame(found(jsonrpc({ headers: { Authorization: 'x' } })), ['headers "Authorization" cannot be set']);
  t.strictSame(found(jsonrpc({ idempotencyKey: 'Cookie' })), ['idempotencyKey "Cookie" cannot be set']);
  t.strictSame(found(jsonrpc({ idempotencyKey: 'X-Key', headers: { 'x-key': 'v' } })), [
    'idempotencyKey "X-Key" stands in headers, too',
  ]);
});

t.test('GraphQL: only declared variables leave; data becomes the result', async (t) => {
  const s = await scene(t, (request, response) => json(response, { data: { got: JSON.parse(request.body) as object } }));
  const document = 'query Find($a: String!, $b: Int) { find(a: $a, b: $b) { id } }';
  const good = await s.run(
    graphql(document, { path: '/v1/{team}/graphql', headers: { 'x-team': '{team}' }, response: { select: 'got.variables' } }),
    {
      a: '"} mutation { drop }',
      team: 'red/..'.slice(0, 3),
      other: 'not declared',
    },
  );
  t.strictSame(resultOf(good), { content: [{ type: 'text', text: '{"a":"\\"} mutation { drop }"}' }] });
  const [sent] = s.server.received as [Received];
  t.match(sent, { method: 'POST', url: '/v1/red/graphql', headers: { 'content-type': 'application/json', 'x-team': 'red' } });
  t.match(sent.headers['accept'], /^application\/graphql-response\+json/);
  t.strictSame(JSON.parse(sent.body), { query: document, operationName: 'Find', variables: { a: '"} mutation { drop }' } });

  t.match(failureOf(await s.run(graphql('{ x }', { path: '/{team}/graphql' }), { team: '..' })), {
    code: 'arguments_invalid',
    path: '/team',
  });
  t.match(failureOf(await s.run(jsonrpc({ path: '/{team}/rpc' }), { team: '%2e%2e' })), { code: 'arguments_invalid' });
  t.match(failureOf(await s.run(jsonrpc({ headers: { 'x-a': '{a}' } }), { a: 'x\r\nhost: evil' })), {
    code: 'arguments_invalid',
    path: '/a',
  });
  t.equal(s.server.received.length, 1, 'what was refused never left');

  const typed = await s.run(
    graphql('{ x }', { response: { select: 'got' } }),
    {},
    { outputSchema: { type: 'object', required: ['query'] } },
  );
  t.match(resultOf(typed), { structuredContent: { query: '{ x }', variables: {} } });
  t.match(failureOf(await s.run(graphql('{ x }'), {}, { outputSchema: { type: 'object', required: ['absent'] } })), {
    code: 'upstream_invalid',
  });
});

t.test('GraphQL: what each answer is', async (t) => {
  let answer: { status?: number; type?: string; body: unknown } = { body: {} };
  const s = await scene(t, (_, response) => {
    response.writeHead(answer.status ?? 200, { 'content-type': answer.type ?? 'application/json' });
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
  });
  const query = graphql('{ x }', { response: { select: 'x' } });
  const mutation = graphql('mutation { x }');
  const of = async (binding: LoadedBinding, body: unknown, more: object = {}) => {
    answer = { body, ...more };
    return (await s.run(binding)).outcome;
  };
  const error = (code: string) => ({ message: 'no', extensions: { code } });

  t.match(await of(query, { data: { x: 1 }, errors: [] }), { status: 'ok' });
  t.match(await of(query, { errors: [{ message: 'Field "y" is unknown', path: ['x', 0] }] }), {
    status: 'upstream_error',
    failure: { code: 'upstream_error', data: { errors: [{ message: 'Field "y" is unknown', path: ['x', 0] }] } },
  });
  t.match(await of(query, { data: { x: [1] }, errors: [{ message: 'm' }] }), {
    failure: { code: 'upstream_error', message: /a part of what was asked/, data: { data: [1], errors: [{ message: 'm' }] } },
  });
  t.match(await of(query, { data: { x: 'y'.repeat(5000) }, errors: [{ message: 'z'.repeat(5000) }] }), {
    failure: { data: { data: undefined, errors: [{ message: 'z'.repeat(300) }] } },
  });
  // 4xx with the media type of GraphQL over HTTP is read in the same way.
  t.match(await of(query, { errors: [error('BAD_USER_INPUT')] }, { status: 400, type: 'application/graphql-response+json' }), {
    failure: { code: 'upstream_error', data: { errors: [{ code: 'BAD_USER_INPUT' }] } },
  });
  t.match(await of(query, { message: 'x' }, { status: 404 }), { failure: { code: 'upstream_error', data: { status: 404 } } });
  t.match(await of(query, { errors: [error('UNAUTHENTICATED')] }), { status: 'credential_rejected' });
  t.match(await of(query, { data: null, errors: [error('UNAUTHENTICATED')] }), { status: 'credential_rejected' });
  t.match(await of(mutation, { errors: [error('UNAUTHENTICATED')] }), { status: 'credential_rejected' }, 'not begun: sent again');
  t.match(
    await of(mutation, { data: null, errors: [error('UNAUTHENTICATED')] }),
    { status: 'upstream_error', failure: { code: 'credential_rejected' } },
    'begun: not sent again',
  );
  for (const forbidden of [error('FORBIDDEN'), { message: 'no', type: 'INSUFFICIENT_SCOPES' }])
    t.match(await of(query, { data: { x: null }, errors: [forbidden] }), {
      status: 'upstream_error',
      failure: { code: 'credential_rejected', message: /does not let the connected account/ },
    });
  t.match(await of(query, { data: { x: 1 }, errors: [{ message: 'slow', type: 'RATE_LIMITED' }] }), { status: 'transient' });
  t.match(await of(mutation, { data: { x: 1 }, errors: [error('THROTTLED')] }), { status: 'upstream_error' });
  for (const [body, detail] of [
    ['<html>', 'HTML instead of JSON'],
    ['{"data":', 'not JSON'],
    ['[{"data":{}}]', 'a list (a batch) instead of one answer'],
    ['null', 'not a JSON object'],
    ['{}', 'neither data nor errors'],
    ['{"data":null}', 'neither data nor errors'],
    ['{"errors":"x","data":{"x":1}}', 'errors that are no list'],
    ['', 'not JSON'],
  ] as const)
    t.match(await of(query, body), { status: 'upstream_error', failure: { code: 'upstream_invalid', detail } }, body);
  t.match(await of(query, { errors: [null, 1, 'x', { message: 1 }] }), { failure: { code: 'upstream_error' } });
});

t.test('JSON-RPC: params by name and by position; what each answer is', async (t) => {
  let reply: (id: number) => unknown = (id) => ({ jsonrpc: '2.0', id, result: { n: 1 } });
  let status = 200;
  const s = await scene(t, (request, response) => {
    const body = reply((JSON.parse(request.body) as { id: number }).id);
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  const sent = () => JSON.parse(s.server.received.at(-1)?.body ?? '') as Record<string, unknown>;
  t.strictSame(resultOf(await s.run(jsonrpc({ response: { select: 'n' } }), { a: 1, b: [2] })), {
    content: [{ type: 'text', text: '1' }],
  });
  t.match(sent(), { jsonrpc: '2.0', id: Number, method: 'partner.search', params: { a: 1, b: [2] } });
  t.equal(s.server.received[0]?.url, '/');
  const first = sent()['id'];
  await s.run(jsonrpc({ path: '/{a}', params: ['b', 'c', 'd'] }), { a: 'x', d: 4 });
  t.strictSame(sent()['params'], [null, null, 4]);
  t.not(sent()['id'], first);
  await s.run(jsonrpc({ params: ['b', 'c'] }), { b: 2 });
  t.strictSame(sent()['params'], [2]);
  await s.run(jsonrpc(), {});
  t.notOk('params' in sent());
  await s.run(jsonrpc({ idempotencyKey: 'Idempotency-Key' }), {}, { key: 'k-1' });
  t.equal(s.server.received.at(-1)?.headers['idempotency-key'], 'k-1');
  reply = (id) => ({ jsonrpc: '2.0', id, result: null });
  t.strictSame(resultOf(await s.run(jsonrpc())), { content: [{ type: 'text', text: 'null' }] });

  reply = (id) => ({ jsonrpc: '2.0', id, error: { code: -32602, message: 'Invalid params', data: { field: 'a' } } });
  const refused = {
    code: 'upstream_error',
    message: /JSON-RPC error -32602/,
    data: { code: -32602, message: 'Invalid params', data: { field: 'a' } },
  };
  t.match(failureOf(await s.run(jsonrpc())), refused);
  status = 400;
  t.match(failureOf(await s.run(jsonrpc())), refused, 'whatever the status');
  reply = () => ({ oops: true });
  t.match(failureOf(await s.run(jsonrpc())), { code: 'upstream_error', data: { status: 400 } });
  status = 200;
  reply = () => ({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } });
  t.match(failureOf(await s.run(jsonrpc())), { code: 'upstream_error', data: { code: -32700 } });
  for (const [detail, bad] of [
    ['the id of another request', (id: number) => ({ jsonrpc: '2.0', id: id + 1, result: 1 })],
    ['the id of another request', (id: number) => ({ jsonrpc: '2.0', id: String(id), result: 1 })],
    ['the id of another request', () => ({ jsonrpc: '2.0', id: null, result: 1 })],
    ['the id of another request', () => ({ jsonrpc: '2.0', result: 1 })],
    ['a list (a batch) instead of one answer', (id: number) => [{ jsonrpc: '2.0', id, result: 1 }]],
    ['a request or a notification instead of an answer', () => ({ jsonrpc: '2.0', method: 'x', params: [] })],
    ['not JSON-RPC 2.0', (id: number) => ({ id, result: 1 })],
    ['a result and an error', (id: number) => ({ jsonrpc: '2.0', id, result: 1, error: { code: 1, message: 'x' } })],
    ['neither a result nor an error', (id: number) => ({ jsonrpc: '2.0', id })],
    ['an error without code and message', (id: number) => ({ jsonrpc: '2.0', id, error: 'x' })],
    ['HTML instead of JSON', () => '<!doctype html>'],
    ['not JSON', () => ''],
  ] as const) {
    reply = bad;
    t.match(failureOf(await s.run(jsonrpc())), { code: 'upstream_invalid', detail }, `${detail}: ${JSON.stringify(bad(1))}`);
  }
});

t.test('through a whole server: files and TypeScript, recovery, and what the caller reads', async (t) => {
  const server = await FaultyServer.start();
  const seen = new Map<string, string[]>();
  let flaky = 0;
  const api = await startUpstream((request, response) => {
    const { url, headers, body } = request;
    const asked = JSON.parse(body || '{}') as { id: number; params?: unknown; variables?: object };
    if (url === '/graphql') {
      const isGood = server.isGood(headers.authorization);
      return json(
        response,
        isGood ? { data: { me: asked.variables } } : { errors: [{ message: 'x', extensions: { code: 'UNAUTHENTICATED' } }] },
      );
    }
    const key = String(headers['idempotency-key']);
    seen.set(key, [...(seen.get(key) ?? []), body]);
    if (flaky-- > 0) return json(response, {}, 503, { 'retry-after': '0' });
    return json(response, { jsonrpc: '2.0', id: asked.id, result: asked.params });
  });
  t.teardown(async () => {
    await server.close();
    await api.close();
  });
  const oauth = { endpoints: { authorization: `${server.origin}/authorize`, token: `${server.origin}/token` }, clientId: 'c' };
  const s = await serve(t, {
    server: { egress: { privateOrigins: [api.origin, server.origin] } },
    tenants: {
      acme: {
        tenant: {
          connections: {
            crm: { ...oauth, type: 'oauth2', origins: [api.origin], owner: 'user' },
            rpc: { type: 'none', origins: [api.origin] },
          },
        },
        tools: {
          'me.binding.json': JSON.stringify({
            kind: 'graphql',
            connection: 'crm',
            tools: {
              me: {
                description: 'Me',
                inputSchema: { type: 'object', properties: { a: { type: 'integer', default: 7 } } },
                document: 'query ($a: Int!) { me(a: $a) }',
                response: { select: 'me' },
              },
            },
          }),
          'rpc.binding.json': JSON.stringify({
            kind: 'jsonrpc',
            connection: 'rpc',
            tools: {
              pay: {
                description: 'Pay',
                inputSchema: { type: 'object', properties: { n: {} } },
                rpcMethod: 'pay',
                path: '/rpc',
                idempotencyKey: 'Idempotency-Key',
              },
              once: { description: 'Pay', rpcMethod: 'pay', path: '/rpc' },
            },
          }),
          'code.ts': `import { defineTool, defineToolset, graphql, jsonrpc, Type } from 'leasehold';
            const mine = graphql({ connection: 'crm', description: 'd', inputSchema: Type.Object({ a: Type.Integer() }),
              outputSchema: Type.Object({ a: Type.Integer() }), document: 'query ($a: Int!) { me(a: $a) }', response: { select: 'me' } });
            const sum = jsonrpc({ connection: 'rpc', description: 'd', inputSchema: Type.Object({ a: Type.Integer() }), method: 'sum', params: ['a'], path: '/rpc' });
            const both = defineTool({ description: 'd', handler: async (_, ctx) => JSON.stringify(await ctx.call(mine, { a: 3 })) });
            export default defineToolset({ tools: { mine, sum, both } });`,
        },
      },
      broken: {
        tenant: { connections: { api: { type: 'none', origins: [api.origin] } } },
        tools: {
          'x.binding.json': `{ "kind": "graphql", "connection": "api", "tools": { "t": { "description": "d",
            "document": "{ x " } } }`,
        },
      },
      mcp: { tools: { 'x.binding.json': '{ "kind": "mcp", "connection": "api", "tools": {} }' } },
      untyped: {
        tenant: { connections: { api: { type: 'none', origins: [api.origin] } } },
        tools: {
          'x.binding.json':
            '{ "kind": "jsonrpc", "connection": "api", "tools": { "t": { "description": "d", "document": "x" } } }',
        },
      },
    },
  });
  const problems = (id: string) => s.runtime.registry.get(id)?.problems;
  t.match(problems('broken'), [
    { file: 'tenants/broken/tools/x.binding.json', line: 2, reason: /tool "t": document cannot be read/ },
  ]);
  t.match(problems('mcp'), [{ reason: '/kind must be one of rest, graphql, jsonrpc' }]);
  t.match(problems('untyped'), [{ reason: /rpcMethod is missing/ }, { reason: /document is not a known setting/ }]);

  const connection = s.runtime.registry.get('acme')?.config.connections.get('crm') as OAuth2Connection;
  const key = { tenant: 'acme', slot: 'crm', owner: { issuer: 'leasehold', subject: 'ada' } };
  s.vault.grants.put(key, newGrant('G', connection.oauth, server.issue(), Date.now()));
  t.equal((await s.call('acme', 'me')).text, '{"a":7}');
  server.expireAll();
  const calls = await Promise.all(Array.from({ length: 20 }, (_, a) => s.call('acme', 'mine', { a })));
  t.strictSame(
    calls.map(({ result }) => result?.structuredContent?.a),
    Array.from({ length: 20 }, (_, a) => a),
  );
  t.equal(server.tokenRequests.length, 1, 'UNAUTHENTICATED under status 200 renews, once');
  t.equal((await s.call('acme', 'both')).text, '{"a":3}', 'nested');
  t.equal((await s.call('acme', 'sum', { a: 5 })).text, '[5]');

  flaky = 2;
  t.equal((await s.call('acme', 'pay', { n: 1 })).text, '{"n":1}');
  const [sameKey] = [...seen].filter(([name]) => name !== 'undefined');
  t.equal(sameKey?.[1].length, 3, 'repeated with one key');
  t.equal((await s.call('acme', 'pay', { n: 2 })).text, '{"n":2}');
  t.equal([...seen.keys()].filter((name) => name !== 'undefined').length, 2, 'another call has another key');
  flaky = 1;
  const before = seen.get('undefined')?.length ?? 0;
  t.match((await s.call('acme', 'once')).error, { code: 'upstream_unavailable', nextAction: { do: 'retry' } });
  t.equal(seen.get('undefined')?.length, before + 1, 'without a key it is not repeated');
});
