// What must not work on the way to a connection: other people, other browsers, replays, guesses, forged answers, hostile names.
import t from 'tap';
import { newVisitor, noBrowser, startBrowser } from '../helpers/browser.ts';
import { type ConnectScene, connectScene } from './connect-scene.ts';
import { answerOf, back, Visitor } from './visitor.ts';

t.setTimeout(240_000);

const UNKNOWN = 'This link is not valid any more';
const UNEXPECTED = 'This answer is not expected';

const tokenRequests = (s: ConnectScene) => s.real.asked.filter((path) => path === '/token').length;
const kinds = async (s: ConnectScene, kind: string) => (await s.audit('acme')).filter((event) => event.kind === kind);
const connected = async (s: ConnectScene) => (await s.call('acme', 'me')).text === '{"sub":"ada"}';

t.test('what the service is asked, and the way through on the wire', async (t) => {
  const s = await connectScene(t, { crm: { resource: 'https://api.example' } });
  const ada = new Visitor(s.runtime.url);
  const at = await ada.sent(await s.link());
  const query = Object.fromEntries(at.searchParams);
  t.match(query, {
    response_type: 'code',
    client_id: 'leasehold',
    redirect_uri: `${s.runtime.url}/connect/callback`,
    code_challenge_method: 'S256',
    code_challenge: /^[\w-]{43}$/,
    state: /^[\w-]{43}$/,
    scope: 'offline_access openid',
    resource: 'https://api.example',
  });
  const tampered = new URL(at);
  tampered.searchParams.set('redirect_uri', 'https://evil.example/connect/callback');
  t.equal((await fetch(tampered, { redirect: 'manual' })).status, 400, 'the service knows one redirect URI');
  const elsewhere = new Visitor(s.runtime.url.replace('127.0.0.1', 'localhost'));
  const bob = await s.link({ token: s.token('acme', 'bob') });
  const asked = await elsewhere.sent({ ...bob, url: bob.url.replace('127.0.0.1', 'localhost') });
  t.equal(asked.searchParams.get('redirect_uri'), query['redirect_uri'], 'whatever host the page was opened under');
  const answer = await answerOf(s, at);
  t.equal(answer.get('iss'), s.real.origin);
  t.match((await back(s, ada, answer)).title, /is connected$/);
  const stored = s.vault.grants.list('acme')[0];
  t.match(stored, { key: { slot: 'crm', owner: { issuer: 'leasehold', subject: 'ada' } }, grant: { state: 'active' } });
  t.ok(stored?.grant.refreshToken);
  // Nothing of it stands in the audit or the log.
  const said = JSON.stringify(await s.audit('acme')) + s.logs.join('');
  for (const secret of [
    query['state'],
    answer.get('code'),
    stored?.grant.accessToken,
    stored?.grant.refreshToken,
    query['code_challenge'],
  ])
    t.notOk(said.includes(secret ?? 'missing'));
  t.match(await kinds(s, 'grant.connected'), [{ connection: 'crm' }]);
});

t.test('an answer counts once, in the browser that began, from the server that was asked', async (t) => {
  const s = await connectScene(t);
  const [ada, eve] = [new Visitor(s.runtime.url), new Visitor(s.runtime.url)];
  const at = await ada.sent(await s.link());
  const answer = await answerOf(s, at);
  await eve.visit((await s.link()).url);
  t.equal((await back(s, eve, answer)).title, 'This was begun in another browser');
  t.equal((await back(s, new Visitor(s.runtime.url), answer)).title, 'This was begun in another browser', 'no cookie at all');
  t.equal(tokenRequests(s), 0);
  for (const wrong of ['', 'state=x&code=y', `state=${answer.get('state')}x&code=${answer.get('code')}`])
    t.equal((await back(s, ada, wrong)).title, UNEXPECTED, wrong);
  t.match((await back(s, ada, answer)).title, /is connected$/, 'it was not spent by the others');
  t.equal(tokenRequests(s), 1);
  t.equal((await back(s, ada, answer)).title, UNEXPECTED, 'replayed');
  t.equal(tokenRequests(s), 1);
  t.match(await kinds(s, 'connect.failed'), [{ reason: 'another browser', subject: 'ada' }, { reason: 'another browser' }]);
});

