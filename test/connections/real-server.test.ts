// Grants of a real authorization server with rotation and reuse detection, over discovery, through the egress thread.
import t from 'tap';
import type { OAuth2Connection } from '../../src/config/compiled.ts';
import { createCredentials } from '../../src/connections/credentials.ts';
import { newGrant } from '../../src/connections/oauth/grant-facts.ts';
import { createRevocation } from '../../src/connections/oauth/revocation.ts';
import { credentialScene, textOf } from './credential-scene.ts';
import { adaKey } from './oauth-scene.ts';
import { CLIENT_SECRET, startRealServer } from './real-server.ts';

t.setTimeout(180_000);
const file = t;
const many = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make));

t.test('renewal, reuse detection, revocation', async (t) => {
  const server = await startRealServer();
  t.teardown(() => server.close());
  let ahead = 0;
  const now = (): number => Date.now() + ahead;
  const s = await credentialScene(
    t,
    file,
    () => undefined,
    ({ vault, audit }) => {
      const made = createCredentials({ ...vault, audit, privateOrigins: [server.origin], now });
      t.teardown(() => made.close());
      return made;
    },
    { now, privateOrigins: [server.origin] },
  );
  s.vault.secrets.set('acme', 'real-app', CLIENT_SECRET, 1);
  const connection: OAuth2Connection = {
    slot: 'crm',
    type: 'oauth2',
    origins: [server.origin],
    owner: 'user',
    grant: 'authorization_code',
    oauth: server.oauth,
  };
  const call = async () => textOf(await s.fetch(connection, '/me'));
  const tokenRequests = () => server.asked.splice(0).filter((path) => path === '/token').length;
  const first = await server.authorize();
  s.vault.grants.put(adaKey, newGrant('G1', server.oauth, first, now()));
  tokenRequests();
  t.equal(await call(), '{"sub":"ada"}');
  t.equal(tokenRequests(), 0);

  ahead += first.expiresInMs;
  t.strictSame(new Set(await many(100, call)), new Set(['{"sub":"ada"}']), 'ran out by the clock');
  t.equal(tokenRequests(), 1);
  const second = s.vault.grants.read(adaKey);
  t.match(second, { serial: 2, scopes: ['openid', 'offline_access'] });
  t.ok((await server.provider.RefreshToken.find(first.refreshToken))?.consumed, 'the first refresh token is spent');

  await (await server.provider.AccessToken.find(second?.accessToken ?? ''))?.destroy();
  t.strictSame(new Set(await many(100, call)), new Set(['{"sub":"ada"}']), 'refused by the service');
  t.equal(tokenRequests(), 1);

  const latest = s.vault.grants.read(adaKey);
  t.equal(latest?.serial, 3);
  if (latest !== undefined) s.vault.grants.put(adaKey, { ...latest, refreshToken: first.refreshToken });
  ahead += first.expiresInMs;
  t.strictSame(new Set(await many(20, call)), new Set(['not_connected']), 'a refresh token that was used twice');
  t.equal(tokenRequests(), 1);
  t.match(s.vault.grants.read(adaKey), { state: 'reauthorize', reason: 'invalid_grant' });

  const again = await server.authorize();
  s.vault.grants.put(adaKey, newGrant('G2', server.oauth, again, now()));
  t.equal(await call(), '{"sub":"ada"}');
  const revocation = createRevocation({ ...s.vault, audit: s.audit, privateOrigins: [server.origin] });
  t.teardown(() => revocation.close());
  t.equal(await revocation.revoke(adaKey, server.oauth), 'ok');
  t.equal(await server.provider.RefreshToken.find(again.refreshToken), undefined);
  t.equal(await call(), 'not_connected');
  const secrets = [CLIENT_SECRET, first.refreshToken, again.refreshToken, again.accessToken, latest?.refreshToken ?? 'none'];
  const everything = JSON.stringify(await s.records()) + s.onDisk();
  for (const secret of secrets) t.notOk(everything.includes(secret), 'nothing of it in clear');
});

t.test('client credentials for one resource', async (t) => {
  const server = await startRealServer();
  t.teardown(() => server.close());
  const s = await credentialScene(
    t,
    file,
    ({ headers }, response) => void response.end(headers.authorization?.split('.')[1]),
    ({ vault, audit, upstream }) => {
      const made = createCredentials({ ...vault, audit, privateOrigins: [server.origin, upstream.origin] });
      t.teardown(() => made.close());
      return made;
    },
  );
  s.vault.secrets.set('acme', 'real-app', CLIENT_SECRET, 1);
  const connection: OAuth2Connection = {
    slot: 'machine',
    type: 'oauth2',
    origins: [s.upstream.origin],
    owner: 'tenant',
    grant: 'client_credentials',
    oauth: { ...server.oauth, scopes: ['read'], resource: 'https://api.example/v1' },
  };
  const answers = await many(50, async () => textOf(await s.fetch(connection, '/')));
  t.equal(new Set(answers).size, 1);
  t.equal(server.asked.filter((path) => path === '/token').length, 1);
  const claims = JSON.parse(Buffer.from(answers[0] ?? '', 'base64url').toString()) as Record<string, unknown>;
  t.match(claims, { aud: 'https://api.example/v1', scope: 'read', client_id: 'leasehold' });
});
