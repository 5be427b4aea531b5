// What a provider says of a person, proved: an ID token (OpenID Connect Core, 3.1.3.7), or user info where there is none.
// Not responsible for getting the tokens or for who that is here (`who`).
// Invariant: an ID token counts for this provider, this client and this very sign-in only, by a key of the provider and an algorithm that
// anybody can verify and nobody forge with public data; user info beside it must be of the same person. Never rejects; no token is kept.
import { timingSafeEqual } from 'node:crypto';
import { type JWTPayload, jwtVerify } from 'jose';
import { failureReason } from '../../auth/issuer-failure.ts';
import { type AuthFetch, IssuerKeys, type IssuerMetadata } from '../../auth/issuer-keys.ts';
import { denial } from '../../auth/jwt.ts';
import type { Json } from '../../auth/token-form.ts';
import { ALGORITHMS } from '../../config/auth-schema.ts';
import type { CompiledSignInProvider } from '../../config/compiled-auth.ts';
import { calledIn, lacksClaims } from './who.ts';

const TOKEN_CHARACTERS = 16_384;
/** Clocks may differ by this much. */
const SKEW_S = 30;
/** A person has just signed in: the token is not older than the sign-in may last. */
const OLDEST_S = 600;

export interface IdentityPorts {
  readonly fetch: AuthFetch;
  readonly metadata: (issuer: string) => Promise<IssuerMetadata & { readonly userinfo_endpoint?: string | undefined }>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Told of keys that could not be had, for the operator. */
  readonly onFailure: (issuer: string, reason: string) => void;
}

/** What came of a code. */
export interface ProviderTokens {
  readonly accessToken: string;
  readonly idToken: string | undefined;
}
/** `reason`: exact, in words of ours. */
export type Claimed = { readonly ok: true; readonly claims: Json } | { readonly ok: false; readonly reason: string };

export class Identities {
  readonly #ports: IdentityPorts;
  readonly #keys = new WeakMap<CompiledSignInProvider, IssuerKeys>();

  constructor(ports: IdentityPorts) {
    this.#ports = ports;
  }

  /** @param nonce of the authorization request */
  async claims(provider: CompiledSignInProvider, tokens: ProviderTokens, nonce: string): Promise<Claimed> {
    const { openid, userinfo } = provider;
    if (openid === undefined) return this.#userInfo(userinfo, tokens.accessToken);
    const proved = await this.#idToken(provider, openid, tokens.idToken, nonce);
    if (!proved.ok) return proved;
    const isNeeded = lacksClaims(proved.claims, provider);
    if (!isNeeded && calledIn(proved.claims) !== undefined) return proved;
    const more = await this.#userInfo(userinfo ?? (await this.#userInfoOf(openid.issuer)), tokens.accessToken);
    // What people call them is only for screens.
    if (!more.ok) return isNeeded ? more : proved;
    // OpenID Connect Core, 5.3.2: else it may be about somebody else.
    if (more.claims['sub'] !== proved.claims['sub']) return refused('user info is of somebody else than the ID token');
    return { ok: true, claims: { ...more.claims, ...withPair(proved.claims) } };
  }

  async #idToken(
    provider: CompiledSignInProvider,
    { issuer, jwksUri }: NonNullable<CompiledSignInProvider['openid']>,
    token: string | undefined,
    nonce: string,
  ): Promise<Claimed> {
    if (token === undefined) return refused('there is no ID token');
    if (token.length > TOKEN_CHARACTERS) return refused('the ID token is too long');
    let keys = this.#keys.get(provider);
    if (keys === undefined) this.#keys.set(provider, (keys = new IssuerKeys({ ...this.#ports, issuer, jwksUri })));
    const { clientId } = provider.oauth;
    try {
      const { payload } = await jwtVerify(token, (header) => keys.find({ ...header }), {
        algorithms: [...ALGORITHMS],
        issuer,
        audience: clientId,
        requiredClaims: ['sub', 'exp', 'iat', 'nonce'],
        maxTokenAge: OLDEST_S,
        clockTolerance: SKEW_S,
        currentDate: new Date(this.#ports.now()),
      });
      const problem = nonce === '' || !isSame(payload['nonce'], nonce) ? 'nonce' : otherParty(payload, clientId);
      return problem === undefined ? { ok: true, claims: { ...payload } } : refused(`ID token: fails its check of ${problem}`);
    } catch (cause) {
      return refused(`ID token: ${denial(cause).reason}`);
    }
  }

  async #userInfoOf(issuer: string): Promise<string | undefined> {
    try {
      return (await this.#ports.metadata(issuer)).userinfo_endpoint;
    } catch {
      return undefined;
    }
  }

  async #userInfo(url: string | undefined, accessToken: string): Promise<Claimed> {
    if (url === undefined) return refused('what the rules need is not in the ID token, and there is no user info');
    try {
      const headers = { accept: 'application/json', authorization: `Bearer ${accessToken}` };
      const response = await this.#ports.fetch(url, { method: 'GET', headers });
      if (response.status !== 200) return refused(`user info was answered with status ${response.status}`);
      const claims: unknown = await response.json();
      if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return refused('user info is no JSON object');
      return { ok: true, claims: { ...claims } };
    } catch (cause) {
      return refused(`user info: ${failureReason(cause)}`);
    }
  }
}

/** That an address is verified is said of the address beside it, not of one in another answer. */
function withPair(claims: Json): Json {
  const { email, email_verified: verified, ...others } = claims;
  return email === undefined || verified === undefined ? others : claims;
}

/** OpenID Connect Core, 3.1.3.7, points 4 and 5: a token for several, or made for another. */
function otherParty({ aud, azp }: JWTPayload, clientId: string): 'azp' | undefined {
  if (azp !== undefined) return azp === clientId ? undefined : 'azp';
  return Array.isArray(aud) && aud.length > 1 ? 'azp' : undefined;
}

function isSame(given: unknown, expected: string): boolean {
  const [left, right] = [Buffer.from(typeof given === 'string' ? given : ''), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function refused(reason: string): Claimed {
  return { ok: false, reason };
}
