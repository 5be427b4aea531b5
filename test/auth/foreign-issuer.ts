// A foreign issuer: a real authorization server (oidc-provider) whose private key the test knows, so that hand-made tokens carry true
// signatures; what it answers can be spoiled.
// Not responsible for what is asserted. Invariant: a free port, ended with the test; every path that was asked is told.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from 'jose';
import Provider from 'oidc-provider';
import type { Test } from 'tap';

export const INTROSPECTION_SECRET = 'canary-introspection-secret-0123456789';

export interface ForeignIssuer {
  readonly origin: string;
  /** Paths that were asked, in order. */
  readonly asked: string[];
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  /** Answers in place of the server where it returns true. */
  spoil: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** A good access token (RFC 9068) for the audience, but for what is changed; `undefined` leaves a claim or header out. */
  sign(aud: unknown, claims?: Record<string, unknown>, header?: Record<string, unknown>, key?: CryptoKey): Promise<string>;
  /** From its own token endpoint, by client credentials. `opaque` where the resource says so (`?opaque`). */
  grant(resource: string, scope?: string): Promise<string>;
  /** From now on people sign in here for the client `SIGN_IN_CLIENT`, with any name and password. */
  openTo(redirectUri: string): void;
}

export const SIGN_IN_CLIENT = 'leasehold-sign-in';

export async function startForeignIssuer(t: Test): Promise<ForeignIssuer> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const http = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(async () => {
    http.close();
    http.closeAllConnections();
    await once(http, 'close');
  });
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const jwks = { keys: [{ ...(await exportJWK(privateKey)), kid: 'k1', use: 'sig', alg: 'RS256' }] };
  const make = (...people: object[]) =>
    new Provider(origin, {
      jwks,
      clients: [
        ...people,
        {
          client_id: 'machine',
          client_secret: INTROSPECTION_SECRET,
          redirect_uris: [],
          response_types: [],
          grant_types: ['client_credentials'],
        },
        {
          client_id: 'leasehold',
          client_secret: INTROSPECTION_SECRET,
          redirect_uris: [],
          response_types: [],
          grant_types: ['client_credentials'],
        },
      ],
      scopes: ['openid', 'profile', 'email', 'read', 'write'],
      // As OpenID Connect has it: what is not asked for otherwise is told by user info, not in the ID token.
      claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
      findAccount: (_: unknown, accountId: string) => ({
        accountId,
        claims: () => ({
          sub: accountId,
          name: `${accountId} Lovelace`,
          email: `${accountId}@acme.example`,
          email_verified: true,
        }),
      }),
      features: {
        clientCredentials: { enabled: true },
        introspection: { enabled: true },
        revocation: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_: unknown, resource: string) => ({
            scope: 'read write',
            audience: resource.replace(/\?opaque$/, ''),
            accessTokenFormat: resource.endsWith('?opaque') ? 'opaque' : 'jwt',
          }),
        },
      },
      cookies: { keys: ['test'] },
      ttl: { ClientCredentials: 3600, AccessToken: 600, Grant: 600, Session: 600, Interaction: 600, IdToken: 600 },
    });
  let callback = make().callback();
  const issuer: ForeignIssuer = {
    origin,
    asked: [],
    privateKey,
    publicJwk: { ...(await exportJWK(publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' },
    spoil: undefined,
    sign(aud, claims = {}, header = {}, key = privateKey) {
      const now = Math.floor(Date.now() / 1000);
      const payload = { iss: origin, sub: 'ada', client_id: 'app', aud, iat: now, exp: now + 600, scope: 'read', ...claims };
      const protectedHeader = { alg: 'RS256', typ: 'at+jwt', kid: 'k1', ...header } as JWTHeaderParameters;
      return new SignJWT(withoutUndefined(payload))
        .setProtectedHeader(withoutUndefined(protectedHeader) as JWTHeaderParameters)
        .sign(key);
    },
    async grant(resource, scope = 'read') {
      const response = await fetch(`${origin}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`machine:${INTROSPECTION_SECRET}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope }),
      });
      const { access_token: token } = (await response.json()) as { access_token: string };
      if (token === undefined) throw new Error('the authorization server gave no token');
      return token;
    },
    openTo(redirectUri) {
      const client = { client_id: SIGN_IN_CLIENT, client_secret: INTROSPECTION_SECRET, redirect_uris: [redirectUri] };
      callback = make(client).callback();
    },
  };
  http.on('request', (request, response) => {
    issuer.asked.push(request.url?.split('?')[0] ?? '');
    if (issuer.spoil?.(request, response) !== true) void callback(request, response);
  });
  return issuer;
}

function withoutUndefined(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}
