// Where authorization servers have their endpoints: as configured, or by discovery (RFC 8414, then OpenID Connect).
// Not responsible for token requests. One lookup at a time per issuer, kept for an hour.
// Invariant: metadata count only if they name exactly the issuer that was asked (mix-up: RFC 8414, section 3.3).
import { type AuthorizationServer, discoveryRequest, JSON_ATTRIBUTE_COMPARISON, processDiscoveryResponse } from 'oauth4webapi';
import type { CompiledOAuth } from '../../config/compiled.ts';
import { type GuardedFetch, NoAnswer } from './guarded-fetch.ts';
import { oauthFetch } from './oauth-fetch.ts';

const KEPT_MS = 3_600_000;
const KEPT = 256;

interface Known {
  readonly server: Promise<AuthorizationServer>;
  readonly until: number;
}

export class AuthorizationServers {
  readonly #guarded: GuardedFetch;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();

  constructor(guarded: GuardedFetch, now: () => number) {
    this.#guarded = guarded;
    this.#now = now;
  }

  /** Rejects with a `NoAnswer` that was not `sent`: nothing of a grant was spent. */
  of({ issuer, endpoints }: Pick<CompiledOAuth, 'issuer' | 'endpoints'>): Promise<AuthorizationServer> {
    if (endpoints !== undefined) return Promise.resolve(configured(issuer, endpoints));
    if (issuer === undefined) return Promise.reject(new NoAnswer('neither issuer nor endpoints', { sent: false, refused: true }));
    const known = this.#known.get(issuer);
    if (known !== undefined && this.#now() < known.until) return known.server;
    const server = this.#discover(issuer);
    this.#known.delete(issuer);
    this.#known.set(issuer, { server, until: this.#now() + KEPT_MS });
    if (this.#known.size > KEPT) {
      const oldest = this.#known.keys().next();
      if (!oldest.done) this.#known.delete(oldest.value);
    }
    server.catch(() => {
      if (this.#known.get(issuer)?.server === server) this.#known.delete(issuer);
    });
    return server;
  }

  async #discover(issuer: string): Promise<AuthorizationServer> {
    try {
      return await this.#ask(issuer, 'oauth2');
    } catch (first) {
      try {
        return await this.#ask(issuer, 'oidc');
      } catch {
        const message = first instanceof Error ? first.message.slice(0, 200) : 'failed';
        throw new NoAnswer(`discovery: ${message}`, { sent: false, refused: isFinal(first) });
      }
    }
  }

  async #ask(issuer: string, algorithm: 'oauth2' | 'oidc'): Promise<AuthorizationServer> {
    const url = new URL(issuer);
    const response = await discoveryRequest(url, { algorithm, ...oauthFetch(this.#guarded) });
    return processDiscoveryResponse(url, response);
  }
}

/** Asking again does not help: an address that may not be asked, or the metadata of another issuer. */
function isFinal(cause: unknown): boolean {
  if (cause instanceof NoAnswer) return cause.refused;
  return cause instanceof Error && 'code' in cause && cause.code === JSON_ATTRIBUTE_COMPARISON;
}

function configured(issuer: string | undefined, endpoints: NonNullable<CompiledOAuth['endpoints']>): AuthorizationServer {
  const { authorization, token, revocation } = endpoints;
  return {
    issuer: issuer ?? new URL(token).origin,
    token_endpoint: token,
    ...(authorization === undefined ? {} : { authorization_endpoint: authorization }),
    ...(revocation === undefined ? {} : { revocation_endpoint: revocation }),
  };
}
