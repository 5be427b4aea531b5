// Connecting an account from the call that needs it to the call that goes through: a running server, a real authorization server,
// real browsers without script.
import t from 'tap';
import { newVisitor, noBrowser, startBrowser } from '../helpers/browser.ts';
import { until } from '../helpers/cli.ts';
import { connectClient } from '../helpers/mcp-clients.ts';
import { modern, post } from '../helpers/mcp-wire.ts';
import { allow, confirm, connectScene, heading, type Link, linksOf } from './connect-scene.ts';

t.setTimeout(240_000);
const skip = noBrowser;

t.test('link, code, sign-in, and the same call goes through', { skip }, async (t) => {
  const s = await connectScene(t);
  const browser = await startBrowser(t);
  const first = await s.call('acme', 'me');
  const [link] = linksOf(first);
  if (link === undefined) throw new Error(first.raw);
  t.match(first.error, { code: 'not_connected', class: 'credential', nextAction: { do: 'reauthorize', url: link.url } });
  t.match(first.text, `open ${link.url}`);
  t.match(first.text, link.code);
  t.match(link.url, new RegExp(`^${s.runtime.url}/connect/[\\w-]{32}$`));
  t.match(link.code, /^[2-9A-HJKMNP-TV-Z]{3}-[2-9A-HJKMNP-TV-Z]{3}$/);
  t.strictSame(await s.link(), link, 'who asks again gets the same one');

  const page = await (await newVisitor(browser)).newPage();
  await page.goto(link.url);
  t.equal(await heading(page), 'Connect 127.0.0.1:' + new URL(s.real.origin).port);
  const text = await page.locator('main').innerText();
  for (const part of ['Acme Inc.', 'ada', 'offline_access', 'crm']) t.match(text, part);
  await page.fill('#code', ' ' + link.code.toLowerCase().replace('-', ' '));
  await page.click('button');
  await allow(page, s.real);
  t.match(await heading(page), /is connected$/);
  t.match(await page.locator('main').innerText(), /Done: connected as ada <b>Lovelace<\/b>\./);
  t.notMatch(await page.content(), /canary|access_token|refresh|id_token/);
  const { text: said } = await s.call('acme', 'me');
  t.equal(said, '{"sub":"ada"}');
  t.equal(
    (await s.call('acme', 'me', {}, { token: s.token('acme', 'bob') })).error?.code,
    'not_connected',
    'for the asker alone',
  );

  await page.goBack().catch(() => undefined);
  await page.goto(link.url);
  t.equal(await heading(page), 'This link is not valid any more', 'used');
  const kinds = (await s.audit('acme')).map(({ kind }) => kind).filter((kind: string) => /connect/.test(kind));
  t.strictSame(kinds.slice(0, 4), ['connect.link', 'connect.opened', 'connect.confirmed', 'grant.connected']);
  const connected = (await s.audit('acme')).find(({ kind }) => kind === 'grant.connected');
  t.match(connected, {
    issuer: 'leasehold',
    subject: 'ada',
    connection: 'crm',
    flow: link.id,
    correlation: first.error?.correlationId,
  });
});

