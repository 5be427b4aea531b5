// The bridge from stdio: real clients that start it as a process, against a whole server that goes away and comes back.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { decodeHeaderValue } from '../../src/mcp/header-value.ts';
import { Asks } from '../../src/stdio/asks.ts';
import { encodeHeaderValue } from '../../src/stdio/header-value.ts';
import { TopLevelId } from '../../src/stdio/top-level-id.ts';
import { cli, leasehold, ownUser, serving } from '../helpers/cli.ts';
import { type EstateFiles, toolset, writeEstate } from '../helpers/estate.ts';
import { CLIENTS, connectStdio, MODERN_CLIENTS, type Started } from '../helpers/mcp-clients.ts';
import { meta, type RpcMessage } from '../helpers/mcp-wire.ts';
import { type ServedEstate, serve, serveFolder } from '../helpers/runtime.ts';

const TOOLS = toolset(`
  echo: defineTool({ description: 'echo', inputSchema: Type.Object({ text: Type.String() }), handler: ({ text }) => text }),
  steps: defineTool({ description: 'steps', inputSchema: Type.Object({ count: Type.Integer() }), handler({ count }, ctx) { for (let i = 1; i <= count; i += 1) ctx.progress({ progress: i, total: count }); return 'done'; } }),
  wait: defineTool({ description: 'wait', async handler(_a, ctx) {
    ctx.progress({ progress: 1 });
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
    return 'late';
  } }),
  ask: defineTool({ description: 'ask', async handler(_a, ctx) {
    const answer: any = await ctx.elicit('who', { message: 'who?', schema: Type.Object({ name: Type.String() }) });
    return JSON.stringify(answer);
  } }),
  region: defineTool({ description: 'region', inputSchema: Type.Object({ where: Type.String({ 'x-mcp-header': 'Region' }), n: Type.Optional(Type.Integer({ 'x-mcp-header': 'N' })) }), handler: ({ where }) => where }),
`);
const ESTATE: EstateFiles = { tenants: { acme: { tools: { 'tools.ts': TOOLS } }, globex: {} } };

function bridgeTo(t: Test, base: string, token: string | undefined): Started {
  const env = { ...ownUser(t), ...(token === undefined ? {} : { LEASEHOLD_TOKEN: token }) };
  return { command: process.execPath, args: [cli, 'stdio', '--tenant', 'acme', '--url', base], env };
}

const textOf = (result: { content?: unknown }) => (result.content as { text?: string }[])[0]?.text;

async function cancelled(served: ServedEstate, count: number): Promise<void> {
  for (;;) {
    const outcomes = (await served.audit('acme')).filter(({ kind, code }) => kind === 'call.outcome' && code === 'cancelled');
    if (outcomes.length >= count) return;
    await delay(20);
  }
}

/** The bridge as a process whose lines the test writes and reads itself. */
class RawBridge {
  readonly child;
  readonly #lines;
  readonly #seen: RpcMessage[] = [];
  stderr = '';

  constructor(t: Test, { command, args, env }: Started) {
    this.child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#lines = createInterface(this.child.stdout)[Symbol.asyncIterator]();
    t.teardown(() => this.child.kill('SIGKILL'));
  }

