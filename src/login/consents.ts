// What a person allowed a client: remembered, so that the same is not asked twice.
// Not responsible for asking. Invariant: a consent is for one account, client, tenant and place to go back to; a client whose id is
// public and who is answered on this very machine is asked about each time, since any program can take its name.
import { isLoopback } from '../config/origin.ts';
import type { LoginStore } from '../vault/stores.ts';

const KIND = 'Consent';
const KEPT_MS = 90 * 86_400_000;
const MOST = 100_000;

export interface ConsentKey {
  readonly account: string;
  readonly client: string;
  readonly tenant: string;
  readonly redirectUri: string;
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
    const stored = this.#login.find(KIND, nameOf(key), this.#now())?.value['scopes'];
    return Array.isArray(stored) && scopes.every((scope) => stored.includes(scope));
  }

  remember(key: ConsentKey, scopes: readonly string[], publicClient: boolean): void {
    if (publicClient && isLocal(key.redirectUri)) return;
    const expiresAt = this.#now() + KEPT_MS;
    this.#login.put(KIND, nameOf(key), { value: { scopes }, expiresAt }, { account: key.account }, MOST);
  }
}

/** The port of a program on this machine is another one each time (RFC 8252, section 7.3). */
function nameOf({ account, client, tenant, redirectUri }: ConsentKey): string {
  const url = new URL(redirectUri);
  if (isLocal(redirectUri)) url.port = '';
  return JSON.stringify([account, client, tenant, url.href]);
}
