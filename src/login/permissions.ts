// What applications there are at the embedded authorization server and what people allowed them: for the operator who looks and takes back.
// Not responsible for asking people (`consents`) or for serving clients (`provider`); needs nothing but the store.
// Invariant: what is taken back leaves neither a remembered consent nor a grant, so codes, refresh tokens and access tokens of it end,
// and the person is asked again.
import { SERVER_OWNER } from '../shared/ids.ts';
import type { LoginEntry, LoginStore } from '../vault/stores.ts';
import { Consents } from './consents.ts';

const DAY_MS = 86_400_000;
/** How long a client is kept that registered and was never used; and after each use. */
export const UNUSED_CLIENT_MS = DAY_MS;
export const USED_CLIENT_MS = 90 * DAY_MS;

/** Times in epoch milliseconds. */
export interface KnownClient {
  readonly id: string;
  /** What it calls itself: nobody has checked that. Undefined too where its metadata is at the address that is its id. */
  readonly name: string | undefined;
  /** Where its metadata is, or where it has people sent back to. */
  readonly hosts: readonly string[];
  /** Undefined: it never registered, its id is the address of its metadata. */
  readonly registeredAt: number | undefined;
  /** The last time that a token was issued to it, as far as what is kept tells. */
  readonly lastUsedAt: number | undefined;
  /** How many people have allowed it something. */
  readonly people: number;
}

/** What one person allowed one application in one tenant. Times in epoch milliseconds. */
export interface Permission {
  readonly account: string;
  readonly client: string;
  readonly tenant: string;
  readonly scopes: readonly string[];
  /** The first sign-in of it that still counts, or the decision that is remembered. */
  readonly since: number;
  /** Until then the person is not asked again. Undefined: asked each time. */
  readonly rememberedUntil: number | undefined;
  readonly lastUsedAt: number | undefined;
  /** Sign-ins whose tokens are good. */
  readonly grants: readonly string[];
}

interface Grant extends Pick<Permission, 'account' | 'client' | 'tenant' | 'scopes'> {
  readonly id: string;
  readonly at: number;
}

export class Permissions {
  readonly #login: LoginStore;
  readonly #now: () => number;
  readonly #consents: Consents;

  constructor(login: LoginStore, now: () => number) {
    this.#login = login;
    this.#now = now;
    this.#consents = new Consents(login, now);
  }

  list(): Permission[] {
    const found = new Map<string, Permission>();
    const add = (one: Permission) => {
      const name = JSON.stringify([one.account, one.client, one.tenant]);
      const known = found.get(name);
      found.set(name, known === undefined ? one : joined(known, one));
    };
    for (const { account, client, tenant, scopes, since, until } of this.#consents.list())
      add({ account, client, tenant, scopes, since, rememberedUntil: until, lastUsedAt: undefined, grants: [] });
    const refreshed = this.#lastRefreshes();
    for (const { id, at, ...grant } of this.#grants())
      add({ ...grant, since: at, rememberedUntil: undefined, lastUsedAt: refreshed.get(id) ?? at, grants: [id] });
    return [...found.values()].toSorted((a, b) => a.since - b.since);
  }

  clients(): KnownClient[] {
    const permissions = Map.groupBy(this.list(), ({ client }) => client);
    const registered = this.#login.list('Client', this.#now()).flatMap((entry) => registeredClient(entry) ?? []);
    const documents = [...permissions.keys()].filter((id) => !registered.some((known) => known.id === id)).map(documentClient);
    return [...registered, ...documents].map((known) => {
      const of = permissions.get(known.id) ?? [];
      const used = [known.lastUsedAt, ...of.map(({ lastUsedAt }) => lastUsedAt)];
      return { ...known, lastUsedAt: latest(used), people: new Set(of.map(({ account }) => account)).size };
    });
  }

  takeBack({ account, client, tenant }: Pick<Permission, 'account' | 'client' | 'tenant'>): void {
    this.#end((one) => one.account === account && one.client === client && one.tenant === tenant);
  }

  /** With all that anybody allowed it. One whose id is an address can come again, and people are asked then. */
  removeClient(id: string): void {
    this.#login.delete('Client', id);
    this.#end(({ client }) => client === id);
  }

  /** Grants last: without the rest no other one comes of it meanwhile. */
  #end(matches: (one: Pick<Permission, 'account' | 'client' | 'tenant'>) => boolean): void {
    for (const consent of this.#consents.list()) if (matches(consent)) this.#consents.forget(consent);
    for (const grant of this.#grants()) if (matches(grant)) this.#login.deleteFamily(grant.id);
  }

  #grants(): Grant[] {
    return this.#login.list('Grant', this.#now()).map(({ value }) => {
      const resources = Object.values((value['resources'] ?? {}) as Record<string, string>);
      return {
        id: String(value['jti']),
        account: String(value['accountId']),
        client: String(value['clientId']),
        tenant: text(value['tenant']) ?? SERVER_OWNER,
        scopes: resources.flatMap((scopes) => scopes.split(' ')),
        at: Number(value['iat']) * 1000,
      };
    });
  }

  /** A refresh token is replaced at each use: the newest of a grant tells when that was. */
  #lastRefreshes(): Map<string, number> {
    const last = new Map<string, number>();
    for (const { value } of this.#login.list('RefreshToken', this.#now())) {
      const grant = String(value['grantId']);
      last.set(grant, Math.max(last.get(grant) ?? 0, Number(value['iat']) * 1000));
    }
    return last;
  }
}

function joined(one: Permission, other: Permission): Permission {
  return {
    ...one,
    scopes: [...new Set([...one.scopes, ...other.scopes])],
    since: Math.min(one.since, other.since),
    rememberedUntil: latest([one.rememberedUntil, other.rememberedUntil]),
    lastUsedAt: latest([one.lastUsedAt, other.lastUsedAt]),
    grants: [...one.grants, ...other.grants],
  };
}

type Registration = Omit<KnownClient, 'people'>;

function registeredClient({ value, expiresAt }: LoginEntry): Registration | undefined {
  const { client_id: id, client_name: name, client_id_issued_at: at, redirect_uris: uris } = value;
  if (typeof id !== 'string') return undefined;
  const hosts = (Array.isArray(uris) ? uris : []).flatMap((uri) => URL.parse(String(uri))?.host ?? []);
  const registeredAt = Number(at) * 1000;
  // Each use moves its end; one that was never used ends before it registered, seen from there.
  const lastUse = expiresAt - USED_CLIENT_MS;
  const lastUsedAt = lastUse < registeredAt ? undefined : lastUse;
  return { id, name: text(name), hosts: [...new Set(hosts)], registeredAt, lastUsedAt };
}

function documentClient(id: string): Registration {
  const host = URL.parse(id)?.host;
  return { id, name: undefined, hosts: host === undefined ? [] : [host], registeredAt: undefined, lastUsedAt: undefined };
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
