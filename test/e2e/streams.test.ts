// Streams of both eras over the real server: subscriptions, log messages, mirrored parameters, sessions and what they survive.
import t from 'tap';
import { EventStore, ByteBudget } from '../../src/mcp/legacy/event-store.ts';
import { BATCH_MESSAGES } from '../../src/mcp/legacy/batch.ts';
import { paramHeaders } from '../../src/shared/param-headers.ts';
import { EventReader, type Told } from '../helpers/event-reader.ts';
import { init, initialize, legacy, modern, post, PREFIX, rpc, type RpcMessage } from '../helpers/mcp-wire.ts';
import { type ServedEstate, serve, serveFolder } from '../helpers/runtime.ts';
import { ESTATE, swap } from '../helpers/streams-estate.ts';

const SUBSCRIPTION = `${PREFIX}subscriptionId`;

function listen(served: ServedEstate, notifications: unknown, options: { token?: string; id?: unknown; tenant?: string } = {}) {
  const { tenant = 'acme', id = 7, token = served.token(tenant) } = options;
  return EventReader.open(served.endpoint(tenant), init(token, modern('subscriptions/listen', { notifications } as never, id)));
}
const methodIs = (method: string) => (event: { message: Told | undefined }) => event.message?.method === method;

t.test('2026-07-28', async (t) => {
  const served = await serve(t, ESTATE);
  const url = served.endpoint('acme');
  const ada = served.token('acme');

  await t.test('a subscription tells what was asked for, and nothing else', async (t) => {
    const asked = {
      toolsListChanged: true,
      promptsListChanged: false,
      resourceSubscriptions: ['doc://a', 'doc://items/1', 'doc://none'],
      other: 1,
    };
    const stream = await listen(served, asked, { id: 'sub "1"' });
    const foreign = await listen(served, { resourceSubscriptions: ['doc://a'], toolsListChanged: true }, { tenant: 'globex' });
    const prompts = await listen(served, { promptsListChanged: true });
    const [first] = await stream.until(() => true);
    t.match(first?.message, {
      method: 'notifications/subscriptions/acknowledged',
      params: { _meta: { [SUBSCRIPTION]: 'sub "1"' } },
    });
    t.strictSame(first?.message?.params?.['notifications'], {
      toolsListChanged: true,
      resourceSubscriptions: ['doc://a', 'doc://items/1'],
    });
    for (const uri of ['doc://items/2', 'doc://secret', 'doc://none', 'doc://items/1'])
      await served.call('acme', 'touch', { uri });
    const told = await stream.until(methodIs('notifications/resources/updated'));
    t.strictSame(
      told.map(({ message }) => message?.params),
      [{ _meta: { [SUBSCRIPTION]: 'sub "1"' }, uri: 'doc://items/1' }],
    );
    await swap(served, 'acme', 'bonjour');
    const changed = await stream.until(methodIs('notifications/tools/list_changed'));
    t.strictSame(
      changed.map(({ message }) => message?.method),
      ['notifications/tools/list_changed'],
    );
    t.strictSame(
      (await prompts.until(methodIs('notifications/prompts/list_changed'))).map(({ message }) => message?.method),
      ['notifications/subscriptions/acknowledged', 'notifications/prompts/list_changed'],
    );
    await served.call('globex', 'touch', { uri: 'doc://a' });
    const own = await foreign.until(methodIs('notifications/resources/updated'));
    t.equal(own.length, 2, 'nothing of the other tenant came in between');
    for (const one of [stream, foreign, prompts]) one.leave();
  });

  await t.test('a subscription needs a filter, a stream, scopes and room', async (t) => {
    for (const notifications of [
      undefined,
      1,
      { toolsListChanged: 1 },
      { resourceSubscriptions: 'x' },
      { resourceSubscriptions: [1] },
      { resourceSubscriptions: Array(257).fill('doc://a') },
    ]) {
      t.match((await rpc(url, ada, 'subscriptions/listen', { notifications } as never)).json?.error, { code: -32602 });
    }
    const { body, headers } = modern('subscriptions/listen', { notifications: {} } as never);
    t.equal((await post(url, ada, body, { ...headers, accept: 'application/json' })).status, 406);
    const scoped = await listen(
      served,
      { resourceSubscriptions: ['doc://secret'] },
      { token: served.token('acme', 'eve', ['other']) },
    );
    t.strictSame((await scoped.next())?.message?.params?.['notifications'], {}, 'who may not read it does not hear of it');
    scoped.leave();

    const bob = served.token('acme', 'bob');
    const open: EventReader[] = [];
    for (let i = 0; i < 32; i += 1) open.push(await listen(served, { toolsListChanged: true }, { token: bob }));
    const full = await listen(served, {}, { token: bob });
    t.match(await full.response.json(), { error: { data: { code: 'concurrency_limit' } } }, 'a subject has so many and no more');
    const other = await listen(served, {});
    t.equal(other.response.headers.get('content-type'), 'text/event-stream', 'others are not in its way');
    open[0]?.leave();
    let again = await listen(served, {}, { token: bob });
    for (let i = 0; i < 200 && again.response.headers.get('content-type') !== 'text/event-stream'; i += 1)
      again = await listen(served, {}, { token: bob });
    t.equal(again.response.headers.get('content-type'), 'text/event-stream', 'who leaves makes room');
    for (const one of [...open, other, again]) one.leave();
  });

  await t.test('a flood of updates is bounded, and a revoked token ends its streams', async (t) => {
    const token = served.token('acme', 'carol');
    const stream = await listen(served, { resourceSubscriptions: ['doc://a'] }, { token });
    await served.call('acme', 'flood');
    const { id } = served.vault.tokens.list('acme').find(({ subject }) => subject === 'carol') ?? { id: '' };
    served.vault.tokens.revoke('acme', id, Date.now());
    const all = await stream.rest();
    t.ok(all.length <= 1002, 'no more than a call may tell');
    t.strictSame(all.at(-1)?.message, {
      jsonrpc: '2.0',
      id: 7,
      result: { resultType: 'complete', _meta: { [SUBSCRIPTION]: 7 } },
    });
  });

  await t.test('log messages are for who asks, at its level, on its own request', async (t) => {
    const talk = (logLevel?: unknown) =>
      rpc(url, ada, 'tools/call', {
        name: 'talk',
        arguments: {},
        _meta: logLevel === undefined ? {} : { [`${PREFIX}logLevel`]: logLevel },
      });
    const lines = async (logLevel?: unknown) =>
      (await talk(logLevel)).text
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice(6)))
        .filter(({ method }) => method === 'notifications/message')
        .map(({ params }) => params);
    t.strictSame(await lines(), [], 'none without a level');
    t.strictSame(await lines('warning'), [
      { level: 'warning', logger: 'talk', data: 'careful' },
      { level: 'error', logger: 'talk', data: 'bad\nline' },
    ]);
    t.strictSame(
      (await lines('debug')).map(({ data }) => data),
      ['quiet', { message: 'said', fields: { n: 1 } }, 'careful', 'bad\nline'],
      'console stays with the author',
    );
    for (const wrong of ['loud', 3, null]) t.match(await talk(wrong), { status: 400, json: { error: { code: -32602 } } });
  });

  await t.test('a mirrored parameter says what the tool reads', async (t) => {
    const routed = (args: object, params: Record<string, string>) => {
      const { body, headers } = modern('tools/call', { name: 'routed', arguments: args } as never);
      return post(url, ada, body, {
        ...headers,
        ...Object.fromEntries(Object.entries(params).map(([name, value]) => [`mcp-param-${name}`, value])),
      });
    };
    const good: [object, Record<string, string>][] = [
      [{}, {}],
      [{ region: 'eu' }, { region: 'eu' }],
      [{ region: 'Zürich' }, { region: `=?base64?${Buffer.from('Zürich').toString('base64')}?=` }],
      [{ region: '=?base64?YQ' }, { region: '=?base64?YQ' }],
      [{ region: null }, {}],
      [{ size: 42 }, { size: '42.0' }],
      [{ deep: { on: true } }, { 'deep-on': 'true' }],
      [{}, { unknown: 'x' }],
    ];
    for (const [args, params] of good) {
      const { json, status } = await routed(args, params);
      t.match({ status, error: json?.error }, { status: 200, error: undefined }, JSON.stringify([args, params]));
    }
    const bad: [object, Record<string, string>][] = [
      [{ region: 'eu' }, {}],
      [{ region: 'eu' }, { region: 'EU' }],
      [{}, { region: 'eu' }],
      [{ region: null }, { region: 'null' }],
      [{ region: 'a' }, { region: '=?base64?YQ?=' }],
      [{ size: 42 }, { size: '0x2a' }],
      [{ size: 42 }, { size: '43' }],
      [{ deep: { on: true } }, { 'deep-on': 'True' }],
      [{ deep: { on: true } }, {}],
    ];
    for (const [args, params] of bad)
      t.match(await routed(args, params), { status: 400, json: { error: { code: -32020 } } }, JSON.stringify([args, params]));

    const faulty = (schema: object) => typeof paramHeaders({ type: 'object', ...schema }) === 'string';
    const mark = { type: 'string', 'x-mcp-header': 'A' };
    t.ok(faulty({ properties: { a: mark, b: { ...mark, 'x-mcp-header': 'a' } } }), 'twice');
    for (const name of ['', 'a b', 'a\r\nb', 1]) t.ok(faulty({ properties: { a: { type: 'string', 'x-mcp-header': name } } }));
    for (const type of ['number', 'object', 'array', undefined, ['string', 'null']])
      t.ok(faulty({ properties: { a: { type, 'x-mcp-header': 'A' } } }));
    for (const elsewhere of [
      { items: mark },
      { anyOf: [mark] },
      { $defs: { a: mark } },
      { properties: { a: { type: 'array', items: mark } } },
      { if: { properties: { a: mark } } },
      mark,
    ])
      t.ok(faulty(elsewhere));
    t.notOk(
      faulty({ properties: { 'x-mcp-header': { type: 'string' }, a: { default: mark, type: 'object' } } }),
      'a name and a value are no annotation',
    );
    t.strictSame(paramHeaders({ type: 'object', properties: { a: { type: 'object', properties: { b: mark } } } }), [
      { name: 'a', path: ['a', 'b'], type: 'string' },
    ]);
  });

  await t.test('the server’s end is graceful', async (t) => {
    const stream = await listen(served, { toolsListChanged: true });
    await stream.next();
    await served.close();
    t.match((await stream.rest()).at(-1)?.message, { id: 7, result: { resultType: 'complete' } });
  });
});

