// An authorization server that misbehaves on order, and the API that takes its tokens. Real HTTP on loopback.
// Not responsible for being right: `oidc-provider` stands for that. One grant family per refresh token that was issued.
import type { ServerResponse } from 'node:http';
import { json, type Received, startUpstream, type Upstream } from '../bindings/upstream-server.ts';

/** `strict`: a used refresh token ends the family. `grace`: it stays good until its successor is used. `none`: no rotation. */
export type Rotation = 'strict' | 'grace' | 'none';

interface Family {
  current: string;
  previous: string | undefined;
  alive: boolean;
}

export class FaultyServer {
  readonly upstream: Upstream;
  rotation: Rotation = 'strict';
  /** Of the answers; undefined: they have none. */
  expiresIn: number | undefined = 3600;
  /** Merged into answers that grant tokens. */
  extra: Record<string, unknown> = {};
  clientSecret: string | undefined;
  /** Called with each token request: what it returns is done; true goes on as usual. */
  fault: (request: URLSearchParams, response: ServerResponse) => boolean = () => true;
  /** Called when the tokens are made, before the answer leaves: false keeps it back. */
  beforeAnswer: (response: ServerResponse) => boolean = () => true;
  /** Called with each request to the API, before its answer. */
  onApi: () => void = () => undefined;
  /** What the API says to a good token. */
  apiStatus = 200;
  readonly tokenRequests: URLSearchParams[] = [];
  readonly revoked: string[] = [];
  readonly #good = new Set<string>();
  readonly #families: Family[] = [];
  #count = 0;

  private constructor(upstream: Upstream) {
    this.upstream = upstream;
  }

  static async start(options: { readonly tls?: boolean } = {}): Promise<FaultyServer> {
    const upstream = await startUpstream((request, response) => server.#answer(request, response), options);
    const server = new FaultyServer(upstream);
    return server;
  }

  get origin(): string {
    return this.upstream.origin;
  }
  get apiRequests(): number {
    return this.upstream.received.filter(({ url }) => url.startsWith('/api')).length;
  }

  /** A new grant, as a code exchange would give it. */
  issue(): { accessToken: string; refreshToken: string } {
    const family: Family = { current: this.#name('refresh'), previous: undefined, alive: true };
    this.#families.push(family);
    return { accessToken: this.#access(), refreshToken: family.current };
  }

  /** @param authorization value of the header */
  isGood(authorization = ''): boolean {
    return this.#good.has(authorization.replace(/^Bearer /, ''));
  }
  expireAll(): void {
    this.#good.clear();
  }
  revokeAll(): void {
    this.expireAll();
    for (const family of this.#families) family.alive = false;
  }

  #name(kind: string): string {
    this.#count += 1;
    return `canary-${kind}-${this.#count}-${'x'.repeat(16)}`;
  }
  #access(): string {
    const token = this.#name('access');
    this.#good.add(token);
    return token;
  }

  #answer(request: Received, response: ServerResponse): void {
    const { pathname } = new URL(request.url, this.origin);
    if (pathname.startsWith('/api')) {
      this.onApi();
      const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
      return json(response, { path: pathname }, this.#good.has(token) ? this.apiStatus : 401);
    }
    if (pathname === '/revoke') {
      this.revoked.push(new URLSearchParams(request.body).get('token') ?? '');
      return void response.writeHead(200).end();
    }
    if (pathname !== '/token') return json(response, {}, 404);
    const body = new URLSearchParams(request.body);
    this.tokenRequests.push(body);
    if (!this.fault(body, response)) return;
    const secret = body.get('client_secret') ?? basicSecret(request.headers.authorization);
    if (this.clientSecret !== undefined && secret !== this.clientSecret) {
      const answer = { error: 'invalid_client', error_description: `not ${secret}` };
      return json(response, answer, 401, { 'www-authenticate': 'Basic realm="x"' });
    }
    const tokens = this.#granted(body);
    if (tokens === undefined) return json(response, { error: 'invalid_grant', error_description: 'canary-description' }, 400);
    const lifetime = this.expiresIn === undefined ? {} : { expires_in: this.expiresIn };
    const answer = { access_token: this.#access(), token_type: 'bearer', ...lifetime, ...tokens, ...this.extra };
    if (this.beforeAnswer(response)) json(response, answer);
  }

  #granted(body: URLSearchParams): { refresh_token?: string } | undefined {
    switch (body.get('grant_type')) {
      case 'client_credentials':
        return {};
      case 'authorization_code':
        return body.get('code') === 'good-code' ? { refresh_token: this.issue().refreshToken } : undefined;
      default:
        return this.#refresh(body.get('refresh_token') ?? '');
    }
  }

  #refresh(token: string): { refresh_token?: string } | undefined {
    const family = this.#families.find(({ current, previous }) => current === token || previous === token);
    if (family?.alive !== true) return undefined;
    if (this.rotation === 'none') return {};
    if (family.previous === token && this.rotation === 'strict') {
      family.alive = false;
      return undefined;
    }
    family.previous = this.rotation === 'grace' ? token : family.current;
    family.current = this.#name('refresh');
    return { refresh_token: family.current };
  }

  close(): Promise<void> {
    return this.upstream.close();
  }
}

/** RFC 6749 2.3.1: form-encoded before it is joined. */
function basicSecret(authorization = ''): string | undefined {
  const [, encoded] = Buffer.from(authorization.slice(6), 'base64').toString().split(':');
  return encoded === undefined ? undefined : decodeURIComponent(encoded.replaceAll('+', '%20'));
}
