// The foundation of all pages: escaping, headers, cookies, forms and their limits, in a real browser and on the wire.
// Not responsible for any page of the product.
import t from 'tap';
import { formToken, isFormToken } from '../../src/server/pages/browser.ts';
import { html, link } from '../../src/server/pages/html.ts';
import { sendPage } from '../../src/server/pages/page.ts';
import { formOf, type PageRoutes } from '../../src/server/pages/scope.ts';
import { newVisitor, noBrowser, startBrowser } from '../helpers/browser.ts';
import { CONFIG, startServer } from '../helpers/mcp-server.ts';

const NASTY = `"><script>alert(1)</script><img src=x onerror=alert(1)>' & {{7*7}}`;

const greeting: PageRoutes = (scope, browsers) => {
  scope.get('/greet', (request, reply) => {
    const token = formToken(browsers.ensure(request, reply), 'greet');
    const body = html`<p>Hello, ${NASTY}</p>
      <form method="post" action="/greet"><input type="hidden" name="csrf" value="${token}">
      <label for="name">Name</label><input id="name" name="name" value="${NASTY}"><button>Say it</button></form>`;
    return sendPage(reply, { title: NASTY, body });
  });
  scope.post('/greet', (request, reply) => {
    const { csrf, name } = formOf(request);
    const good = isFormToken(browsers.known(request), 'greet', csrf);
    return sendPage(reply, {
      title: good ? 'Taken' : 'Refused',
      status: good ? 200 : 403,
      body: html`<p>${name ?? 'nothing'}</p>`,
    });
  });
  scope.get('/fail', () => {
    throw new Error('a secret of the store');
  });
};

t.test('values are text, whatever they are; addresses are http or a path of ours', async (t) => {
  t.equal(html`<p title="${NASTY}">`.toString().includes('<script'), false);
  t.equal(
    html`<ul>${['a<', 'b'].map((item) => html`<li>${item}</li>`)}${undefined}${false}</ul>`.toString(),
    '<ul><li>a&lt;</li><li>b</li></ul>',
  );
  // An object that looks like one of ours is text too.
  t.notMatch(html`${{ toString: () => '<b>', markup: '<b>' } as never}`.toString(), /<b>/);
  for (const bad of [
    'javascript:alert(1)',
    ' javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    '//evil.example',
    '/\\evil.example',
    'x',
  ])
    t.throws(() => link(bad), bad);
  t.equal(link('/connect/x'), '/connect/x');
  t.equal(link('https://a.example/?b="'), 'https://a.example/?b=%22');
});

t.test('every page has its headers; what fails is a page without a reason', async (t) => {
  const { url } = await startServer(t, { pages: [greeting] });
  for (const [path, status] of [
    ['/greet', 200],
    ['/fail', 500],
  ] as const) {
    const response = await fetch(url + path);
    t.equal(response.status, status);
    t.match(Object.fromEntries(response.headers), {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy':
        /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'x-correlation-id': /\w/,
    });
    t.notMatch(await response.text(), /secret|<script/);
  }
  t.equal((await fetch(`${url}/greet`, { headers: { host: 'evil.example' } })).status, 200, 'fetch sets its own Host');
});

t.test('a form counts from this origin, this browser and this page, and is small', async (t) => {
  const server = await startServer(t, {
    pages: [greeting],
    config: { ...CONFIG, allowedOrigins: ['https://app.example'] },
  });
  const { url } = server;
  const first = await fetch(`${url}/greet`);
  const cookie = first.headers.getSetCookie()[0] ?? '';
  t.match(cookie, /^lh-browser=[\w-]{43}; Max-Age=86400; Path=\/; HttpOnly; SameSite=Lax$/);
  const csrf = /name="csrf" value="([^"]+)"/.exec(await first.text())?.[1] ?? '';
  const post = async (headers: Record<string, string>, body: string) => {
    const response = await fetch(`${url}/greet`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body,
    });
    return `${response.status} ${/<h1>([^<]*)/.exec(await response.text())?.[1]}`;
  };
  const good = { origin: url, cookie: cookie.split(';')[0] ?? '' };
  const body = `csrf=${csrf}&name=Ada`;
  t.equal(await post(good, body), '200 Taken');
  t.equal(await post({ ...good, 'sec-fetch-site': 'same-origin' }, body), '200 Taken');
  t.equal(await post({ cookie: good.cookie }, body), '403 This form is not ours', 'no Origin');
  t.equal(await post({ ...good, origin: 'https://app.example' }, body), '403 This form is not ours', 'CORS is not for forms');
  t.equal(await post({ ...good, 'sec-fetch-site': 'same-site' }, body), '403 This form is not ours');
  t.equal(await post({ ...good, origin: 'https://evil.example' }, body), '403 undefined', 'the guard');
  t.equal(await post({ ...good, origin: 'null' }, body), '403 undefined', 'the guard');
  t.equal(await post({ origin: url }, body), '403 Refused', 'no cookie');
  t.equal(await post({ ...good, cookie: `lh-browser=${'a'.repeat(43)}` }, body), '403 Refused', 'another browser');
  t.equal(await post(good, 'name=Ada'), '403 Refused', 'no token');
  t.equal(await post(good, `csrf=${csrf}&csrf=${csrf}`), '403 Refused', 'twice is nothing');
  t.equal(await post(good, `${body}&more=${'x'.repeat(17_000)}`), '413 This request cannot be read');
  t.equal(await post({ ...good, 'content-type': 'application/json' }, '{"csrf":1}'), '415 This request cannot be read');
  t.equal(await post({ ...good, 'content-type': 'text/plain' }, body), '415 This request cannot be read');
  // The MCP routes have no forms, and keep their bytes.
  const mcp = await fetch(server.endpoint(), {
    method: 'POST',
    headers: { ...good, 'content-type': 'application/x-www-form-urlencoded' },
    body,
  });
  t.equal(mcp.status, 401);
});

t.test('on https the cookie belongs to this host alone', async (t) => {
  const { port } = await startServer(t, { pages: [greeting], config: { ...CONFIG, publicUrl: 'https://mcp.example.com' } });
  const response = await fetch(`http://127.0.0.1:${port}/greet`);
  t.match(
    response.headers.getSetCookie()[0],
    /^__Host-lh-browser=[\w-]{43}; Max-Age=86400; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
  );
});

t.test('a browser without script fills in the form', { skip: noBrowser }, async (t) => {
  const { url } = await startServer(t, { pages: [greeting] });
  const browser = await startBrowser(t);
  // With script on: nothing of what a value brings may run.
  const page = await (await newVisitor(browser, { javaScriptEnabled: true })).newPage();
  const trouble: string[] = [];
  page.on('console', (message) => trouble.push(message.text()));
  page.on('dialog', (dialog) => {
    trouble.push('dialog');
    void dialog.dismiss();
  });
  await page.goto(`${url}/greet`);
  t.equal(await page.locator('h1').textContent(), NASTY);
  t.equal(await page.inputValue('#name'), NASTY);
  t.strictSame(await page.locator('script, img').count(), 0);
  await page.click('button');
  t.equal(await page.locator('h1').textContent(), 'Taken');
  t.equal(await page.locator('p').first().textContent(), NASTY);
  t.strictSame(trouble, [], 'the style is allowed, and nothing was blocked or ran');
  const framing = await (await newVisitor(browser)).newPage();
  await framing.setContent(`<iframe src="${url}/greet" name="f"></iframe>`);
  await framing.waitForTimeout(300);
  t.not(
    await framing
      .frame('f')
      ?.locator('h1')
      .count()
      .catch(() => 0),
    1,
  );
});
