// What oidc-provider stores, in the vault: its adapter interface over `LoginStore`.
// Not responsible for sealing or bounds of memory. Invariant: what is used a second time, also at the very same moment, ends its family;
// every kind has a most, beyond which what would end first is dropped, so that nobody fills the disk before signing in.
import { errors } from 'oidc-provider';
import type { LoginEntry, LoginStore } from '../vault/stores.ts';
import { UNUSED_CLIENT_MS } from './permissions.ts';

export type Payload = Readonly<Record<string, unknown>>;

/** Rows of a kind. Those that exist before anybody signed in are few; the others need a person each. */
const MOST: { readonly [kind: string]: number } = { Client: 2000, Interaction: 5000, Session: 20_000 };
const MOST_OTHERS = 100_000;

export interface AdapterEvents {
  /** Told what came a second time, at the very moment of the first. */
  readonly onReused: (payload: Payload) => void;
  /** For whom a resource stands: kept with each grant, for those who look at it later. */
  readonly tenantOf: (resource: unknown) => string | undefined;
}

export function adapterOver(
  login: LoginStore,
  now: () => number,
  { onReused, tenantOf }: AdapterEvents,
): new (
  kind: string,
) => object {
  return class Adapter {
    readonly #kind: string;

    constructor(kind: string) {
      this.#kind = kind;
    }

    async upsert(id: string, payload: Payload, expiresIn: number | undefined): Promise<void> {
      const { uid, grantId, accountId } = payload;
      const names = {
        alias: this.#kind === 'Session' ? text(uid) : undefined,
        family: this.#kind === 'Grant' ? id : text(grantId),
        account: text(accountId) ?? provedIn(payload),
      };
      const expiresAt = now() + (expiresIn === undefined ? UNUSED_CLIENT_MS : expiresIn * 1000);
      const value =
        this.#kind === 'Grant' ? { ...payload, tenant: tenantOf(Object.keys(payload['resources'] ?? {})[0]) } : payload;
      login.put(this.#kind, id, { value, expiresAt }, names, MOST[this.#kind] ?? MOST_OTHERS);
    }

    async find(id: string): Promise<Payload | undefined> {
      return payloadOf(login.find(this.#kind, id, now()));
    }

    async findByUid(uid: string): Promise<Payload | undefined> {
      return payloadOf(login.byAlias(this.#kind, uid, now()));
    }

    async consume(id: string): Promise<void> {
      if (login.spend(this.#kind, id, now())) return;
      const spent = login.find(this.#kind, id, now())?.value ?? {};
      const family = text(spent['grantId']);
      if (family !== undefined) login.deleteFamily(family);
      onReused(spent);
      throw new errors.InvalidGrant('it was used already');
    }

    async destroy(id: string): Promise<void> {
      if (this.#kind === 'Grant') login.deleteFamily(id);
      else login.delete(this.#kind, id);
    }

    async revokeByGrantId(grantId: string): Promise<void> {
      login.deleteFamily(grantId);
    }
  };
}

/** Of an interaction: who has just signed in at it. It must end with them, since the browser has still to go on with it. */
function provedIn({ result }: Payload): string | undefined {
  const { login } = (result ?? {}) as { readonly login?: { readonly accountId?: unknown } };
  return text(login?.accountId);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function payloadOf(entry: LoginEntry | undefined): Payload | undefined {
  if (entry === undefined) return undefined;
  return entry.spentAt === undefined ? { ...entry.value } : { ...entry.value, consumed: Math.floor(entry.spentAt / 1000) };
}
