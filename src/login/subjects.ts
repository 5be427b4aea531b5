// Names of the people who sign in here: `ada` has an account of the server, `google:1234` is whom a provider vouches for.
// Not responsible for proof (`passwords`, `upstream/`) or for memberships. Pure but for asking the store.
// Invariant: names of accounts have no colon and names of providers none either, so no two people share a subject; nobody counts by way
// of something that the operator has switched off, whatever was issued before.
import type { CompiledSignIn, CompiledSignInProvider } from '../config/compiled-auth.ts';
import type { LoginStore, UserStore } from '../vault/stores.ts';

const KIND = 'Called';
const KEPT_MS = 180 * 86_400_000;
const MOST = 20_000;

export interface SubjectsOptions {
  readonly signIn: CompiledSignIn;
  readonly users: Pick<UserStore, 'find'>;
  readonly login: Pick<LoginStore, 'find' | 'put'>;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** Somebody, as a page shows them. */
export interface ShownAccount {
  readonly subject: string;
  /** By the word of the provider. */
  readonly called: string | undefined;
  /** Its title; undefined: an account of the server. */
  readonly provider: string | undefined;
}

export class Subjects {
  readonly #options: SubjectsOptions;

  constructor(options: SubjectsOptions) {
    this.#options = options;
  }

  /** Whether accounts of the server count. */
  get accounts(): boolean {
    return this.#options.signIn.accounts;
  }

  /** Undefined: an account of the server, or nobody of a provider that there is. */
  providerOf(subject: string): CompiledSignInProvider | undefined {
    const { providers } = this.#options.signIn;
    const end = subject.indexOf(':');
    const name = end === -1 ? '' : subject.slice(0, end);
    return Object.hasOwn(providers, name) ? providers[name] : undefined;
  }

  /** Of a provider, for people. */
  titleOf(provider: string): string {
    const { providers } = this.#options.signIn;
    return (Object.hasOwn(providers, provider) ? providers[provider]?.oauth.title : undefined) ?? provider;
  }

  exists(subject: string): boolean {
    if (subject.includes(':')) return this.providerOf(subject) !== undefined;
    return this.accounts && this.#options.users.find(subject) !== undefined;
  }

  /** Whether the way in which the subject signs in counts for the tenant. */
  counts(subject: string, tenant: string): boolean {
    if (!subject.includes(':')) return this.accounts;
    const provider = this.providerOf(subject);
    return provider !== undefined && isFor(provider, tenant);
  }

  /** For pages that are shown later. */
  rememberName(subject: string, called: string | undefined): void {
    const { login, now } = this.#options;
    if (called !== undefined)
      login.put(KIND, subject, { value: { called }, expiresAt: now() + KEPT_MS }, { account: subject }, MOST);
  }

  shown(subject: string): ShownAccount {
    const { login, now } = this.#options;
    const provider = this.providerOf(subject);
    const called = provider === undefined ? undefined : login.find(KIND, subject, now())?.value['called'];
    return { subject, called: typeof called === 'string' ? called : undefined, provider: provider?.oauth.title };
  }

  /** Ways in for the people of a tenant. */
  waysInto(tenant: string): { readonly accounts: boolean; readonly providers: readonly CompiledSignInProvider[] } {
    const { accounts, providers } = this.#options.signIn;
    return { accounts, providers: Object.values(providers).filter((provider) => isFor(provider, tenant)) };
  }
}

function isFor({ tenants }: CompiledSignInProvider, tenant: string): boolean {
  return tenants === undefined || tenants.includes(tenant);
}