  write(message: string | object): void {
    this.child.stdin.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  /** The next message that fits, among those that nobody took yet. */
  async next(fits: (message: RpcMessage & { method?: string; params?: any }) => boolean): Promise<any> {
    for (;;) {
      const at = this.#seen.findIndex(fits);
      if (at !== -1) return this.#seen.splice(at, 1)[0];
      const { done, value } = await this.#lines.next();
      if (done === true) throw new Error(`stdout has ended: ${this.stderr}`);
      this.#seen.push(JSON.parse(value) as RpcMessage);
    }
  }

  answer(id: unknown): Promise<any> {
    return this.next((message) => message.id === id && ('result' in message || 'error' in message));
  }

  ask(id: string | number, method: string, params: object = {}): Promise<any> {
    this.write({ jsonrpc: '2.0', id, method, params });
    return this.answer(id);
  }

  async initialize(capabilities: object = {}): Promise<any> {
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '1' } };
    const answer = await this.ask('init', 'initialize', params);
    this.write({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return answer;
  }
}

const modernCall = (name: string, args: object, more?: Record<string, unknown>) => ({ name, arguments: args, _meta: meta(more) });

t.test('real stdio clients', async (t) => {
  const served = await serve(t, ESTATE);
  let ended = 0;
  for (const kind of CLIENTS) {
    await t.test(kind, async (t) => {
      const asked: string[] = [];
      const elicit = ({ message }: { message: string }) => {
        asked.push(message);
        return { action: 'accept' as const, content: { name: 'Ada' } };
      };
      const started = bridgeTo(t, served.runtime.url, served.token('acme'));
      await using client = await connectStdio(kind, started, { elicit });
      t.strictSame(await client.list(), ['ask', 'echo', 'region', 'steps', 'wait']);
      t.equal(textOf(await client.call('echo', { text: 'héllo\u2028' })), 'héllo\u2028');
      t.equal((await client.call('echo', {})).isError, true);
      t.match(textOf(await client.call('ask', {})), /Ada/);
      t.strictSame(asked, ['who?']);
      t.equal(textOf(await client.call('region', { where: ' Zürich ', n: 3 })), ' Zürich ', 'mirrored parameters');
      const stop = new AbortController();
      const call = client.call('wait', {}, { signal: stop.signal, onprogress: () => stop.abort('enough') });
      await t.rejects(call);
      await cancelled(served, (ended += 1));
      t.equal(textOf(await client.call('echo', { text: 'after' })), 'after');
    });
  }
});

t.test('a server that goes away and comes back at the same address', async (t) => {
  const first = await serve(t, ESTATE);
  const { url, port } = first.runtime;
  const clients = [];
  for (const kind of CLIENTS) {
    const client = await connectStdio(kind, bridgeTo(t, url, first.token('acme')));
    t.teardown(() => client[Symbol.asyncDispose]());
    t.equal(textOf(await client.call('echo', { text: 'one' })), 'one');
    clients.push({ kind, client });
  }
  await first.close();
  for (const { kind, client } of clients) {
    await t.rejects(client.call('echo', { text: 'two' }), /(No server answers at|connection to) .*/, `${kind}: told, not silent`);
    await t.rejects(client.list(), /No server answers at .* Is the address right, and does the server run\?/);
  }
  const waiting = clients.map(({ kind, client }) => {
    return { kind, client, changed: new Promise<void>((resolve) => client.onListChanged(resolve)) };
  });
  await serveFolder(t, first.estate, port);
  for (const { kind, client, changed } of waiting) {
    t.equal(textOf(await client.call('echo', { text: 'three' })), 'three', `${kind}: goes on, with the same token`);
    if (!MODERN_CLIENTS.includes(kind)) await changed;
  }
});

t.test('a call that was under way when the server died is answered, and what it asked is void', async (t) => {
  const user = ownUser(t);
  const estate = writeEstate(t, ESTATE);
  const first = await serving(t, ['start', estate, '--port', '0'], user);
  const { url } = first.ready;
  const made = await leasehold(['token', 'create', 'acme', '--subject', 'ada', '--estate', estate], { env: user });
  const bridge = new RawBridge(t, bridgeTo(t, url, made.stdout.trim()));
  t.match(await bridge.initialize({ elicitation: {} }), { id: 'init', result: { protocolVersion: '2025-11-25' } });
  bridge.write({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'ask', arguments: {} } });
  const asked = await bridge.next(({ method }) => method === 'elicitation/create');
  first.child.kill('SIGKILL');
  await first.exit;
  t.match(await bridge.answer(7), { error: { code: -32000, message: /may still have been carried out/ } });
  await serving(t, ['start', estate, '--port', new URL(url).port], user);
  bridge.write({ jsonrpc: '2.0', id: 8, method: 'tools/call', params: { name: 'ask', arguments: {} } });
  t.match(await bridge.next(({ method }) => method === 'notifications/cancelled'), { params: { requestId: asked.id } });
  const again = await bridge.next(({ method }) => method === 'elicitation/create');
  t.not(again.id, asked.id, 'two sessions count from the same number, the client sees two ids');
  bridge.write({ jsonrpc: '2.0', id: asked.id, result: { action: 'accept', content: { name: 'Eve' } } });
  bridge.write({ jsonrpc: '2.0', id: again.id, result: { action: 'accept', content: { name: 'Ada' } } });
  t.match((await bridge.answer(8)).result.content[0].text, /Ada/, 'the late answer to the old question goes nowhere');
});

