// Connecting an account from the call that needs it to the call that goes through: a running server, a real authorization server,
// real browsers without script.
import t from 'tap';
import { newVisitor, noBrowser, startBrowser } from '../helpers/browser.ts';
import { allow, connectScene, heading, linksOf } from './connect-scene.ts';

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
  t.notMatch(await page.content(), /canary|access_token|refresh/);
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
