// What a person allowed a client: remembered, so that the same is not asked twice.
// Not responsible for asking. Invariant: a consent is for one account, client, tenant and place to go back to; a client whose id is
// public and who is answered on this very machine is asked about each time, since any program can take its name.
import { isLoopback } from '../config/origin.ts';
import type { LoginEntry, LoginStore } from '../vault/stores.ts';

const KIND = 'Consent';
const KEPT_MS = 90 * 86_400_000;
const MOST = 100_000;

export interface ConsentKey {
  readonly account: string;
  readonly client: string;
  readonly tenant: string;
  readonly redirectUri: string;
}

/** One that was remembered. Times in epoch milliseconds. */
export interface Consent extends ConsentKey {
  readonly scopes: readonly string[];
  readonly since: number;
  /** From then on the person is asked again. */
  readonly until: number;
}

export function isLocal(redirectUri: string): boolean {
  const url = URL.parse(redirectUri);
  return url !== null && isLoopback(url.hostname);
}

export class Consents {
  readonly #login: LoginStore;
  readonly #now: () => number;

  constructor(login: LoginStore, now: () => number) {
    this.#login = login;
    this.#now = now;
  }

  covers(key: ConsentKey, scopes: readonly string[]): boolean {
    const stored = consentIn(this.#login.find(KIND, nameOf(key), this.#now()));
    return stored !== undefined && scopes.every((scope) => stored.scopes.includes(scope));
  }

  remember(key: ConsentKey, scopes: readonly string[], publicClient: boolean): void {
    if (publicClient && isLocal(key.redirectUri)) return;
    const since = this.#now();
    const value = { ...key, scopes, since };
    this.#login.put(KIND, nameOf(key), { value, expiresAt: since + KEPT_MS }, { account: key.account }, MOST);
  }

  list(): Consent[] {
    return this.#login.list(KIND, this.#now()).flatMap((entry) => consentIn(entry) ?? []);
  }

  forget(key: ConsentKey): void {
    this.#login.delete(KIND, nameOf(key));
  }
}

/** Undefined where it cannot be shown to whom it is of: then it does not count. */
function consentIn(entry: LoginEntry | undefined): Consent | undefined {
  const { account, client, tenant, redirectUri, scopes, since } = entry?.value ?? {};
  const texts = [account, client, tenant, redirectUri].every((text) => typeof text === 'string');
  if (entry === undefined || !texts || !Array.isArray(scopes) || typeof since !== 'number') return undefined;
  return {
    ...({ account, client, tenant, redirectUri } as ConsentKey),
    scopes: scopes as string[],
    since,
    until: entry.expiresAt,
  };
}

/** The port of a program on this machine is another one each time (RFC 8252, section 7.3). */
function nameOf({ account, client, tenant, redirectUri }: ConsentKey): string {
  const url = new URL(redirectUri);
  if (isLocal(redirectUri)) url.port = '';
  return JSON.stringify([account, client, tenant, url.href]);
}
