// The vault of one data folder: one database, one master key, the stores on top.
// Not responsible for where the key comes from (`master-key`) or for who may use a store.
// Invariant: nothing opens with a wrong key; server and CLI may have the same vault open at the same time.
import type { DatabaseSync } from 'node:sqlite';
import { openDatabase, transact } from './database.ts';
import { SqliteFlowStore } from './flow-store.ts';
import { ForeignChanges } from './foreign-changes.ts';
import { SqliteGrantStore } from './grant-store.ts';
import { SqliteLoginStore } from './login-store.ts';
import { SqliteMembershipStore } from './membership-store.ts';
import { checkMasterKey, forgetOldKey, rewrap, successorOf, sweepOldKey } from './rotation.ts';
import { SqliteRefreshLocks } from './refresh-locks.ts';
import { SqliteRejectionStore } from './rejection-store.ts';
import { SqliteSecretStore } from './secret-store.ts';
import { createStateSeal } from './state-seal.ts';
import type {
  FlowStore,
  GrantStore,
  LoginStore,
  MembershipStore,
  RefreshLocks,
  RejectionStore,
  SecretStore,
  StateSeal,
  TokenStore,
  UsageStore,
  UserStore,
  ValueStore,
} from './stores.ts';
import { RemovedTenants } from './removed-tenants.ts';
import { type TenantGuards, TenantKeys } from './tenant-keys.ts';
import { SqliteTokenStore } from './token-store.ts';
import { SqliteUsageStore } from './usage-store.ts';
import { SqliteUserStore } from './user-store.ts';
import { SqliteValueStore } from './value-store.ts';
import { type Verified, verifyRecords } from './verify.ts';

export interface VaultOptions {
  readonly dataDir: string;
  /** 32 bytes. */
  readonly masterKey: Uint8Array;
  /** Longest wait for another process's write, milliseconds, on the event loop. @default 20; the CLI may wait longer. */
  readonly busyMs?: number;
  /** Keys that the keys of some tenants are wrapped with, besides: a tenant whose guard is refused has no key here. @default none */
  readonly guards?: TenantGuards;
  /** Follow a change of the master key also while nothing is asked of the vault: for a server. @default false */
  readonly follow?: boolean;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

export interface Vault {
  readonly tokens: TokenStore;
  readonly values: ValueStore;
  readonly secrets: SecretStore;
  readonly grants: GrantStore;
  readonly refreshLocks: RefreshLocks;
  readonly rejections: RejectionStore;
  readonly flows: FlowStore;
  readonly usage: UsageStore;
  readonly states: StateSeal;
  readonly users: UserStore;
  readonly memberships: MembershipStore;
  readonly login: LoginStore;
  /** Rows that the tenant has here, by table; tables without any are left out. */
  holdings(tenant: string): ReadonlyMap<string, number>;
  /**
   * Destroys the tenant's key and all that it has here. Copies of its rows cannot be opened with what is here now, and nothing is
   * taken for it any more (`tenant_removed`), whoever writes late, until it is admitted again. A copy of the whole database holds
   * the wrapped key as well: it opens as long as there are the master key of its time and the tenant's guard, where it had one.
   */
  shredTenant(tenant: string): void;
  /** A tenant of this name may have things here (again). Whether it had been shredded. */
  admitTenant(tenant: string): boolean;
  /** Shredded, and not admitted again. */
  isRemoved(tenant: string): boolean;
  /** The key of this tenant must be guarded from now on. Gives why it cannot be opened, where that is so. */
  wantGuard(tenant: string): string | undefined;
  /** Puts another master key in the place of this one; servers that run follow within a second. Gives the number of tenants. */
  rotateMasterKey(next: Uint8Array): number;
  /** Ends a change of keys: who still holds the old one cannot follow any more. */
  forgetOldKey(): void;
  /** Opens every record. */
  verify(): Verified;
  /** Whether the database answers. */
  healthy(): boolean;
  close(): void;
}

/** A running server must have noticed a new master key before the way to it is removed. */
const FOLLOW_MS = 500;

/** What opens without a guard until now must not stay in the log either. */
function guardKeys(db: DatabaseSync, keys: TenantKeys, guards: TenantGuards | undefined): void {
  if (guards === undefined || guards.size === 0) return;
  if (transact(db, () => keys.guardAll()) > 0) db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
}

/** Throws a `VaultError`. */
export function openVault({ dataDir, masterKey, busyMs, guards, follow = false, now = Date.now }: VaultOptions): Vault {
  const db = openDatabase(dataDir, busyMs);
  try {
    checkMasterKey(db, masterKey);
    sweepOldKey(db);
    const changes = new ForeignChanges(db);
    const states = createStateSeal(masterKey);
    const keys = new TenantKeys(db, masterKey, changes, guards);
    guardKeys(db, keys, guards);
    let master = masterKey;
    changes.onChange(() => {
      const successor = successorOf(db, master);
      if (successor === undefined) return;
      master = successor;
      keys.follow(successor);
      states.follow(successor);
    });
    const following = follow ? setInterval(() => changes.check(), FOLLOW_MS).unref() : undefined;
    const tokens = new SqliteTokenStore(db, changes);
    const secrets = new SqliteSecretStore(db, keys, changes);
    const grants = new SqliteGrantStore(db, keys, changes, now);
    const rejections = new SqliteRejectionStore(db, keys, changes, now);
    const memberships = new SqliteMembershipStore(db, changes);
    const login = new SqliteLoginStore(db, keys, changes, now);
    const removed = new RemovedTenants(db, keys);
    const probe = db.prepare('SELECT count(*) FROM vault_meta');
    return {
      tokens,
      values: new SqliteValueStore(db, keys, now),
      secrets,
      grants,
      refreshLocks: new SqliteRefreshLocks(db, keys, now),
      rejections,
      usage: new SqliteUsageStore(db),
      flows: new SqliteFlowStore(db, keys, now),
      states,
      users: new SqliteUserStore(db, keys, { login, memberships }),
      memberships,
      login,
      shredTenant(tenant) {
        removed.shred(tenant, now());
        for (const store of [tokens, secrets, grants, rejections, memberships]) store.forget();
      },
      holdings: (tenant) => removed.holdings(tenant),
      admitTenant: (tenant) => removed.admit(tenant),
      isRemoved: (tenant) => removed.has(tenant),
      wantGuard(tenant) {
        const refused = keys.want(tenant);
        if (refused !== undefined) for (const store of [secrets, grants, rejections]) store.forget();
        return refused;
      },
      rotateMasterKey(next) {
        const tenants = rewrap(db, master, next);
        master = next;
        keys.follow(next);
        states.follow(next);
        return tenants;
      },
      forgetOldKey: () => forgetOldKey(db),
      verify: () => verifyRecords(db, keys),
      healthy() {
        try {
          return probe.get() !== undefined;
        } catch {
          return false;
        }
      },
      close() {
        clearInterval(following);
        tokens.writeUses();
        tokens.close();
        db.close();
      },
    };
  } catch (cause) {
    db.close();
    throw cause;
  }
}