t.test('wrong issuer, no issuer, errors and refusals end on a page, and the state is spent', async (t) => {
  const s = await connectScene(t);
  const ada = new Visitor(s.runtime.url);
  const cases: [string, (answer: URLSearchParams) => void, RegExp][] = [
    ['iss of another', (q) => q.set('iss', 'https://evil.example'), /could not be connected/],
    ['iss with a slash', (q) => q.set('iss', `${s.real.origin}/`), /could not be connected/],
    ['no iss', (q) => q.delete('iss'), /could not be connected/],
    ['iss twice', (q) => q.append('iss', s.real.origin), /could not be connected/],
    ['no code', (q) => q.delete('code'), /could not be connected/],
    ['code twice', (q) => q.append('code', 'x'), /could not be connected/],
    ['another code', (q) => q.set('code', 'x'), /could not be connected/],
    ['denied', (q) => (q.delete('code'), q.set('error', 'access_denied')), /was not connected/],
    [
      'error',
      (q) => (q.delete('code'), q.set('error', 'server_error'), q.set('error_description', '<b>canary-description</b>')),
      /could not be connected/,
    ],
    ['error with markup', (q) => (q.delete('code'), q.set('error', '<script>canary</script>')), /could not be connected/],
  ];
  for (const [name, change, title] of cases) {
    const answer = await answerOf(s, await ada.sent(await s.link()));
    const good = answer.toString();
    change(answer);
    const page = await back(s, ada, answer);
    t.match(page.title, title, name);
    t.match(page.text, /call the tool again/, name);
    t.notMatch(page.text, /canary|<b>|<script/, name);
    t.equal((await back(s, ada, good)).title, UNEXPECTED, `${name}: spent`);
  }
  t.notOk(await connected(s));
  t.equal(s.vault.grants.list('acme').length, 0);
  t.equal((await kinds(s, 'connect.denied')).length, 1);
  t.notMatch(JSON.stringify(await s.audit('acme')), /canary/);
  s.real.lieAboutIssuer('https://evil.example');
  t.match(
    (await back(s, ada, await answerOf(s, await ada.sent(await s.link())))).title,
    /could not be connected/,
    'a real mix-up',
  );
});

t.test('codes are few, and counted; a link opens nothing by itself', async (t) => {
  const s = await connectScene(t);
  const eve = new Visitor(s.runtime.url);
  const link = await s.link();
  t.equal((await eve.visit(link.url, { csrf: 'x', code: link.code })).title, 'This form has expired', 'no cookie');
  const { text } = await eve.visit(link.url);
  t.equal((await eve.visit(link.url, { csrf: 'x', code: link.code })).title, 'This form has expired', 'no token');
  const csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? '';
  const guess = (_: unknown, i: number) => eve.visit(link.url, { csrf, code: `AAA-AA${i % 9}` });
  const guesses = await Promise.all(Array.from({ length: 12 }, guess));
  t.equal((await eve.visit(link.url)).title, UNKNOWN, 'the right code would come too late');
  t.notOk(
    guesses.some(({ title }) => title === 'This form has expired'),
    'each was a guess',
  );
  t.ok(guesses.filter(({ title }) => title !== UNKNOWN).length <= 4);
  const denied = await kinds(s, 'connect.denied');
  t.ok(denied.length >= 5);
  t.notMatch(JSON.stringify(denied), link.code);
  const fresh = await s.link();
  t.not(fresh.url, link.url, 'the asker gets another one');
  t.equal(tokenRequests(s), 0);
  let limited = 0;
  for (let i = 0; i < 40; i += 1) limited += (await eve.visit(fresh.url, { csrf: 'x' })).status === 429 ? 1 : 0;
  t.ok(limited > 0, 'and the form itself is limited');
});

t.test('unknown, malformed, expired, used and reconfigured links look alike', async (t) => {
  const s = await connectScene(t);
  const ada = new Visitor(s.runtime.url);
  const link = await s.link();
  const other = await s.link({ token: s.token('acme', 'bob') });
  t.not(other.url, link.url);
  const stored = s.vault.flows.byLink(link.url.slice(link.url.lastIndexOf('/') + 1), Date.now());
  if (stored === undefined) throw new Error('no flow');
  const unknown = await ada.visit(`${s.runtime.url}/connect/${'a'.repeat(32)}`);
  t.strictSame([unknown.status, unknown.title], [404, UNKNOWN]);
  for (const bad of ['x', 'a'.repeat(31), `${'a'.repeat(31)}%00`, '..%2f..', `${link.url.slice(-32)}x`])
    t.match(await ada.visit(`${s.runtime.url}/connect/${bad}`), { status: 404, title: UNKNOWN }, bad);
  s.vault.flows.replace({ ...stored.flow, binding: 'another application' }, stored.version, stored.expiresAt);
  t.equal((await ada.visit(link.url)).title, UNKNOWN, 'made for another application');
  const later = s.vault.flows.byLink(stored.flow.link, Date.now());
  s.vault.flows.replace(stored.flow, later?.version ?? '', Date.now() - 1);
  const expired = await ada.visit(link.url);
  t.strictSame([expired.status, expired.title, expired.text], [404, UNKNOWN, unknown.text]);
  t.equal((await ada.visit(other.url)).title, `Connect ${new URL(s.real.origin).host}`);
});

