// Clients that are named by the address of their metadata (Client ID Metadata Documents), fetched from a real https server.
// Not responsible for the guard on addresses (`connections/`) beyond that it is in the way.
import { join } from 'node:path';
import t from 'tap';
import { json, startUpstream, TEST_CERTIFICATE } from '../bindings/upstream-server.ts';
import { Person, REDIRECT, scene, WireClient } from './login-scene.ts';

t.setTimeout(240_000);

t.test('a metadata document is a client: shown by its host, asked about each time on this machine', async (t) => {
  let document: (id: string) => unknown = () => undefined;
  let asked = 0;
  const upstream = await startUpstream(
    ({ url }, response) => {
      asked += 1;
      json(response, document(`${upstream.origin}${url}`));
    },
    { tls: true },
  );
  t.teardown(() => upstream.close());
  const ca = join(t.testdir({ 'ca.pem': TEST_CERTIFICATE.toString() }), 'ca.pem');
  const served = await scene(t, { egress: { ca, privateOrigins: [upstream.origin] } });
  const acme = served.endpoint('acme');
  const client = new WireClient(served.runtime.url);
  const good = (id: string) => ({
    client_id: id,
    client_name: 'Document Client',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    scope: 'of somebody else',
  });
  document = good;
  client.id = `${upstream.origin}/client.json`;
  const person = new Person();
  // Another port than the document says: a program on this machine gets one anew each time.
  const page = await person.signIn(client.url(acme, { redirect_uri: REDIRECT.replace(':9/', ':19/') }));
  t.match(page, { status: 200, text: /Allow Document Client\?/ });
  t.ok(page.text.includes(`<dt>Described by</dt><dd>${new URL(upstream.origin).host}</dd>`));
  const consent = await person.open(client.url(acme));
  const answered = await person.submit(consent, { do: 'allow' });
  const { status, json: tokens } = await client.redeem(new URL(answered.url).searchParams.get('code') ?? '');
  t.equal(status, 200);
  t.match(await served.call('acme', 'read', {}, { token: tokens.access_token }), { status: 200, text: 'read' });
  t.equal((await client.refresh(tokens.refresh_token)).status, 200);
  t.match((await person.open(client.url(acme))).text, /Allow Document Client\?/, 'anybody here can take that name');
  t.equal(asked, 1, 'kept for a while');

  for (const [why, bad] of [
    ['another id', (id: string) => ({ ...good(id), client_id: `${id}x` })],
    ['a secret', (id: string) => ({ ...good(id), client_secret: 'x', token_endpoint_auth_method: 'client_secret_post' })],
    ['a redirect to plain http', (id: string) => ({ ...good(id), redirect_uris: ['http://evil.example/cb'] })],
    ['too large', (id: string) => ({ ...good(id), padding: 'x'.repeat(6000) })],
    ['no object', () => [1]],
  ] as const) {
    document = bad;
    client.id = `${upstream.origin}/${encodeURIComponent(why)}.json`;
    t.match(await person.open(client.url(acme)), { status: 400, text: /This application cannot be connected/ }, why);
  }
});