function stream(
  served: ServedEstate,
  session: string,
  more: Record<string, string> = {},
  token = served.token('acme'),
): Promise<EventReader> {
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream', 'mcp-session-id': session, ...more };
  return EventReader.open(served.endpoint('acme'), { headers });
}
const tool = (name: string, args: object = {}, id: unknown = 1, _meta?: object) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, ...(_meta === undefined ? {} : { _meta }) },
});
const say = (method: string, params: object = {}, id: unknown = 1) => ({ jsonrpc: '2.0', id, method, params });

t.test('sessions of the 2025 era', async (t) => {
  const served = await serve(t, ESTATE);
  const url = served.endpoint('acme');
  const ada = served.token('acme');
  const begin = async (version?: string) => (await initialize(url, ada, version)).session;

  await t.test('a call whose connection broke is taken up again', async (t) => {
    const session = await begin();
    const sent = init(ada, {
      body: JSON.stringify(tool('steps', { bytes: 3 }, 5, { progressToken: 'p' })),
      headers: { 'mcp-session-id': session },
    });
    const broken = await EventReader.open(url, sent);
    const primed = await broken.next();
    t.match(primed, { id: /^\d+-\d+$/, data: '' }, 'first an event to come back to');
    t.ok((primed?.retry ?? 0) > 0);
    const first = await broken.next();
    t.match(first?.message, { method: 'notifications/progress', params: { progress: 1 } });
    broken.leave();
    const resumed = await stream(served, session, { 'last-event-id': first?.id ?? '' });
    const rest = await resumed.rest();
    t.strictSame(
      rest.map(({ message }) => message?.method ?? message?.id),
      ['notifications/progress', 5],
      'the rest of this stream, once, and its end',
    );
    t.match(rest.at(-1)?.message?.result, { content: [{ text: 'xxx' }] });
    const all = await (await stream(served, session, { 'last-event-id': primed?.id ?? '' })).rest();
    t.equal(all.length, 3, 'also when it has ended');
    for (const wrong of ['', 'x', '9-99999', '1-0', `${'9'.repeat(30)}-1`])
      t.equal((await stream(served, session, { 'last-event-id': wrong })).response.status, 400, wrong);
    t.equal(
      (await stream(served, session, { 'last-event-id': primed?.id ?? '' }, served.token('acme', 'bob'))).response.status,
      404,
      'not for somebody else',
    );
  });

  await t.test('a result too large to be kept is told to who comes back', async (t) => {
    const session = await begin();
    const broken = await EventReader.open(
      url,
      init(ada, {
        body: JSON.stringify(tool('steps', { bytes: 500_000 }, 5, { progressToken: 'p' })),
        headers: { 'mcp-session-id': session },
      }),
    );
    const [primed] = await broken.until((event) => event.message !== undefined);
    broken.leave();
    const rest = await (await stream(served, session, { 'last-event-id': primed?.id ?? '' })).rest();
    t.match(rest.at(-1)?.message, { id: 5 }, 'an answer comes, whichever it is');
  });

  await t.test('older revisions get no empty events', async (t) => {
    const session = await begin('2025-06-18');
    const { text } = await legacy(url, ada, session, tool('steps', {}, 5, { progressToken: 'p' }), {
      'mcp-protocol-version': '2025-06-18',
    });
    t.notMatch(text, /^data: *$/m);
    t.match(text, /^id: \d+-\d+$/m);
  });

  await t.test('log level, watched resources and list changes on the standing stream', async (t) => {
    const session = await begin();
    const ask = (message: object) => legacy(url, ada, session, message);
    t.notMatch((await ask(tool('talk'))).text, /notifications\/message/);
    for (const wrong of [{}, { level: 3 }, { level: 'loud' }])
      t.match((await ask(say('logging/setLevel', wrong))).json?.error, { code: -32602 });
    t.strictSame((await ask(say('logging/setLevel', { level: 'error' }))).json?.result, {});
    const { text } = await ask(tool('talk'));
    t.equal(text.match(/notifications\/message/g)?.length, 1);
    for (const wrong of [{}, { uri: 1 }, { uri: 'doc://none' }]) t.ok((await ask(say('resources/subscribe', wrong))).json?.error);
    t.strictSame((await ask(say('resources/subscribe', { uri: 'doc://a' }))).json?.result, {});

    const standing = await stream(served, session);
    const primed = await standing.next();
    t.match(primed, { data: '', id: /^0-/ });
    await ask(tool('touch', { uri: 'doc://items/1' }));
    await ask(tool('touch', { uri: 'doc://a' }));
    t.match((await standing.next())?.message, { method: 'notifications/resources/updated', params: { uri: 'doc://a' } });
    standing.leave();
    await served.call('acme', 'touch', { uri: 'doc://a' });
    await swap(served, 'acme', 'salut');
    const back = await stream(served, session, { 'last-event-id': primed?.id ?? '' });
    const told = await back.until(methodIs('notifications/resources/list_changed'));
    t.strictSame(
      new Set(told.map(({ message }) => message?.method)),
      new Set([
        undefined,
        'notifications/resources/updated',
        'notifications/tools/list_changed',
        'notifications/prompts/list_changed',
        'notifications/resources/list_changed',
      ]),
      'the session survived the swap and its client missed nothing',
    );
    t.strictSame((await ask(say('resources/unsubscribe', { uri: 'doc://a' }))).json?.result, {});
    back.leave();
  });

  await t.test('another token of the same subject, another subject, a revoked token', async (t) => {
    const session = await begin();
    const token = served.token('acme', 'ada', ['secret', 'other']);
    t.match((await legacy(url, token, session, say('ping'))).json, { id: 1, result: {} }, 'a refreshed token keeps its session');
    t.equal((await legacy(url, served.token('acme', 'bob'), session, say('ping'))).status, 404);
    const carol = served.token('acme', 'carol');
    const hers = (await initialize(url, carol)).session;
    const standing = await stream(served, hers, {}, carol);
    const { id } = served.vault.tokens.list('acme').find(({ subject }) => subject === 'carol') ?? { id: '' };
    served.vault.tokens.revoke('acme', id, Date.now());
    t.strictSame(
      (await standing.rest()).filter(({ message }) => message !== undefined),
      [],
      'its stream ends',
    );
    t.equal((await legacy(url, carol, hers, say('ping'))).status, 401);
  });

  await t.test('batches, in the one revision that has them', async (t) => {
    const session = await begin('2025-03-26');
    const batch = (messages: unknown, of = session) => legacy(url, ada, of, messages, { 'mcp-protocol-version': '2025-03-26' });
    const { json, status } = await batch([
      tool('talk', {}, 1),
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      say('ping', {}, 'two'),
      { x: 1 },
      say('initialize', {}, 3),
      tool('none', {}, 4),
    ]);
    const answers = new Map((json as unknown as RpcMessage[]).map((one) => [one.id, one]));
    t.equal(status, 200);
    t.match(answers.get(1), { result: { content: [{ text: 'talked' }] } });
    t.match(answers.get('two'), { result: {} });
    t.match(
      [answers.get(undefined), answers.get(3), answers.get(4)],
      [{ error: { code: -32600 } }, { error: {} }, { error: { code: -32602 } }],
    );
    t.equal(answers.size, 5);
    t.match(await batch([{ jsonrpc: '2.0', method: 'notifications/initialized' }]), { status: 202, text: '' });
    for (const wrong of [[], '[', '[1,]', '[1] x', '[{}', Array(BATCH_MESSAGES + 1).fill(say('ping'))])
      t.equal((await batch(wrong)).status, 400);
    const newer = await begin();
    t.match(await legacy(url, ada, newer, [say('ping')]), { status: 400, json: { error: { code: -32600 } } });
    t.match(
      await batch([tool('steps', {}, 1, { progressToken: 'p' }), say('ping', {}, 2)]),
      { text: /notifications\/progress/ },
      'progress streams',
    );
  });

  await t.test('a restarted server knows no old session', async (t) => {
    const session = await begin();
    await served.close();
    const again = await serveFolder(t, served.estate);
    t.match(await legacy(again.endpoint('acme'), again.token('acme'), session, say('ping')), {
      status: 404,
      json: { error: { data: { code: 'session_unknown' } } },
    });
  });
});

t.test('events are kept within bounds', async (t) => {
  const budget = new ByteBudget(2000);
  const store = new EventStore(1000, budget);
  const first = store.push(1, 'a'.repeat(300));
  store.push(2, 'b'.repeat(300));
  const start = { stream: 1, seq: first.seq - 1 };
  t.strictSame(
    store.after(start).map(({ message }) => message),
    ['a'.repeat(300)],
    'of its own stream only',
  );
  store.push(1, 'c'.repeat(500));
  t.strictSame(
    store.after(start).map(({ message }) => message[0]),
    ['c'],
    'the oldest goes first',
  );
  store.push(1, 'd'.repeat(1000));
  t.equal(store.after(start).length, 1, 'what is larger than all is not kept');
  const other = new EventStore(5000, budget);
  other.push(1, 'e'.repeat(900));
  other.push(1, 'f'.repeat(900));
  t.strictSame(
    other.after({ stream: 1, seq: 0 }).map(({ message }) => message[0]),
    ['f'],
    'a tenant’s sessions share what it has',
  );
  store.clear();
  t.ok(budget.take(1000), 'and give it back');
});
