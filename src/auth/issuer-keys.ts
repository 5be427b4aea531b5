// The public keys of one issuer: found by discovery, fetched, kept, fetched again when they are old or one is not among them.
// Not responsible for guarding addresses (the fetch that is handed in does) or for choosing by more than `alg` and `kid` (jose does).
// Invariant: one request at a time; what tokens say can cause at most one fetch per COOLDOWN_MS, a failing issuer one per PAUSE_MS.
import { createLocalJWKSet, errors } from 'jose';
import { failureReason, IssuerFailure } from './issuer-failure.ts';
import { KeysUnavailable, KeyUnknown, type KeySet } from './jwt.ts';
import type { Json } from './token-form.ts';

/** An age at which keys are fetched anew: a withdrawn key counts at most this long. */
const FRESH_MS = 600_000;
/** While the issuer cannot be asked, old keys count until this age. */
const STALE_MS = 3_600_000;
/** After a fetch, before an unknown key causes another one. */
const COOLDOWN_MS = 30_000;
/** After a failed fetch. */
const PAUSE_MS = 5000;
const MOST_KEYS = 100;

/** A request to an issuer: guarded address, no redirect, one total time, a bounded body. */
export type AuthFetch = (
  url: string,
  request: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body?: string },
) => Promise<Response>;

/** What the metadata document of an issuer says (RFC 8414, OpenID Connect Discovery); names exactly the issuer that was asked. */
export interface IssuerMetadata {
  readonly jwks_uri?: string | undefined;
  readonly introspection_endpoint?: string | undefined;
}

export interface IssuerKeysOptions {
  readonly issuer: string;
  /** Undefined: as the metadata say. */
  readonly jwksUri: string | undefined;
  readonly fetch: AuthFetch;
  readonly metadata: (issuer: string) => Promise<IssuerMetadata>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Told of a fetch that failed, for the operator. */
  readonly onFailure: (issuer: string, reason: string) => void;
}

type Find = ReturnType<typeof createLocalJWKSet>;

export class IssuerKeys implements KeySet {
  readonly #options: IssuerKeysOptions;
  #find: Find | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #failure = '';
  #loading: Promise<void> | undefined;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  async find(header: Json): Promise<CryptoKey> {
    const { now } = this.#options;
    if (now() - this.#fetchedAt >= FRESH_MS) await this.#load();
    const known = await this.#select(header);
    if (known !== undefined) return known;
    if (now() - this.#fetchedAt >= COOLDOWN_MS) {
      await this.#load();
      const added = await this.#select(header);
      if (added !== undefined) return added;
    }
    throw new KeyUnknown();
  }

  async #select({ alg, kid }: Json): Promise<CryptoKey | undefined> {
    try {
      return await this.#find?.({ alg: String(alg), ...(typeof kid === 'string' ? { kid } : {}) });
    } catch (cause) {
      // Several that fit a token without `kid` are none: which one was meant is not ours to guess.
      if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys) return undefined;
      throw cause;
    }
  }

  /** Resolves where there are keys that may be used now. */
  async #load(): Promise<void> {
    const { now } = this.#options;
    if (this.#loading === undefined && now() - this.#failedAt >= PAUSE_MS)
      this.#loading = this.#fetch().finally(() => (this.#loading = undefined));
    await this.#loading;
    if (now() - this.#fetchedAt < STALE_MS) return;
    throw new KeysUnavailable(this.#failure);
  }

  async #fetch(): Promise<void> {
    const { issuer, jwksUri, fetch, metadata, now, onFailure } = this.#options;
    try {
      const url = jwksUri ?? (await metadata(issuer)).jwks_uri;
      if (url === undefined) throw new IssuerFailure('the metadata name no jwks_uri');
      const response = await fetch(url, { method: 'GET', headers: { accept: 'application/jwk-set+json, application/json' } });
      if (response.status !== 200) throw new IssuerFailure(`the keys were answered with status ${response.status}`);
      const set = (await response.json()) as { keys?: unknown };
      if (!Array.isArray(set.keys) || set.keys.length > MOST_KEYS)
        throw new IssuerFailure('the keys are no key set, or too many');
      this.#find = createLocalJWKSet({ keys: set.keys });
      this.#fetchedAt = now();
    } catch (cause) {
      this.#failedAt = now();
      this.#failure = failureReason(cause);
      onFailure(issuer, this.#failure);
    }
  }
}
