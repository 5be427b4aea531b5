// What any server of the product must do for MCP clients, as functions of a URL and tokens: whatever is behind the endpoint.
// Not responsible for starting servers. Invariant: nothing in here knows how the tools are run.
import type { Test } from 'tap';
import { CLIENTS, type CallResult, connectClient, MODERN_CLIENTS } from './mcp-clients.ts';
import { events, init, initialize, legacy, meta, modern, MODERN, post, PREFIX, raw, read, rpc } from './mcp-wire.ts';

interface ToolUse {
  readonly name: string;
  readonly args: Record<string, unknown>;
}

export interface Target {
  /** The MCP endpoint of a tenant. */
  readonly url: string;
  readonly token: string;
  /** Of another tenant. */
  readonly foreignToken: string;
  readonly revokedToken: string;
  /** Of another subject of the same tenant. */
  readonly otherToken: string;
  /** The largest body that is taken. */
  readonly bodyBytes: number;
  readonly tools: {
    readonly ok: ToolUse & { readonly text: string };
    readonly wrong: ToolUse & { readonly path: string; readonly reason: RegExp };
    /** Reports `steps` rises of its progress. */
    readonly progress: ToolUse & { readonly steps: number };
    /** Reports progress once and then runs until it is cancelled. */
    readonly endless: ToolUse;
  };
  /** Resolves when `count` calls of the endless tool were cancelled since the start. */
  readonly cancelled: (count: number) => Promise<void>;
}

const ERROR = 'leasehold/error';

function textOf(result: CallResult): unknown {
  return (result.content as { text?: string }[])[0]?.text;
}

/** Each of the real client packages, in each way of choosing an era. */
export async function realClients(t: Test, target: Target): Promise<void> {
  const { tools, token, url } = target;
  let cancelled = 0;
  for (const kind of CLIENTS) {
    await t.test(kind, async (t) => {
      await using client = await connectClient(kind, url, token);
      const isModern = MODERN_CLIENTS.includes(kind);
      t.equal(client.sessionId === undefined, isModern, 'a session in the 2025 era only');
      const names = await client.list();
      t.strictSame(names, names.toSorted(), 'listed by name');
      t.ok(names.includes(tools.ok.name));

      t.equal(textOf(await client.call(tools.ok.name, tools.ok.args)), tools.ok.text);

      const wrong = await client.call(tools.wrong.name, tools.wrong.args);
      t.equal(wrong.isError, true, 'wrong arguments are a result that an agent reads');
      const { path, reason } = tools.wrong;
      t.match(wrong._meta?.[ERROR], {
        class: 'input',
        code: 'arguments_invalid',
        path,
        reason,
        nextAction: { do: 'fix_arguments', path },
      });
      t.ok(String(textOf(wrong)).includes(path), 'the text names the path too');

      await t.rejects(client.call('no_such_tool', {}), { code: -32602 }, 'an unknown tool is a protocol error');

      const seen: number[] = [];
      const options = { onprogress: ({ progress }: { progress: number }) => seen.push(progress) };
      await client.call(tools.progress.name, tools.progress.args, options);
      t.equal(seen.length, tools.progress.steps, 'all progress came before the result');
      t.strictSame(
        seen,
        seen.toSorted((a, b) => a - b),
      );

      const controller = new AbortController();
      const endless = client.call(tools.endless.name, tools.endless.args, {
        signal: controller.signal,
        onprogress: () => controller.abort('enough'),
      });
      await t.rejects(endless, 'the caller is told');
      cancelled += 1;
      await target.cancelled(cancelled);
      t.equal(textOf(await client.call(tools.ok.name, tools.ok.args)), tools.ok.text, 'and goes on');
      if (!isModern) await t.resolves(client.ping());
    });
  }
  await t.test('without a good token no client connects', async (t) => {
    for (const kind of CLIENTS) {
      for (const bad of [undefined, 'lh_nobody_0000', target.foreignToken, target.revokedToken]) {
        await t.rejects(connectClient(kind, url, bad), `${kind}, ${bad === undefined ? 'no token' : 'a bad token'}`);
      }
    }
  });
}

