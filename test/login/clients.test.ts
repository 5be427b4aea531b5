// Stock MCP clients with nothing but the address of a tenant: discovery, registration, a person in a real browser, tokens, calls.
// Not responsible for what a hostile client tries (`refused`).
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import t from 'tap';
import { newVisitor, noBrowser, startBrowser } from '../helpers/browser.ts';
import { SERVER_OWNER } from '../../src/shared/ids.ts';
import { INTROSPECTION_SECRET, SIGN_IN_CLIENT, startForeignIssuer } from '../auth/foreign-issuer.ts';
import { ClientMemory, PASSWORD, scene, signIn, signInAt, visit } from './login-scene.ts';

t.setTimeout(240_000);

t.test('the address alone leads to a call, with both SDKs', { skip: noBrowser }, async (t) => {
  const upstream = await startForeignIssuer(t);
  const application = { clientId: SIGN_IN_CLIENT, clientSecret: { secret: 'sign-in' } };
  const served = await scene(
    t,
    signInAt(upstream, {
      company: { ...application, title: 'The Company', issuer: upstream.origin, allow: { emailDomains: ['acme.example'] } },
      plain: {
        ...application,
        title: 'Plain OAuth',
        endpoints: {
          authorization: `${upstream.origin}/auth`,
          token: `${upstream.origin}/token`,
          userinfo: `${upstream.origin}/me`,
        },
        scopes: ['openid'],
      },
    }),
  );
  upstream.openTo(`${served.runtime.url}/sign-in/callback`);
  served.vault.secrets.set(SERVER_OWNER, 'sign-in', INTROSPECTION_SECRET, Date.now());
  const browser = await startBrowser(t);
  const url = new URL(served.endpoint('acme'));

  await t.test('@modelcontextprotocol/sdk', async (t) => {
    const memory = new ClientMemory('Legacy Client');
    const first = new LegacyTransport(url, { authProvider: memory });
    const client = new LegacyClient({ name: 'legacy', version: '1' });
    await t.rejects(client.connect(first as Parameters<LegacyClient['connect']>[0]), /Unauthorized/);
    const context = await newVisitor(browser);
    t.teardown(() => context.close());
    const { page, answered } = await visit(context, memory.opened ?? '');
    t.match(await page.textContent('main'), /Legacy Client wants to use acme/);
    await signIn(page, 'ada', 'wrong password');
    t.match(await page.textContent('main'), /Name or password is wrong/);
    await signIn(page, ' Ada ');
    await page.getByRole('heading', { name: 'Allow Legacy Client?' }).waitFor();
    const text = (await page.textContent('main')) ?? '';
    for (const shown of [
      'acme',
      'ada',
      'issues:read',
      'issues:write',
      '127.0.0.1:9',
      'this computer',
      'nobody has checked its name',
    ])
      t.ok(text.includes(shown), shown);
    t.notMatch(text, /offline_access|\bmcp\b/);
    await page.getByRole('button', { name: 'Allow' }).click();
    const { searchParams } = await answered;
    t.equal(searchParams.get('iss'), served.runtime.url);
    await first.finishAuth(searchParams.get('code') ?? '');
    await client.connect(new LegacyTransport(url, { authProvider: memory }) as Parameters<LegacyClient['connect']>[0]);
    t.teardown(() => client.close());
    t.match(await client.callTool({ name: 'whoami', arguments: {} }), {
      content: [{ text: 'acme ada issues:read+issues:write+mcp' }],
    });
    t.match(memory.kept, { token_type: 'Bearer', expires_in: 600, refresh_token: /./ });

    // The same again: signed in and allowed already, so the browser only passes through.
    const again = new ClientMemory('Legacy Client');
    again.information = memory.information;
    t.equal(await auth(again, { serverUrl: url }), 'REDIRECT');
    const passed = await visit(context, again.opened ?? '');
    t.ok((await passed.answered).searchParams.get('code'));

    // Refresh, by the SDK itself.
    const before = memory.kept?.access_token;
    t.equal(await auth(memory, { serverUrl: url }), 'AUTHORIZED');
    t.not(memory.kept?.access_token, before);
    t.match(await served.call('acme', 'read', {}, { token: memory.kept?.access_token ?? '' }), { text: 'read' });
  });

  await t.test('@modelcontextprotocol/client', async (t) => {
    const memory = new ClientMemory('Modern Client');
    const provider = memory as never;
    const first = new ModernTransport(url, { authProvider: provider });
    const client = new ModernClient({ name: 'modern', version: '1' });
    await t.rejects(client.connect(first));
    const context = await newVisitor(browser);
    t.teardown(() => context.close());
    const { page, answered } = await visit(context, memory.opened ?? '');
    await signIn(page);
    await page.getByRole('button', { name: 'Allow' }).click();
    const { searchParams } = await answered;
    await first.finishAuth(searchParams);
    await client.connect(new ModernTransport(url, { authProvider: provider }));
    t.teardown(() => client.close());
    t.match(await client.callTool({ name: 'whoami', arguments: {} }), {
      content: [{ text: 'acme ada issues:read+issues:write+mcp' }],
    });

    // A membership that is taken back is felt by the token that was issued before; so is one with fewer scopes.
    const token = memory.kept?.access_token ?? '';
    served.vault.memberships.grant('acme', 'ada', ['issues:read'], Date.now());
    t.match(await served.call('acme', 'whoami', {}, { token }), { text: 'acme ada issues:read+mcp' });
    t.equal((await served.call('acme', 'write', {}, { token })).status, 403);
    served.vault.memberships.revoke('acme', 'ada');
    t.equal((await served.call('acme', 'whoami', {}, { token })).status, 401);
  });

  await t.test('by a provider, as somebody new to the server', async (t) => {
    const memory = new ClientMemory('Upstream Client');
    const first = new LegacyTransport(url, { authProvider: memory });
    const client = new LegacyClient({ name: 'upstream', version: '1' });
    await t.rejects(client.connect(first as Parameters<LegacyClient['connect']>[0]), /Unauthorized/);
    const context = await newVisitor(browser);
    t.teardown(() => context.close());
    const { page, answered } = await visit(context, memory.opened ?? '');
    await page.getByRole('button', { name: 'Continue with The Company' }).click();
    await page.waitForURL((at) => at.origin === upstream.origin);
    await page.fill('[name=login]', 'grace');
    await page.fill('[name=password]', 'x');
    await page.click('button[type=submit]');
    await page.waitForLoadState();
    await page.click('button[type=submit]');
    await page.getByRole('heading', { name: /cannot use acme/ }).waitFor();
    const told = (await page.textContent('main')) ?? '';
    t.match(told, 'leasehold user grant acme company:grace');
    t.notMatch(told, /eyJ|canary/);
    served.vault.memberships.grant('acme', 'company:grace', ['issues:read'], Date.now());
    await page.reload();
    await page.getByRole('heading', { name: 'Allow Upstream Client?' }).waitFor();
    t.match(await page.textContent('main'), /grace@acme.example \(The Company\)/);
    await page.getByRole('button', { name: 'Allow' }).click();
    await first.finishAuth((await answered).searchParams.get('code') ?? '');
    await client.connect(new LegacyTransport(url, { authProvider: memory }) as Parameters<LegacyClient['connect']>[0]);
    t.teardown(() => client.close());
    t.match(await client.callTool({ name: 'whoami', arguments: {} }), {
      content: [{ text: 'acme company:grace issues:read+mcp' }],
    });
    t.equal(await auth(memory, { serverUrl: url }), 'AUTHORIZED', 'refreshed');

    // The same person by way of plain OAuth is another subject, of whom nobody has heard.
    const again = new ClientMemory('Upstream Client');
    t.equal(await auth(again, { serverUrl: url }), 'REDIRECT');
    const other = (await visit(context, again.opened ?? '')).page;
    await other.getByRole('button', { name: 'Use another account' }).click();
    await other.getByRole('button', { name: 'Continue with Plain OAuth' }).click();
    await other.waitForURL((at) => at.origin === upstream.origin || at.pathname.startsWith('/sign-in/'));
    if (other.url().startsWith(upstream.origin)) await other.click('button[type=submit]');
    await other.getByRole('heading', { name: 'plain:grace cannot use acme' }).waitFor();
  });

  const records = [...(await served.audit('acme')), ...(await served.audit('_server'))];
  const kinds = records.map(({ kind }: { kind: string }) => kind);
  for (const kind of [
    'login.registered',
    'login.failed',
    'login.signed_in',
    'login.consented',
    'login.issued',
    'login.refreshed',
  ])
    t.ok(kinds.includes(kind), kind);
  t.match(
    records.find(({ kind }: { kind: string }) => kind === 'login.failed'),
    { subject: 'ada', tenant: 'acme', reason: 'wrong password', address: '127.0.0.1' },
  );
  t.notMatch(JSON.stringify(records) + served.logs.join(''), new RegExp(`${PASSWORD}|wrong password"?:|eyJ`));
});