t.test('a link, and a browser under way, outlive a restart', async (t) => {
  const s = await connectScene(t);
  const ada = new Visitor(s.runtime.url);
  const link = await s.link();
  const at = await ada.sent(link);
  const { flows } = s.vault;
  const file = flows.byLink(link.url.slice(link.url.lastIndexOf('/') + 1), Date.now());
  t.equal(file?.flow.sent?.state, at.searchParams.get('state'));
  await s.restart();
  const again = new URL(s.runtime.url).origin;
  t.equal(again, new URL(link.url).origin, 'the same port');
  t.match((await back(s, ada, await answerOf(s, at))).title, /is connected$/);
  t.ok(await connected(s));
});

t.test('an authorization server that is not fit is not used', async (t) => {
  const s = await connectScene(t);
  const ada = new Visitor(s.runtime.url);
  const metadata: Record<string, unknown> = {
    issuer: s.real.origin,
    authorization_endpoint: `${s.real.origin}/auth`,
    token_endpoint: `${s.real.origin}/token`,
    code_challenge_methods_supported: ['S256'],
  };
  const cases: [string, Record<string, unknown> | string, RegExp][] = [
    ['no PKCE', { code_challenge_methods_supported: undefined }, /does not offer PKCE/],
    ['plain PKCE', { code_challenge_methods_supported: ['plain'] }, /does not offer PKCE/],
    ['another issuer', { issuer: 'https://evil.example' }, /discovery/],
    ['script', { authorization_endpoint: 'javascript:alert(1)' }, /address that is not allowed/],
    ['metadata service', { token_endpoint: 'http://169.254.169.254/token' }, /address that is not allowed/],
    ['private', { token_endpoint: 'https://10.0.0.1/token' }, /address that is not allowed/],
    ['mapped', { token_endpoint: 'https://[::ffff:127.0.0.1]/token' }, /address that is not allowed/],
    ['no endpoint', { authorization_endpoint: undefined }, /no endpoint/],
    ['too much', 'x'.repeat(300_000), /discovery/],
  ];
  for (const [name, change, why] of cases) {
    s.real.metadata(typeof change === 'string' ? change : JSON.stringify({ ...metadata, ...change }));
    // Metadata is kept for an hour: another server each time.
    await s.restart();
    const page = await ada.confirm(await s.link());
    t.match(page.title, /could not be connected/, name);
    t.match(page.text, why, name);
    t.notMatch(page.text, /http-equiv/, name);
  }
  t.equal(tokenRequests(s), 0);
});

t.test('hostile names stay text, and no page can be framed', { skip: noBrowser }, async (t) => {
  const nasty = '<img src=x onerror=alert(1)>"\'&{{7*7}}';
  const s = await connectScene(t, { name: nasty });
  const browser = await startBrowser(t);
  const page = await (await newVisitor(browser, { javaScriptEnabled: true })).newPage();
  const trouble: string[] = [];
  page.on('console', (message) => trouble.push(message.text()));
  page.on('dialog', (dialog) => {
    trouble.push('dialog');
    void dialog.dismiss();
  });
  const subject = '<script>alert(1)</script>';
  const link = await s.link({ token: s.token('acme', subject) });
  await page.goto(link.url);
  t.match(await page.locator('dl').innerText(), nasty);
  t.match(await page.locator('dl').innerText(), subject);
  t.equal(await page.locator('img, script').count(), 0);
  t.strictSame(trouble, []);
  const frame = await (await newVisitor(browser)).newPage();
  await frame.setContent(`<iframe name="f" src="${link.url}"></iframe>`);
  await frame.waitForTimeout(300);
  t.notOk(
    await frame
      .frame('f')
      ?.locator('#code')
      .count()
      .catch(() => 0),
  );
});
