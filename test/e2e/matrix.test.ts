// Every method of both eras against every caller who must not have it, and two tenants whose calls look the same.
import t from 'tap';
import { createToken } from '../../src/vault/access-token.ts';
import { EventReader } from '../helpers/event-reader.ts';
import { toolset } from '../helpers/estate.ts';
import { init, initialize, legacy, meta, modern, post, PREFIX, type Reply, rpc } from '../helpers/mcp-wire.ts';
import { serve } from '../helpers/runtime.ts';
import { CROSSING_TOOL, cross } from './crossing.ts';

const MANY = `import { definePrompt, defineResource, defineTool, defineToolset, Type } from 'leasehold';
const plain = defineTool({ description: 'plain', handler: () => 'x' });
const ask = defineTool({ description: 'ask', async handler(_a, ctx) {
  const answer = await ctx.elicit('sure', { message: 'Sure?', schema: Type.Object({ yes: Type.Boolean() }) });
  return answer.action === 'accept' ? 'yes' : 'no';
} });
const tools = Object.fromEntries(Array.from({ length: 510 }, (_, i) => ['many_' + i, plain]));
export default defineToolset({
  tools: { ...tools, ask },
  prompts: { hello: definePrompt({ description: 'hello', handler: () => 'hello' }) },
  resources: { a: defineResource({ uri: 'doc://a', description: 'a', handler: () => 'a' }) },
});
`;