t.test('a stream that breaks under a call is taken up again', async (t) => {
  let upstream = 0;
  const sockets: Socket[] = [];
  const proxy = createServer((socket) => {
    const on = connect(upstream, '127.0.0.1');
    sockets.push(socket, on);
    for (const [from, to] of [
      [socket, on],
      [on, socket],
    ] as const)
      from.on('error', () => to.destroy()).pipe(to);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  const cut = (): void => sockets.splice(0).forEach((socket) => socket.destroy());
  t.teardown(() => {
    proxy.close();
    cut();
  });
  const served = await serve(t, { ...ESTATE, server: { allowedHosts: [`127.0.0.1:${port}`] } });
  upstream = served.runtime.port;
  const bridge = new RawBridge(t, bridgeTo(t, `http://127.0.0.1:${port}`, served.token('acme')));
  await bridge.initialize({ elicitation: {} });
  bridge.write({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'ask', arguments: {} } });
  const { id } = await bridge.next(({ method }) => method === 'elicitation/create');
  cut();
  bridge.write({ jsonrpc: '2.0', id, result: { action: 'accept', content: { name: 'Ada' } } });
  t.match((await bridge.answer(1)).result.content[0].text, /Ada/);
});

t.test('no server from the start, a refused token, no token', async (t) => {
  const served = await serve(t, ESTATE);
  const bad = new RawBridge(t, bridgeTo(t, served.runtime.url, served.token('globex')));
  t.match(await bad.initialize(), {
    error: { message: /refused the token\. It is the one in LEASEHOLD_TOKEN\..*token create acme/ },
  });
  t.match(await bad.ask(2, 'tools/list', { _meta: meta() }), { id: 2, error: { message: /refused the token/ } });
  t.notMatch(bad.stderr, /lh_globex_/, 'no token in the log');
  await served.close();
  const down = new RawBridge(t, bridgeTo(t, served.runtime.url, 'lh_acme_x'));
  t.match(await down.initialize(), { id: 'init', error: { code: -32000, message: /No server answers/ } });
  t.match(await down.ask(3, 'server/discover', { _meta: meta() }), { id: 3, error: { message: /No server answers/ } });
  await serveFolder(t, served.estate, served.runtime.port);
  t.match(
    await down.ask('x', 'tools/list', { _meta: meta() }),
    { error: { message: /refused the token/ } },
    'seen when it is there',
  );
  const none = new RawBridge(t, bridgeTo(t, served.runtime.url, undefined));
  t.match(await none.initialize(), { error: { message: /no token for acme at http/ } });
  t.match(await leasehold(['stdio', '--tenant', 'NO'], { env: ownUser(t) }), { code: 2, stdout: '' });
});

t.test('what is no message is answered, and the next one is read', async (t) => {
  const served = await serve(t, ESTATE);
  const bridge = new RawBridge(t, bridgeTo(t, served.runtime.url, served.token('acme')));
  bridge.write('{"jsonrpc":');
  t.match(await bridge.next(({ error }) => error !== undefined), { error: { code: -32700 } });
  bridge.write('[{"jsonrpc":"2.0","id":4,"method":"ping"},{"jsonrpc":"2.0","id":"5","method":"ping"}]');
  for (const id of [4, '5']) t.match(await bridge.answer(id), { error: { code: -32600, message: /Batches/ } });
  bridge.write('{"jsonrpc":"2.0","id":6,"method":"ping","extra":1}');
  t.match(await bridge.answer(6), { error: { code: -32600 } });
  bridge.write('');
  bridge.write(`{"jsonrpc":"2.0","method":"x","params":{"id":1,"text":"${'\\"}'.repeat(23_000_000)}"},"id":"long"}`);
  t.match(
    await bridge.answer('long'),
    { error: { code: -32600, message: /bytes/ } },
    'with its id, although it stands at the end',
  );
  const large = { name: 'echo', arguments: { text: 'x'.repeat(5_000_000) }, _meta: meta() };
  t.match(
    await bridge.ask(8, 'tools/call', large),
    { id: 8, error: { data: { code: 'body_too_large' } } },
    "the server's own limit",
  );
  const tools = await bridge.ask(
    9,
    'tools/call',
    modernCall('echo', { text: 'still here' }, { progressToken: 0, own: { deep: [1] } }),
  );
  t.match(tools, { id: 9, result: { content: [{ text: 'still here' }] } });
  t.match(await bridge.ask(10, 'tools/call', modernCall('region', { where: '=?base64?x?=' })), {
    result: { content: [{ text: '=?base64?x?=' }] },
  });
  bridge.write({
    jsonrpc: '2.0',
    id: 13,
    method: 'tools/call',
    params: modernCall('steps', { count: 3 }, { progressToken: 'p' }),
  });
  for (const progress of [1, 2, 3]) {
    const update = await bridge.next(({ method }) => method === 'notifications/progress');
    t.match(update, { params: { progress, progressToken: 'p' } }, 'progress, in order and before the answer');
  }
  t.match(await bridge.answer(13), { result: { content: [{ text: 'done' }] } });
  t.match(await bridge.ask(11, 'tools/list'), { id: 11, error: { code: -32600 } }, 'a session that was never opened');
  bridge.write({ jsonrpc: '2.0', id: 12, method: 'tools/call', params: modernCall('echo', { text: 'last' }) });
  bridge.child.stdin.end();
  t.match(await bridge.answer(12), { result: { content: [{ text: 'last' }] } }, 'stdin that ends does not cut off the answer');
  const [code] = await once(bridge.child, 'exit');
  t.equal(code, 0);
});

t.test('a server of this machine: found, and called with a token of its own', async (t) => {
  const user = ownUser(t);
  const estate = writeEstate(t, { ...ESTATE, server: { listen: '127.0.0.1:0' } });
  const started: Started = { command: process.execPath, args: [cli, 'stdio', '--tenant', 'acme', '--estate', estate], env: user };
  const bridge = new RawBridge(t, started);
  t.match(await bridge.initialize(), { error: { message: /No server answers at .* start / } }, 'and how to start it');
  const server = await serving(t, ['start', estate], user);
  t.match(await bridge.ask(1, 'tools/list', { _meta: meta() }), { result: { tools: [{ name: 'ask' }, {}, {}, {}, {}] } });
  const revoked = await leasehold(['token', 'revoke', 'acme', '--subject', 'cli', '--estate', estate], { env: user });
  t.equal(revoked.code, 0, revoked.stderr);
  t.match(await bridge.ask(2, 'tools/list', { _meta: meta() }), { id: 2, result: {} }, 'a revoked one is replaced');
  server.child.kill('SIGTERM');
  await server.exit;
  await serving(t, ['start', estate], user);
  t.match(await bridge.ask(3, 'tools/list', { _meta: meta() }), { id: 3, result: {} }, 'found at its new port');
  writeFileSync(join(estate, 'leasehold.json'), '{');
  const broken = new RawBridge(t, started);
  t.match(await broken.initialize(), { error: { message: /leasehold\.json/ } }, 'an estate that cannot be read is told too');
});

t.test('ids of long messages, header values and ids of questions', async (t) => {
  const idOf = (text: string): unknown => {
    const reader = new TopLevelId();
    for (const byte of Buffer.from(text)) reader.feed(Uint8Array.of(byte));
    return reader.id;
  };
  t.equal(idOf('{"params":{"id":1,"a":[{"id":2}],"s":"\\\\\\"id\\":3"},"id" : -7 ,"method":"x"}'), -7);
  t.equal(idOf('{"id":"a,\\"}b"}'), 'a,"}b');
  t.equal(idOf('{"id":{"id":1}}'), undefined);
  t.equal(idOf(`{"id":"${'x'.repeat(5000)}"}`), undefined, 'not kept without end');
  t.equal(idOf('garbage'), undefined);
  for (const value of ['plain', ' edge', 'edge\t', 'ü', '', 'a\nb', '=?base64?eA==?=', '\u{1f600}']) {
    const sent = encodeHeaderValue(value);
    t.match(sent, /^[\t\x20-\x7e]*$/);
    t.equal(decodeHeaderValue(sent), value);
  }
  const asks = new Asks();
  const [one, two] = [{}, {}];
  const ask = { jsonrpc: '2.0', id: 0, method: 'elicitation/create' };
  t.equal(asks.toClient(one, ask), ask);
  const renamed = asks.toClient(two, ask);
  t.not(renamed['id'], 0);
  const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 0, reason: 'x' } };
  t.match(asks.toClient(two, cancel), { params: { requestId: renamed['id'], reason: 'x' } });
  const late = { jsonrpc: '2.0', id: renamed['id'] ?? null, result: {} };
  t.equal(asks.toServer(two, late), undefined, 'not asked any more');
  t.equal(asks.toServer(two, { jsonrpc: '2.0', id: 0, result: {} }), undefined, 'of another session');
  t.equal(asks.toServer(one, { jsonrpc: '2.0', id: 0, result: {} }), undefined, 'once');
});
