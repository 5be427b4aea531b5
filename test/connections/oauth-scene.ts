// A tenant with an OAuth connection in a test: the faulty server, a connection to it, and a grant in the vault.
// Not responsible for what is tested.
import type { Test } from 'tap';
import type { CompiledOAuth, OAuth2Connection } from '../../src/config/compiled.ts';
import { createCredentials, type CredentialPorts, type Credentials } from '../../src/connections/credentials.ts';
import { newGrant } from '../../src/connections/oauth/grant-facts.ts';
import { newCorrelationId } from '../../src/shared/ids.ts';
import type { Grant, GrantKey, GrantStore, StoredGrant } from '../../src/vault/stores.ts';
import { credentialScene, type CredentialScene, type SceneRequest, textOf } from './credential-scene.ts';
import { FaultyServer } from './faulty-server.ts';

export function oauthConnection(
  origin: string,
  oauth: Partial<CompiledOAuth> = {},
  more: Partial<OAuth2Connection> = {},
): OAuth2Connection {
  return {
    slot: 'crm',
    type: 'oauth2',
    origins: [origin],
    owner: 'user',
    grant: 'authorization_code',
    oauth: {
      title: 'CRM',
      issuer: undefined,
      endpoints: { token: `${origin}/token`, revocation: `${origin}/revoke` },
      clientId: 'leasehold-test',
      clientSecret: undefined,
      clientAuth: 'none',
      scopes: ['read'],
      resource: undefined,
      quirks: {},
      ...oauth,
    },
    ...more,
  };
}

export const adaKey: GrantKey = { tenant: 'acme', slot: 'crm', owner: { issuer: 'leasehold', subject: 'ada' } };

/** Stores a grant of the server as the connect flow would. */
export function connect(
  grants: GrantStore,
  server: FaultyServer,
  connection: OAuth2Connection,
  more: Partial<Grant> = {},
  key = adaKey,
): StoredGrant {
  const { accessToken, refreshToken } = server.issue();
  const grant = newGrant(newCorrelationId(), connection.oauth, { accessToken, refreshToken }, Date.now());
  return grants.put(key, { ...grant, ...more });
}

export interface OAuthScene extends CredentialScene {
  readonly server: FaultyServer;
  readonly connection: OAuth2Connection;
  readonly credentials: Credentials;
  /** Moves the clock of the supervisor. */
  pass(ms: number): void;
  /** The body of an answer, or the code of a failure. */
  call(path?: string, more?: SceneRequest & { connection?: OAuth2Connection }): Promise<string>;
  grant(key?: GrantKey): StoredGrant | undefined;
}

export async function oauthScene(
  t: Test,
  file: Test,
  oauth: Partial<CompiledOAuth> = {},
  more: Partial<OAuth2Connection> = {},
  ports: Partial<CredentialPorts> = {},
): Promise<OAuthScene> {
  const server = await FaultyServer.start();
  t.teardown(() => server.close());
  let ahead = 0;
  const now = (): number => Date.now() + ahead;
  const connection = oauthConnection(server.origin, oauth, more);
  let credentials: Credentials | undefined;
  const scene = await credentialScene(
    t,
    file,
    () => undefined,
    ({ vault, audit }) => {
      const { secrets, rejections, grants, refreshLocks } = vault;
      credentials = createCredentials({
        secrets,
        rejections,
        grants,
        refreshLocks,
        audit,
        privateOrigins: [server.origin],
        connectLink: ({ key, scopes }) => ({
          id: 'F',
          url: `https://lh.example/connect/${key.owner?.subject ?? 'tenant'}?${scopes.join('+')}`,
          code: '7Q3-F9K',
          scopes,
        }),
        now,
        ...ports,
      });
      const made = credentials;
      t.teardown(() => made.close());
      return made;
    },
    { now, privateOrigins: [server.origin] },
  );
  if (credentials === undefined) throw new Error('the scene makes its credentials');
  return {
    ...scene,
    credentials,
    server,
    connection,
    pass: (ms) => {
      ahead += ms;
    },
    call: async (path = '/api', request = {}) => textOf(await scene.fetch(request.connection ?? connection, path, request)),
    grant: (key = adaKey) => scene.vault.grants.read(key),
  };
}
