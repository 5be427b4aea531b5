// More of an account than it has given: asked for before dispatch where a tool says so, and after a 403 where only the service knows.
// And connections that a run comes upon on its way.
import t from 'tap';
import { json, startUpstream } from '../bindings/upstream-server.ts';
import { modern, post } from '../helpers/mcp-wire.ts';
import { connectScene, linksOf } from './connect-scene.ts';
import { connectAs } from './visitor.ts';

t.setTimeout(240_000);
const URLS = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { url: {} } } };

t.test('a tool that needs more scopes asks before it is dispatched', async (t) => {
  const s = await connectScene(t);
  t.match(await connectAs(s, await s.link()), /is connected$/);
  t.equal((await s.call('acme', 'me')).text, '{"sub":"ada"}');
  const asked = await s.call('acme', 'more');
  const [link] = linksOf(asked);
  t.match(asked.error, { code: 'not_connected', class: 'credential' });
  t.match(link, { scopes: ['offline_access', 'openid', 'read'] }, 'all that was granted before, and what is new');
  t.equal(
    (await s.audit('acme')).filter(({ kind, tool }) => kind === 'call.request' && tool === 'more').length,
    0,
    'not dispatched',
  );
  if (link === undefined) throw new Error('no link');
  t.match(await connectAs(s, link), /is connected$/);
  t.equal((await s.call('acme', 'more')).text, '{"sub":"ada"}');
  t.equal((await s.call('acme', 'me')).text, '{"sub":"ada"}');
  t.match(
    s.vault.grants.list('acme'),
    [{ grant: { requested: ['offline_access', 'openid', 'read'] } }],
    'one grant, in place of the first',
  );
});

t.test('a 403 with insufficient_scope asks for what the service wants, once', async (t) => {
  let wants: string | undefined = 'Bearer realm="x", error="insufficient_scope", scope="read"';
  const api = await startUpstream((_request, response) =>
    wants === undefined ? json(response, { ok: true }) : json(response, { message: 'no' }, 403, { 'www-authenticate': wants }),
  );
  t.teardown(() => api.close());
  const s = await connectScene(t, { crm: { origins: [api.origin] }, privateOrigins: [api.origin] });
  t.match(await connectAs(s, await s.link()), /is connected$/);
  for (const tool of ['me', 'code']) {
    const called = await s.call('acme', tool);
    t.match(called.error, { code: 'not_connected', nextAction: { do: 'reauthorize' } }, tool);
    t.match(called.text, /wants more permissions than the account has given: read\./);
    t.match(linksOf(called), [{ scopes: ['offline_access', 'openid', 'read'], connection: 'crm' }]);
  }
  t.equal(api.received.length, 2, 'not repeated');
  // What the service says is a wish, not a word of ours.
  wants = 'Bearer error="insufficient_scope", scope="<b> read\\" x' + 'y'.repeat(5000) + '"';
  t.strictSame(
    linksOf(await s.call('acme', 'me'))[0]?.scopes.filter((scope) => scope.length > 256 || scope.includes('"')),
    [],
  );
  wants = 'Bearer error="insufficient_scope", scope="read"';
  const [link] = await s.links('code');
  if (link === undefined) throw new Error('no link');
  t.match(await connectAs(s, link), /is connected$/);
  const still = await s.call('acme', 'code');
  t.match(
    still.error,
    { code: 'credential_rejected', nextAction: { do: 'contact_operator' } },
    'it has them, and it is not enough',
  );
  wants = undefined;
  t.equal((await s.call('acme', 'code')).text, '{"ok":true}');
  wants = 'Bearer error="invalid_request"';
  t.match((await s.call('acme', 'me')).error, { code: 'upstream_error' }, 'another 403 is an answer like any other');
});

t.test('a run that comes upon a missing connection', async (t) => {
  const s = await connectScene(t);
  const asked = await s.call('acme', 'nested', { write: false });
  t.match(asked.error, { code: 'not_connected', nextAction: { do: 'reauthorize' } });
  const wire = async (args: object, more: object = {}): Promise<any> => {
    const { body, headers } = modern('tools/call', { name: 'nested', arguments: args, ...more, _meta: URLS });
    return (await post(s.endpoint('acme'), s.token('acme'), body, headers)).json;
  };
  t.match((await wire({ write: true })).result, {
    isError: true,
    _meta: { 'leasehold/error': { code: 'not_connected', data: { afterEffect: true } } },
    content: [{ text: /may have changed something before/ }],
  });
  const first = await wire({ write: false });
  const [link] = await s.links('nested', { args: { write: false } });
  if (link === undefined) throw new Error('no link');
  t.match(first.result, { resultType: 'input_required', inputRequests: { 'connect:crm': { params: { url: link.url } } } });
  const { requestState } = first.result;
  const retry = wire({ write: false }, { requestState, inputResponses: { 'connect:crm': { action: 'accept' } } });
  t.match(await connectAs(s, link), /is connected$/);
  t.equal((await retry).result.content[0].text, '{"sub":"ada"}', 'held while the browser was open, then run');
});

t.test('tool code is told where to connect, and not what opens the page', async (t) => {
  const s = await connectScene(t);
  const { text } = await s.call('acme', 'spy');
  const told = JSON.parse(text);
  t.match(told, { code: 'not_connected', nextAction: { do: 'reauthorize', url: /\/connect\// } });
  const link = await s.link();
  t.notOk(text.includes(link.code));
});

t.test('what am I connected to', async (t) => {
  const s = await connectScene(t, { tenant: { builtins: { connections: true } } });
  const rows = async (tool = 'my_connections', token?: string): Promise<any[]> => {
    const { result } = await s.call('acme', tool, {}, token === undefined ? {} : { token });
    return result.structuredContent.connections;
  };
  const { body, headers } = modern('tools/list');
  const listed: any = (await post(s.endpoint('acme'), s.token('acme'), body, headers)).json;
  const names = listed.result.tools.map((tool: { name: string }) => tool.name);
  t.ok(names.includes('my_connections'));
  t.strictSame(names, names.toSorted());
  const first = await rows();
  const link = await s.link();
  t.match(first, [
    { connection: 'crm', account: 'yours', state: 'not_connected', url: link.url, code: link.code },
    { connection: 'other', account: 'yours', state: 'not_connected' },
    { connection: 'shared', account: 'shared', state: 'needs_operator', message: /leasehold connection connect acme shared/ },
  ]);
  t.match(await connectAs(s, link), /is connected$/);
  t.match(await rows(), [{ connection: 'crm', state: 'ready' }, { state: 'not_connected' }, {}]);
  t.match((await s.call('acme', 'my_connections')).text, /^crm \(127\.0\.0\.1:\d+\): ready\nother .* Open http/);
  t.match(await rows('my_connections', s.token('acme', 'bob')), [{ state: 'not_connected' }, {}, {}], 'each his own');
  const through = await rows('mine');
  t.match(through, [{ state: 'ready' }, { state: 'not_connected' }, {}]);
  t.notOk('url' in through[1] || 'code' in through[1], 'not for tools');
  t.ok((await s.audit('acme')).some(({ kind, tool }) => kind === 'call.outcome' && tool === 'my_connections'));
  const off = await connectScene(t);
  t.match((await off.call('acme', 'my_connections')).rpcError, { code: -32602 }, 'only where it is switched on');
});