t.test('2026: the client is asked, waits, and the same call goes through', { skip }, async (t) => {
  const s = await connectScene(t);
  const browser = await startBrowser(t);
  const asked: { url: string; message: string }[] = [];
  const openUrl = async (params: { url: string; message: string }) => {
    asked.push(params);
    if (asked.length === 1) {
      // In the browser for as long as it takes: the client does not wait for it.
      const page = await (await newVisitor(browser)).newPage();
      void (async () => {
        await page.goto(params.url);
        await page.fill('#code', /the code (\S+) there/.exec(params.message)?.[1] ?? '');
        await page.click('button');
        await allow(page, s.real);
      })();
    }
    return { action: 'accept' as const };
  };
  await using client = await connectClient('client 2.4 pinned', s.endpoint('acme'), s.token('acme'), { openUrl });
  const called = await client.call('code', {});
  t.match(called, { content: [{ type: 'text', text: '{"sub":"ada"}' }] });
  t.match(asked[0], { message: /^acme needs your 127\.0\.0\.1:\d+ account \(offline_access, openid\)\./, url: /\/connect\// });
  t.ok(asked.length < 4, `asked ${asked.length} times`);

  await using refusing = await connectClient('client 2.4 pinned', s.endpoint('acme'), s.token('acme', 'bob'), {
    openUrl: async () => ({ action: 'decline' }),
  });
  t.match(await refusing.call('code', {}), {
    isError: true,
    _meta: { 'leasehold/error': { code: 'not_connected', nextAction: { do: 'contact_operator' } } },
    content: [{ text: /did not want to connect/ }],
  });
});

t.test('2026 on the wire: what is asked, what a retry is bound to, several at once', async (t) => {
  const s = await connectScene(t);
  const url = { elicitation: { url: {} } };
  const raw = async (
    tool: string,
    more: object = {},
    { token = s.token('acme'), capabilities = url as object } = {},
  ): Promise<any> => {
    const _meta = { 'io.modelcontextprotocol/clientCapabilities': capabilities };
    const { body, headers } = modern('tools/call', { name: tool, arguments: {}, ...more, _meta });
    return (await post(s.endpoint('acme'), token, body, headers)).json;
  };
  const first = await raw('both');
  t.match(first.result, {
    resultType: 'input_required',
    inputRequests: {
      'connect:crm': { method: 'elicitation/create', params: { mode: 'url', message: /code [2-9A-Z]{3}-[2-9A-Z]{3}/ } },
      'connect:other': { method: 'elicitation/create', params: { mode: 'url' } },
    },
    requestState: /^[\w-]+$/,
  });
  const { requestState, inputRequests } = first.result;
  const [a, b] = [inputRequests['connect:crm'].params.url, inputRequests['connect:other'].params.url];
  t.not(a, b);
  t.notMatch(requestState, a.slice(a.lastIndexOf('/') + 1), 'sealed');
  const again = await raw('both', { requestState });
  t.strictSame(again.result.inputRequests, inputRequests, 'asked again, with the same links');
  t.match((await raw('both', { requestState }, { token: s.token('acme', 'bob') })).error, {
    code: -32602,
    data: { code: 'state_invalid' },
  });
  t.match((await raw('code', { requestState })).error, { code: -32602, data: { code: 'state_invalid' } });
  const cancelled = {
    requestState,
    inputResponses: { 'connect:crm': { action: 'accept' }, 'connect:other': { action: 'cancel' } },
  };
  t.match((await raw('both', cancelled)).result, { isError: true, content: [{ text: /did not want/ }] });

  // Clients that cannot be asked: words, all of them in one answer.
  for (const capabilities of [{}, { elicitation: {} }, { elicitation: { form: {} } }]) {
    const told = (await raw('both', {}, { capabilities })).result;
    t.equal(told.isError, true);
    const { connect } = told._meta['leasehold/error'].data;
    t.strictSame(
      connect.map((link: Link) => link.url),
      [a, b],
    );
    for (const link of connect) t.match(told.content[0].text, `open ${link.url} (${link.service}; code ${link.code})`);
  }
  t.equal((await s.call('acme', 'plain')).text, 'plain');
  t.match((await s.call('acme', 'company')).text, /The operator connects it with: leasehold connection connect acme shared/);
  t.match((await s.call('acme', 'company')).error, { code: 'not_connected', nextAction: { do: 'contact_operator' } });
});

t.test('2025: the error -32042 without a back channel, and word when it is done', { skip }, async (t) => {
  const s = await connectScene(t);
  const browser = await startBrowser(t);
  for (const [kind, subject] of [
    ['sdk 1.32', 'ada'],
    ['client 2.4 default', 'bob'],
  ] as const) {
    const token = s.token('acme', subject);
    await using client = await connectClient(kind, s.endpoint('acme'), token, { openUrl: async () => ({ action: 'accept' }) });
    const done: string[] = [];
    client.onElicitationComplete((id) => done.push(id));
    const error = await client.call('code', {}).then(
      () => undefined,
      (cause: {
        code: number;
        data: { elicitations: { mode: string; url: string; message: string; elicitationId: string }[] };
      }) => cause,
    );
    t.equal(error?.code, -32042, kind);
    const [asked] = error?.data.elicitations ?? [];
    if (asked === undefined) throw new Error('no elicitation');
    t.match(asked, { mode: 'url', url: /\/connect\//, message: /the code/ });
    t.notMatch(asked.url, asked.elicitationId);
    const page = await (await newVisitor(browser)).newPage();
    const [link] = await s.links('code', { token });
    if (link === undefined) throw new Error('no link');
    t.strictSame([link.id, link.url], [asked.elicitationId, asked.url]);
    await confirm(page, link);
    await allow(page, s.real);
    t.match(await client.call('code', {}), { content: [{ text: '{"sub":"ada"}' }] });
    await until(async () => done.length > 0);
    t.strictSame(done, [asked.elicitationId]);
  }
  // A session without the capability: a result that says what to do.
  await using plain = await connectClient('sdk 1.32', s.endpoint('acme'), s.token('acme', 'eve'));
  t.match(await plain.call('code', {}), { isError: true, content: [{ text: /open http.*\/connect\/.*code/ }] });
});

t.test('the service is another site: the cookie of the browser comes along all the same', { skip }, async (t) => {
  const s = await connectScene(t);
  // To a browser, localhost and 127.0.0.1 are two sites.
  const publicUrl = `http://localhost:${s.runtime.port}`;
  await s.restart({ publicUrl });
  s.real.register(`${publicUrl}/connect/callback`);
  const page = await (await newVisitor(await startBrowser(t))).newPage();
  const link = await s.link();
  t.match(link.url, publicUrl);
  await confirm(page, link);
  await allow(page, s.real);
  t.match(await heading(page), /is connected$/);
});
