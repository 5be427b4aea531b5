// A real authorization server (oidc-provider): PKCE required, refresh tokens rotated with reuse detection, resource indicators.
// Its userinfo endpoint stands for the API that takes its tokens. Headless: `authorize` signs in and consents as a browser would.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import type { CompiledOAuth } from '../../src/config/compiled.ts';

export const CLIENT_SECRET = 'canary-client-secret-0123456789';
const REDIRECT = 'https://lh.example/connect/callback';

export interface RealServer {
  readonly origin: string;
  readonly provider: Provider;
  /** Takes this redirect URI instead: the server that uses it is known later than this one. */
  register(redirectUri: string): void;
  /** What its metadata documents say instead; undefined: the truth. */
  metadata(text: string | undefined): void;
  /** Authorization responses name this issuer. */
  lieAboutIssuer(issuer: string): void;
  /** Paths that were asked, in order. */
  readonly asked: string[];
  readonly oauth: CompiledOAuth;
  /** The token endpoint's answer to a code that `ada` allowed. */
  authorize(): Promise<{ accessToken: string; refreshToken: string; expiresInMs: number }>;
  close(): Promise<void>;
}

export async function startRealServer(): Promise<RealServer> {
  const http = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const make = (redirectUri: string): Provider =>
    new Provider(origin, {
      clients: [
        {
          client_id: 'leasehold',
          client_secret: CLIENT_SECRET,
          redirect_uris: [redirectUri],
          grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        },
      ],
      scopes: ['openid', 'offline_access', 'read'],
      features: {
        clientCredentials: { enabled: true },
        revocation: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => undefined,
          useGrantedResource: () => true,
          getResourceServerInfo: (_: unknown, resource: string) => ({
            scope: 'read',
            audience: resource,
            accessTokenFormat: 'jwt',
          }),
        },
      },
      rotateRefreshToken: true,
      issueRefreshToken: () => true,
      findAccount: (_: unknown, accountId: string) => ({
        accountId,
        claims: (use: string) => ({
          sub: accountId,
          ...(use === 'id_token' ? { preferred_username: `${accountId} <b>Lovelace</b>` } : {}),
        }),
      }),
      claims: { openid: ['sub', 'preferred_username'] },
      conformIdTokenClaims: false,
      cookies: { keys: ['test'] },
      ttl: { AccessToken: 3600, RefreshToken: 86_400, ClientCredentials: 3600, Grant: 86_400, Session: 3600, Interaction: 3600 },
    });
  const asked: string[] = [];
  let provider = make(REDIRECT);
  let callback = provider.callback();
  let lie: string | undefined;
  let metadata: string | undefined;
  http.on('request', (request, response) => {
    asked.push(request.url?.split('?')[0] ?? '');
    if (metadata !== undefined && request.url?.startsWith('/.well-known/') === true) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(metadata);
      return;
    }
    if (lie !== undefined) {
      const issuer = lie;
      const set = response.setHeader.bind(response);
      response.setHeader = (name, value) =>
        set(
          name,
          name.toLowerCase() === 'location' && typeof value === 'string' ? value.replace(/iss=[^&]*/, `iss=${issuer}`) : value,
        );
    }
    void callback(request, response);
  });
  const oauth: CompiledOAuth = {
    title: 'Real',
    issuer: origin,
    endpoints: undefined,
    clientId: 'leasehold',
    clientSecret: { owner: 'acme', secret: 'real-app' },
    clientAuth: 'client_secret_basic',
    scopes: ['openid', 'offline_access'],
    resource: undefined,
    quirks: {},
  };
  return {
    origin,
    get provider() {
      return provider;
    },
    register(redirectUri) {
      provider = make(redirectUri);
      callback = provider.callback();
    },
    metadata(text) {
      metadata = text;
    },
    lieAboutIssuer(issuer) {
      lie = encodeURIComponent(issuer);
    },
    asked,
    oauth,
    authorize: () => authorize(origin),
    async close() {
      http.close();
      http.closeAllConnections();
      await once(http, 'close');
    },
  };
}

async function authorize(origin: string) {
  const verifier = randomBytes(32).toString('base64url');
  const cookies = new Map<string, string>();
  const visit = async (url: string, form?: Record<string, string>): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(new URL(url, origin), {
      redirect: 'manual',
      headers: { cookie },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';', 1)[0]?.split('=') ?? [];
      cookies.set(name, value);
    }
    return response;
  };
  const query = new URLSearchParams({
    client_id: 'leasehold',
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'openid offline_access',
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  let at = `/auth?${query.toString()}`;
  for (let steps = 0; !at.startsWith(REDIRECT); steps += 1) {
    if (steps > 10) throw new Error(`the sign-in did not end: ${at}`);
    const path = new URL(at, origin).pathname;
    let response = await visit(at);
    if (path.startsWith('/interaction/') && response.status === 200) {
      const prompt = /name="prompt" value="(\w+)"/.exec(await response.text())?.[1] ?? '';
      response = await visit(path, { prompt, login: 'ada', password: 'x' });
    }
    at = response.headers.get('location') ?? '';
    if (at === '') throw new Error(`no way on from ${path}: HTTP ${response.status}`);
  }
  const code = new URL(at).searchParams.get('code') ?? '';
  const answer = await fetch(`${origin}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`leasehold:${CLIENT_SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier }),
  });
  const tokens = (await answer.json()) as { access_token: string; refresh_token: string; expires_in: number };
  return { accessToken: tokens.access_token, refreshToken: tokens.refresh_token, expiresInMs: tokens.expires_in * 1000 };
}
