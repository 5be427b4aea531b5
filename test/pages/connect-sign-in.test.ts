// The connect page in a browser in which somebody is signed in: the asker needs no code, another person finds nothing.
import t from 'tap';
import type { AuditEvent } from '../../src/audit/record.ts';
import type { OAuth2Connection } from '../../src/config/compiled.ts';
import { ConnectFlows } from '../../src/connections/connect/connect-flow.ts';
import { connectOffer } from '../../src/connections/connect/connect-link.ts';
import { connectPages } from '../../src/server/pages/connect/routes.ts';
import { openVault } from '../../src/vault/vault.ts';
import { oauthConnection } from '../connections/oauth-scene.ts';
import { Visitor } from '../connections/visitor.ts';
import { startServer } from '../helpers/mcp-server.ts';

t.test('who is signed in', async (t) => {
  const vault = openVault({ dataDir: t.testdir(), masterKey: Buffer.alloc(32, 1) });
  t.teardown(() => vault.close());
  const events: AuditEvent[] = [];
  const audit = {
    append: async (event: AuditEvent) => void events.push(event),
    healthy: () => true,
    close: async () => undefined,
  };
  const endpoints = { authorization: 'https://login.example/authorize', token: 'https://login.example/token' };
  const connection: OAuth2Connection = oauthConnection('https://api.example', { endpoints });
  const flows = new ConnectFlows({
    ...vault,
    audit,
    privateOrigins: [],
    now: Date.now,
    redirectUri: () => 'https://lh.example/connect/callback',
    connectionOf: () => ({ name: 'Acme', connection }),
    onConnected: () => undefined,
  });
  t.teardown(() => flows.close());
  let signedIn: { issuer: string; subject: string } | undefined;
  const { url } = await startServer(t, { pages: [connectPages({ flows, signedInSubject: async () => signedIn })] });
  const owner = { issuer: 'https://lh.example', subject: 'ada' };
  const offer = await connectOffer({ flows: vault.flows, audit, now: Date.now }, url, {
    key: { tenant: 'acme', slot: 'crm', owner },
    connection,
    scopes: ['read'],
    asker: { ...owner, correlation: 'C' },
  });
  const link = { ...offer, connection: 'crm' };

  signedIn = { issuer: owner.issuer, subject: 'eve' };
  const eve = new Visitor(url);
  t.match(await eve.visit(link.url), { status: 404, title: 'This link is not valid any more' });
  t.match((await eve.confirm(link)).status, 403, 'with the right code neither: there is no form');
  t.match(events.at(-1), { kind: 'connect.denied', reason: 'another person is signed in', subject: 'ada' });

  signedIn = { issuer: 'https://another.example', subject: 'ada' };
  t.match((await new Visitor(url).visit(link.url)).text, /name="code"/, 'somebody of another issuer proves it with the code');

  signedIn = owner;
  const ada = new Visitor(url);
  const page = await ada.visit(link.url);
  t.notMatch(page.text, /name="code"/);
  t.match(page.text, /Continue to CRM/);
  const sent = await ada.confirm(link, '');
  t.match(sent.title, 'Going on to CRM');
  t.match(sent.text, /url=https:\/\/login\.example\/authorize\?/);
  // The asker signed out meanwhile, and somebody else in.
  const state = /state=([\w-]+)/.exec(sent.text)?.[1] ?? '';
  signedIn = { issuer: owner.issuer, subject: 'eve' };
  t.equal((await ada.visit(`${url}/connect/callback?state=${state}&code=x`)).title, 'This answer is not expected');
  t.strictSame(vault.grants.list('acme'), []);
});

t.test('no record, no step', async (t) => {
  const vault = openVault({ dataDir: t.testdir(), masterKey: Buffer.alloc(32, 1) });
  t.teardown(() => vault.close());
  let broken = true;
  const audit = {
    append: async () => {
      if (broken) throw new Error('a secret of the disk');
    },
    healthy: () => true,
    close: async () => undefined,
  };
  const connection = oauthConnection('https://api.example');
  const flows = new ConnectFlows({
    ...vault,
    audit,
    privateOrigins: [],
    now: Date.now,
    redirectUri: () => 'https://lh.example/connect/callback',
    connectionOf: () => ({ name: 'Acme', connection }),
    onConnected: () => undefined,
  });
  t.teardown(() => flows.close());
  const { url } = await startServer(t, { pages: [connectPages({ flows })] });
  const owner = { issuer: 'leasehold', subject: 'ada' };
  const make = () =>
    connectOffer({ flows: vault.flows, audit, now: Date.now }, url, {
      key: { tenant: 'acme', slot: 'crm', owner },
      connection,
      scopes: [],
      asker: { ...owner, correlation: 'C' },
    });
  await t.rejects(make());
  broken = false;
  const offer = await make();
  broken = true;
  const page = await new Visitor(url).visit(offer.url);
  t.match(page, { status: 500, title: 'Something went wrong' });
  t.notMatch(page.text, /secret/);
});