const MODERN: readonly [string, Record<string, unknown>][] = [
  ['server/discover', {}],
  ['subscriptions/listen', { notifications: { toolsListChanged: true } }],
  ['tools/list', {}],
  ['tools/call', { name: 'ask', arguments: {} }],
  ['prompts/list', {}],
  ['prompts/get', { name: 'hello' }],
  ['resources/list', {}],
  ['resources/templates/list', {}],
  ['resources/read', { uri: 'doc://a' }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'hello' }, argument: { name: 'x', value: '' } }],
  ['no/such', {}],
];
const LEGACY: readonly [string, Record<string, unknown>][] = [
  ['initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'm', version: '1' } }],
  ['ping', {}],
  ['logging/setLevel', { level: 'info' }],
  ['resources/subscribe', { uri: 'doc://a' }],
  ['resources/unsubscribe', { uri: 'doc://a' }],
  ...MODERN.filter(([method]) => method !== 'server/discover' && method !== 'subscriptions/listen'),
];

/** What a caller can tell two answers apart by. */
function seen({ headers, status, text }: Reply, tenant = 'acme'): object {
  const plain = (value: string | null) => value?.replaceAll(tenant, '(tenant)') ?? null;
  return {
    status,
    body: plain(text.replace(/"correlationId":"[^"]+"/, '').replace(/[0-9A-HJKMNP-TV-Z]{26}/g, '')),
    challenge: plain(headers.get('www-authenticate')),
    session: headers.get('mcp-session-id'),
  };
}

await t.test('who may not call is told the same, whatever is there', async (t) => {
  const served = await serve(t, { tenants: { acme: { tools: { 'm.ts': MANY } }, globex: { tools: { 'm.ts': MANY } } } });
  const url = served.endpoint('acme');
  const nowhere = served.endpoint('nowhere');
  const { vault } = served;
  const old = createToken(vault.tokens, { tenant: 'acme', subject: 'ada', scopes: [], now: Date.now() });
  vault.tokens.revoke('acme', old.record.id, Date.now());
  const spent = createToken(vault.tokens, { tenant: 'acme', subject: 'ada', scopes: [], now: 1, expiresAt: Date.now() - 1 });
  const ada = served.token('acme');
  const bob = served.token('acme', 'bob');
  const strangers = { foreign: served.token('globex'), revoked: old.token, expired: spent.token, garbage: 'lh_acme_garbage' };
  const { session } = await initialize(url, ada);

  const methods: [string, (url: string, token: string | undefined) => Promise<Reply>][] = [
    ...MODERN.map(([method, params]): (typeof methods)[number] => [
      `modern ${method}`,
      (to, token) => {
        const { body, headers } = modern(method, params);
        return post(to, token, body, { ...headers, ...(typeof params['uri'] === 'string' ? { 'mcp-name': params['uri'] } : {}) });
      },
    ]),
    ...LEGACY.map(([method, params]): (typeof methods)[number] => [
      `legacy ${method}`,
      (to, token) => {
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
        return post(to, token, body, method === 'initialize' ? {} : { 'mcp-session-id': session });
      },
    ]),
    ['legacy batch', (to, token) => post(to, token, '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', { 'mcp-session-id': session })],
    [
      'legacy notification',
      (to, token) => post(to, token, '{"jsonrpc":"2.0","method":"notifications/cancelled"}', { 'mcp-session-id': session }),
    ],
    ...(['GET', 'DELETE'] as const).map((method): (typeof methods)[number] => [
      `legacy ${method}`,
      async (to, token) => {
        const headers = {
          accept: 'text/event-stream',
          'mcp-session-id': session,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        };
        const response = await fetch(to, { method, headers });
        return { status: response.status, headers: response.headers, text: await response.text(), json: undefined };
      },
    ]),
  ];
  for (const [name, send] of methods) {
    const none = await send(url, undefined);
    t.equal(none.status, 401, `${name} without a token`);
    t.strictSame(seen(none), seen(await send(nowhere, undefined), 'nowhere'), `${name}: no token, no tenant`);
    const answers = await Promise.all(Object.values(strangers).map(async (token) => seen(await send(url, token))));
    t.match(answers[0], { status: 401, session: null });
    for (const answer of answers) t.strictSame(answer, answers[0], `${name}: one refusal for all strangers`);
    t.strictSame(answers[0], seen(await send(nowhere, strangers.garbage), 'nowhere'), `${name}: as where no tenant is`);
  }

  await t.test('another user’s session', async (t) => {
    for (const [name, send] of methods.filter(([name]) => name.startsWith('legacy') && name !== 'legacy initialize')) {
      const his = seen(await send(url, bob));
      t.match(his, { status: 404 }, name);
    }
    const message = { jsonrpc: '2.0', id: 1, method: 'ping' };
    t.strictSame(
      seen(await legacy(url, bob, session, message)),
      seen(await legacy(url, bob, 'A'.repeat(32), message)),
      'as one that never was',
    );
    t.match((await legacy(url, ada, session, message)).json, { result: {} }, 'and it is still hers');
  });

  await t.test('another user’s cursor', async (t) => {
    const cursor = (await rpc(url, ada, 'tools/list')).json?.result?.nextCursor ?? '';
    t.ok(cursor);
    const list = (token: string, at: string) => rpc(url, token, 'tools/list', { cursor: at });
    t.match((await list(ada, cursor)).json, { result: { tools: [{ name: /^many_/ }] } });
    const forged = `${cursor.slice(0, -4)}AAAA`;
    t.match(await list(bob, cursor), { json: { error: { code: -32602 } } });
    t.strictSame(seen(await list(bob, cursor)), seen(await list(bob, forged)));
    t.strictSame(
      seen(await rpc(served.endpoint('globex'), served.token('globex'), 'tools/list', { cursor })),
      seen(await list(bob, forged)),
      'nor in another tenant',
    );
  });

  await t.test('another user’s requestState', async (t) => {
    const capabilities = { [`${PREFIX}clientCapabilities`]: { elicitation: { form: {} } } };
    const call = (to: string, token: string, more: object) =>
      rpc(to, token, 'tools/call', { name: 'ask', arguments: {}, ...more, _meta: meta(capabilities) });
    const asked = await call(url, ada, {});
    const requestState = (asked.json?.result as { requestState?: string } | undefined)?.requestState ?? '';
    t.match(asked.json, { result: { resultType: 'input_required' } });
    t.ok(requestState);
    const inputResponses = { sure: { action: 'accept', content: { yes: true } } };
    const forged = `${requestState.slice(0, -6)}AAAAAA`;
    const his = await call(url, bob, { requestState, inputResponses });
    t.match(his.json, { error: { code: -32602 } });
    t.strictSame(seen(his), seen(await call(url, bob, { requestState: forged, inputResponses })), 'as one that was made up');
    const other = await call(served.endpoint('globex'), served.token('globex'), { requestState, inputResponses });
    t.strictSame(seen(other, 'globex'), seen(his), 'nor in another tenant');
    t.match(
      (await call(url, ada, { requestState, inputResponses })).json,
      { result: { resultType: 'complete' } },
      'it is good for her',
    );
  });

  await t.test('another user’s subscription', async (t) => {
    const listening = modern('subscriptions/listen', { notifications: { toolsListChanged: true } }, 'mine');
    const hers = await EventReader.open(url, init(ada, listening));
    await hers.next();
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'mine', _meta: meta() } };
    for (const token of [bob, ada]) {
      t.equal(
        (await post(url, token, JSON.stringify(cancel), { 'mcp-protocol-version': '2026-07-28', 'mcp-method': cancel.method }))
          .status,
        202,
      );
    }
    const same = await EventReader.open(url, init(bob, listening));
    await same.next();
    same.leave();
    const closed = served.close();
    t.match(
      (await hers.rest()).map(({ message }) => message),
      [{ id: 'mine', result: { resultType: 'complete' } }],
      'nobody ended it before the server did',
    );
    await closed;
  });
});

await t.test('calls of two tenants that look the same never cross', async (t) => {
  const tools = { 'who.ts': toolset(CROSSING_TOOL) };
  const served = await serve(t, { tenants: { acme: { tools }, globex: { tools } } });
  const { answered, cancelled, crossed, failed } = await cross(served, 1000);
  t.strictSame({ crossed, failed, all: answered + cancelled }, { crossed: [], failed: [], all: 1000 });
  t.ok(cancelled > 0);
});
