// The keys that sign access tokens (ES256), sealed in the vault: made at first use, replaced by age, kept until their tokens ended.
// Not responsible for tokens. Invariant: a private key leaves the vault for the signer in this process only; what verifies has public keys.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { importJWK, type JWK } from 'jose';
import { KeyUnknown, type KeySet } from '../auth/jwt.ts';
import type { LoginStore } from '../vault/stores.ts';

const KIND = 'SigningKey';
const MOST = 16;
const DAY_MS = 86_400_000;
export const ROTATE_MS = 30 * DAY_MS;
/** Beyond any access token. */
const OVERLAP_MS = DAY_MS;
/** Far longer than any session. */
const COOKIE_KEY_MS = 3650 * DAY_MS;

export interface SigningKeys {
  /** Private, the one that signs first. */
  readonly jwks: readonly JWK[];
  /** Epoch milliseconds: then there is another one, or one less. */
  readonly until: number;
}

export function signingKeys(login: LoginStore, now: () => number): SigningKeys {
  const at = now();
  const stored = login.list(KIND, at);
  const [oldest, newest] = [stored.at(0), stored.at(-1)];
  const firstEnd = oldest?.expiresAt ?? Number.POSITIVE_INFINITY;
  if (newest !== undefined && newest.expiresAt - OVERLAP_MS > at)
    return {
      jwks: stored.toReversed().map(({ value }) => value as JWK),
      until: Math.min(newest.expiresAt - OVERLAP_MS, firstEnd),
    };
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'ES256', use: 'sig' } as JWK & { kid: string };
  login.put(KIND, jwk.kid, { value: { ...jwk }, expiresAt: at + ROTATE_MS + OVERLAP_MS }, {}, MOST);
  const jwks = [jwk, ...stored.toReversed().map(({ value }) => value as JWK)];
  return { jwks, until: Math.min(at + ROTATE_MS, firstEnd) };
}

/** What a token is verified with, by its `kid`. */
export function publicKeys(login: LoginStore, now: () => number): KeySet {
  const known = new Map<string, { readonly key: CryptoKey; readonly until: number }>();
  return {
    async find({ kid }) {
      const name = typeof kid === 'string' ? kid : '';
      const kept = known.get(name);
      if (kept !== undefined && now() < kept.until) return kept.key;
      const stored = login.find(KIND, name, now());
      if (stored === undefined) throw new KeyUnknown();
      const { kty, crv, x, y } = stored.value as JWK;
      const key = (await importJWK({ kty, crv, x, y } as JWK, 'ES256')) as CryptoKey;
      if (known.size >= MOST) known.clear();
      known.set(name, { key, until: stored.expiresAt });
      return key;
    },
  };
}

/** What cookies are signed with. */
export function cookieKeys(login: LoginStore, now: () => number): string[] {
  const stored = login.find('CookieKey', 'current', now());
  if (stored !== undefined) return [String(stored.value['key'])];
  const key = randomUUID() + randomUUID();
  login.put('CookieKey', 'current', { value: { key }, expiresAt: now() + COOKIE_KEY_MS }, {}, 1);
  return [key];
}