/** The 2026 era on the wire. */
export async function modernWire(t: Test, target: Target): Promise<void> {
  const { token, tools, url } = target;
  const call = (over: Record<string, unknown> = {}) => ({ name: tools.ok.name, arguments: tools.ok.args, ...over });

  const discovered = await rpc(url, token, 'server/discover');
  t.match(discovered.json?.result, {
    resultType: 'complete',
    supportedVersions: [MODERN],
    cacheScope: 'private',
    capabilities: { tools: {} },
  });
  const listed = await rpc(url, token, 'tools/list');
  t.match(listed.json?.result, { resultType: 'complete', cacheScope: 'private', tools: Array });
  for (const { json } of [discovered, listed]) {
    t.equal(typeof json?.result?.['ttlMs'], 'number');
    t.match(json?.result?._meta?.[`${PREFIX}serverInfo`], { name: 'leasehold' });
  }
  t.equal((await rpc(url, token, 'tools/list')).text, listed.text, 'the same list in the same order');
  t.equal((await rpc(url, token, 'tools/list', { cursor: 'forged' })).json?.error?.code, -32602);

  const answered = await rpc(url, token, 'tools/call', call());
  t.match(answered, { status: 200, json: { id: 1, result: { resultType: 'complete' } } });
  t.equal(answered.headers.get('content-type'), 'application/json', 'JSON where nothing streams');
  t.equal(answered.headers.get('mcp-session-id'), null);

  const streamed = await rpc(url, token, 'tools/call', {
    name: tools.progress.name,
    arguments: tools.progress.args,
    _meta: { progressToken: 'p1' },
  });
  t.equal(streamed.headers.get('content-type'), 'text/event-stream');
  t.equal(streamed.headers.get('x-accel-buffering'), 'no');
  const messages = events(streamed.text).map((event) => JSON.parse(event) as { params?: { progressToken: string } });
  t.equal(messages.length, tools.progress.steps + 1);
  t.ok(messages.slice(0, -1).every((message) => message.params?.progressToken === 'p1'));
  t.match(messages.at(-1), { id: 1, result: { resultType: 'complete' } }, 'the result ends the stream');
  const { body, headers } = modern('tools/call', {
    name: tools.progress.name,
    arguments: tools.progress.args,
    _meta: { progressToken: 'p1' },
  });
  const plain = await post(url, token, body, { ...headers, accept: 'application/json' });
  t.equal(plain.headers.get('content-type'), 'application/json', 'no stream for a client that takes none');

  for (const raw of ['9007199254740993', '1.50', '-7', '"a\\u0000b"', '""', '1e400']) {
    const sent = modern('tools/call', call(), '@id');
    const echoed = await post(url, token, sent.body.replace('"@id"', raw), sent.headers);
    t.ok(echoed.text.startsWith(`{"jsonrpc":"2.0","id":${raw},`), `the id ${raw} is echoed as written`);
  }

  await t.test('refusals', async (t) => {
    const refused = async (
      status: number,
      code: number,
      sent: { body: string; headers: Record<string, string | undefined> },
      says?: string,
    ) => {
      const reply = await post(url, token, sent.body, sent.headers);
      t.match({ status: reply.status, code: reply.json?.error?.code }, { status, code }, says ?? `${status} ${code}`);
      t.match(reply.json?.error?.data, { correlationId: String, nextAction: Object });
      return reply.json?.error?.data;
    };
    const good = modern('tools/call', call());
    const without = (name: string) => ({ body: good.body, headers: { ...good.headers, [name]: undefined } });
    const instead = (name: string, value: string) => ({ body: good.body, headers: { ...good.headers, [name]: value } });
    await refused(400, -32020, without('mcp-protocol-version'));
    await refused(400, -32020, without('mcp-method'));
    await refused(400, -32020, without('mcp-name'));
    await refused(400, -32020, instead('mcp-method', 'tools/list'));
    await refused(400, -32020, instead('mcp-name', 'other'));
    await refused(400, -32020, instead('mcp-name', '=?base64?b3RoZXI=?='));
    await refused(400, -32020, instead('mcp-protocol-version', '2025-11-25'));
    const old = modern('tools/call', call({ _meta: { [`${PREFIX}protocolVersion`]: '1900-01-01' } }));
    const data = await refused(400, -32022, {
      body: old.body,
      headers: { ...old.headers, 'mcp-protocol-version': '1900-01-01' },
    });
    t.match(data, { requested: '1900-01-01', supported: [MODERN] });
    await refused(404, -32601, modern('no/such/method'));
    await refused(404, -32601, modern('ping'));
    await refused(400, -32602, modern('tools/call', call({ _meta: { [`${PREFIX}clientCapabilities`]: undefined } })));
    await refused(400, -32602, { body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', headers: modern('tools/list').headers });
    await refused(400, -32602, modern('tools/call', { name: 'no_such_tool', arguments: {} }));
    await refused(400, -32600, { body: `[${good.body}]`, headers: good.headers }, 'no batches');
    await refused(400, -32700, { body: good.body.slice(0, -1), headers: good.headers });
    await refused(400, -32700, { body: '', headers: good.headers });
    await refused(413, -32600, { body: `"${'x'.repeat(target.bodyBytes)}"`, headers: good.headers });
    await refused(415, -32600, instead('content-type', 'text/plain'));
    await refused(406, -32600, instead('accept', 'text/html'));
    t.equal(
      (
        await post(
          url,
          token,
          good.body,
          instead('mcp-name', `=?base64?${Buffer.from(tools.ok.name).toString('base64')}?=`).headers,
        )
      ).status,
      200,
    );
    const note = await post(url, token, JSON.stringify({ jsonrpc: '2.0', method: 'notifications/x', params: { _meta: meta() } }));
    t.match({ status: note.status, text: note.text }, { status: 202, text: '' }, 'a notification is taken');
    const args = await rpc(url, token, 'tools/call', { name: tools.ok.name, arguments: [1] });
    t.match(
      args.json?.result,
      { isError: true, _meta: { [ERROR]: { code: 'arguments_invalid', path: '' } } },
      'arguments that are no object',
    );
  });

  await t.test('closing the response is the cancellation', async () => {
    const { name, args } = tools.endless;
    const sent = modern('tools/call', { name, arguments: args, _meta: { progressToken: 1 } });
    const controller = new AbortController();
    const response = await fetch(url, { ...init(token, sent), signal: controller.signal });
    await response.body?.getReader().read();
    controller.abort();
    await target.cancelled(1);
  });
}

/** Who is let in: the same in both eras, and before anything else is looked at. */
export async function admission(t: Test, target: Target): Promise<void> {
  const { token, url } = target;
  const { origin, pathname, port } = new URL(url);
  const good = modern('tools/list');
  const denied = async (endpoint: string, bearer: string | undefined) => post(endpoint, bearer, good.body, good.headers);

  const none = await denied(url, undefined);
  t.equal(none.status, 401);
  t.match(none.headers.get('www-authenticate'), /^Bearer/);
  t.notMatch(none.headers.get('www-authenticate'), /error=/, 'no error code where no credential came (RFC 6750, 3.1)');
  const answers = [await denied(url, target.foreignToken), await denied(url, target.revokedToken), await denied(url, 'rubbish')];
  answers.push(await denied(url.replace(pathname, '/t/nobody-here/mcp'), token));
  const shown = answers.map(({ json, status }) => ({ status, code: json?.error?.code, message: json?.error?.message }));
  t.equal(shown[0]?.status, 401);
  for (const answer of shown)
    t.strictSame(answer, shown[0], 'a foreign, a revoked, an unknown token and an unknown tenant look the same');
  for (const { headers } of answers) t.match(headers.get('www-authenticate'), /^Bearer .*error="invalid_token"/);
  for (const method of ['GET', 'DELETE']) t.equal((await fetch(url, { method })).status, 401);

  const head = (over: string) =>
    `POST ${pathname} HTTP/1.1\r\n${over}Content-Type: application/json\r\nAccept: application/json\r\nConnection: close\r\n` +
    `MCP-Protocol-Version: ${MODERN}\r\nMcp-Method: tools/list\r\nContent-Length: ${good.body.length}\r\n`;
  const bearer = `Authorization: Bearer ${token}\r\n`;
  const host = `Host: 127.0.0.1:${port}\r\n`;
  const status = async (lines: string) => Number((await raw(Number(port), `${lines}\r\n${good.body}`)).slice(9, 12));
  t.equal(await status(head(host + bearer)), 200);
  t.equal(await status(head(`Host: evil.test\r\n${bearer}`)), 403, 'a foreign Host');
  t.equal(await status(head(`${host}${bearer}Origin: http://evil.test\r\n`)), 403, 'a foreign Origin');
  t.equal(await status(head(`${host}${bearer}Origin: null\r\n`)), 403);
  t.equal(await status(head(`${host}${bearer}Origin: ${origin}\r\n`)), 200, 'a page of our own');
  for (const twice of [
    bearer,
    `Mcp-Method: tools/list\r\n`,
    `MCP-Protocol-Version: ${MODERN}\r\n`,
    'Content-Type: application/json\r\n',
    'Mcp-Name: a\r\nmcp-name: a\r\n',
  ]) {
    t.equal(await status(head(host + bearer + twice)), 400, `twice: ${twice.slice(0, 20).trim()}`);
  }
  for (const path of ['/', '/t', `/t/%61cme/mcp`, '/t/ACME/mcp', `${pathname}/`, '/t/../mcp', '/favicon.ico']) {
    const reply = await read(await fetch(`${origin}${path}`, { headers: { authorization: `Bearer ${token}` } }));
    t.match({ status: reply.status, code: reply.json?.error?.data?.['code'] }, { status: 404, code: 'not_found' }, path);
  }
}

/** Sessions of the 2025 era on the wire. */
export async function legacyWire(t: Test, target: Target): Promise<void> {
  const { otherToken, token, tools, url } = target;
  for (const version of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2019-01-01']) {
    const { reply, session } = await initialize(url, token, version);
    const agreed = version === '2019-01-01' ? '2025-11-25' : version;
    t.match(
      reply.json,
      { id: 0, result: { protocolVersion: agreed, capabilities: { tools: { listChanged: true } } } },
      `${version} -> ${agreed}`,
    );
    t.match(session, /^[\w-]{22,}$/);
    const listed = await legacy(
      url,
      token,
      session,
      { jsonrpc: '2.0', id: 'l', method: 'tools/list' },
      { 'mcp-protocol-version': agreed },
    );
    t.match(listed.json, { id: 'l', result: { tools: Array } });
    t.equal(listed.json?.result?.['resultType'], undefined, 'nothing of the newer revision');
  }
  const { session } = await initialize(url, token);
  const send = (message: unknown, headers = {}) => legacy(url, token, session, message, headers);
  const call = (use: ToolUse, id: unknown, _meta = {}) => ({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: use.name, arguments: use.args, _meta },
  });
  t.equal((await send({ jsonrpc: '2.0', method: 'notifications/initialized' })).status, 202);
  t.match((await send({ jsonrpc: '2.0', id: 1, method: 'ping' })).json, { id: 1, result: {} });
  t.match((await send({ jsonrpc: '2.0', id: 1, method: 'no/such' })).json?.error, { code: -32601 });
  const unknown = await send(call({ name: 'no_such_tool', args: {} }, 5));
  t.match(unknown, { status: 200, json: { id: 5, error: { code: -32602, data: { code: 'tool_unknown' } } } });
  t.match((await send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: {} })).json?.error, { code: -32602 });
  t.match((await send({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { cursor: 'forged' } })).json?.error, {
    code: -32602,
  });
  const progress = await send(call(tools.progress, 2, { progressToken: 9007199254740991 }));
  t.equal(events(progress.text).length, tools.progress.steps + 1);

  await t.test('ids are the client’s affair', async (t) => {
    const huge = (
      await send(
        `{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"${tools.ok.name}","arguments":${JSON.stringify(tools.ok.args)}}}`,
      )
    ).text;
    t.ok(huge.startsWith('{"jsonrpc":"2.0","id":9007199254740993,'));
    const same = await Promise.all(Array.from({ length: 10 }, () => send(call(tools.ok, 7))));
    t.ok(
      same.every(({ json }) => json?.id === 7 && json.result?.content?.[0]?.text === tools.ok.text),
      'one id used at once ten times',
    );
    t.equal((await send({ jsonrpc: '2.0', id: null, method: 'ping' })).status, 400);
  });

  await t.test('a session opens nothing', async (t) => {
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    const foreign = await legacy(url, otherToken, session, ping);
    const invented = await legacy(url, token, 'A'.repeat(32), ping);
    const strip = ({ json, status }: typeof foreign) => ({ status, code: json?.error?.code, message: json?.error?.message });
    t.equal(foreign.status, 404);
    t.strictSame(strip(foreign), strip(invented), 'another subject’s session is as if it had never been');
    t.equal(
      (await post(url, undefined, JSON.stringify(ping), { 'mcp-session-id': session })).status,
      401,
      'and is no credential',
    );
    t.equal((await post(url, token, JSON.stringify(ping))).status, 400, 'a request without one');
    t.equal((await send(ping, { 'mcp-protocol-version': '1999-01-01' })).status, 400);
    for (const method of ['GET', 'DELETE']) {
      const headers = { authorization: `Bearer ${otherToken}`, 'mcp-session-id': session, accept: 'text/event-stream' };
      t.equal((await fetch(url, { method, headers })).status, 404);
    }
    t.equal((await send(ping)).status, 200, 'it stands');
  });

  await t.test('DELETE ends it', async (t) => {
    const headers = { authorization: `Bearer ${token}`, 'mcp-session-id': session };
    t.equal((await fetch(url, { method: 'DELETE', headers })).status, 204);
    t.equal((await fetch(url, { method: 'DELETE', headers })).status, 404);
    t.equal((await send({ jsonrpc: '2.0', id: 1, method: 'ping' })).status, 404);
  });
}

/** What comes in through a socket is never an HTTP 5xx and never a hang. */
export async function garbage(t: Test, target: Target, bytes: readonly (string | Uint8Array)[]): Promise<void> {
  const port = Number(new URL(target.url).port);
  for (const sent of bytes) {
    const got = await raw(port, sent);
    t.match(got, /^(?:$|HTTP\/1\.1 [124])/);
    t.notMatch(got, /HTTP\/1\.1 5/);
  }
  t.equal((await rpc(target.url, target.token, 'server/discover')).status, 200, 'and the server serves on');
}
