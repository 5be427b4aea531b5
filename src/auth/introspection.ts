// Opaque access tokens, about which their issuer is asked (RFC 7662).
// Not responsible for keeping answers or for one request at a time (`authenticate`), nor for what a token says (`claims`).
// Invariant: a token is sent to one issuer only, chosen before it is sent, over a guarded address; an answer that is not plainly
// `active: true` for us is a refusal.
import type { CompiledIntrospection } from '../config/compiled-auth.ts';
import { SERVER_OWNER } from '../shared/ids.ts';
import type { SecretStore } from '../vault/stores.ts';
import { principalOf } from './claims.ts';
import { failureReason } from './issuer-failure.ts';
import type { AuthFetch, IssuerMetadata } from './issuer-keys.ts';
import { credentialId } from './jwt.ts';
import type { Json } from './token-form.ts';
import { type Found, notNow, tokenRefused, type TokenSource, type Verdict, type Verifier } from './verdict.ts';

/** How long "not active" counts: short, since the issuer may only not know it yet. */
const REFUSED_MS = 10_000;
const SKEW_MS = 30_000;

export interface IntrospectionOptions {
  readonly fetch: AuthFetch;
  readonly metadata: (issuer: string) => Promise<IssuerMetadata>;
  readonly secrets: Pick<SecretStore, 'get'>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onFailure: (issuer: string, reason: string) => void;
}

export function introspectedTokens(options: IntrospectionOptions): TokenSource {
  const known = new WeakMap<CompiledIntrospection, Found>();

  function foundFor(issuer: CompiledIntrospection): Found {
    let found = known.get(issuer);
    if (found === undefined) {
      found = {
        verify: introspect(issuer, options),
        goodMs: issuer.cacheMs,
        badMs: Math.min(issuer.cacheMs, REFUSED_MS),
        asks: true,
      };
      known.set(issuer, found);
    }
    return found;
  }
  return {
    find(form, { auth }) {
      if (form.kind === 'minted') return undefined;
      const issuer =
        form.kind === 'jwt'
          ? auth.introspection.find(({ issuer: name }) => name === form.issuer)
          : longest(auth.introspection.filter(({ prefix }) => form.token.startsWith(prefix)));
      return issuer === undefined ? undefined : foundFor(issuer);
    },
    servers: ({ auth }) => auth.introspection.map(({ issuer }) => issuer),
  };
}

function longest(all: readonly CompiledIntrospection[]): CompiledIntrospection | undefined {
  return all.toSorted((a, b) => b.prefix.length - a.prefix.length)[0];
}

function introspect(issuer: CompiledIntrospection, options: IntrospectionOptions): Verifier {
  const { now, onFailure } = options;
  return async (token, tenant) => {
    const answer = await ask(issuer, token, options);
    if (typeof answer === 'string') {
      onFailure(issuer.issuer, answer);
      return notNow(`the issuer cannot be asked about the token: ${answer}`);
    }
    return judge(answer);

    function judge(claims: Json): Verdict {
      const { active, iss, exp, nbf, token_type: type } = claims;
      if (active !== true) return tokenRefused('the issuer says that the token is not active');
      if (iss !== undefined && iss !== issuer.issuer) return tokenRefused('the answer about the token is of another issuer');
      if (type !== undefined && !(typeof type === 'string' && /^(?:bearer|access_token)$/i.test(type)))
        return tokenRefused('the token is no bearer token');
      if (exp !== undefined && !(typeof exp === 'number' && exp * 1000 + SKEW_MS > now()))
        return tokenRefused('the token has expired');
      if (nbf !== undefined && !(typeof nbf === 'number' && nbf * 1000 - SKEW_MS <= now()))
        return tokenRefused('the token is not valid yet');
      const expiresAt = typeof exp === 'number' ? exp * 1000 + SKEW_MS : undefined;
      const principal = principalOf({ claims, credentialId: credentialId(token, claims), expiresAt }, issuer, tenant);
      return typeof principal === 'string' ? tokenRefused(principal) : principal;
    }
  };
}

/** The claims, or why there are none. */
async function ask(
  issuer: CompiledIntrospection,
  token: string,
  { fetch, metadata, secrets }: IntrospectionOptions,
): Promise<Json | string> {
  const { owner, secret } = issuer.clientSecret;
  const stored = secrets.get(owner, secret);
  if (stored === undefined)
    return `set its secret: leasehold secret set ${owner === SERVER_OWNER ? '--server' : owner} ${secret}`;
  try {
    const url = issuer.endpoint ?? (await metadata(issuer.issuer)).introspection_endpoint;
    if (url === undefined) return 'its metadata name no introspection_endpoint';
    const form = new URLSearchParams({ token, token_type_hint: 'access_token' });
    const headers: Record<string, string> = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
    if (issuer.clientAuth === 'client_secret_basic') {
      // RFC 6749, section 2.3.1: both are form-encoded first.
      const pair = [issuer.clientId, stored.value].map((part) => new URLSearchParams([['', part]]).toString().slice(1)).join(':');
      headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
    } else {
      form.set('client_id', issuer.clientId);
      form.set('client_secret', stored.value);
    }
    const response = await fetch(url, { method: 'POST', headers, body: form.toString() });
    if (response.status !== 200) return `it answered with status ${response.status}`;
    const answer: unknown = await response.json();
    return typeof answer === 'object' && answer !== null && !Array.isArray(answer)
      ? (answer as Json)
      : 'its answer is no JSON object';
  } catch (cause) {
    return failureReason(cause);
  }
}
