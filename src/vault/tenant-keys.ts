// The keys of tenants: made on first use, kept wrapped by the master key, destroyed with the tenant. The key of a tenant that has a
// guard is wrapped by that one first, so that the master key alone does not open it.
// Not responsible for what they seal, nor for where guards are kept (`keys/`).
// Invariant: a key is in memory only while it is in the database (STALE_MS at most beyond); without it nothing that was
// sealed with it can be opened again (crypto-shredding), in old copies of rows too. A tenant whose guard is wanted but not here has none.
import { createSecretKey, type KeyObject, randomBytes, randomInt } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ForeignChanges } from './foreign-changes.ts';
import { deriveKey, wrappingKey } from './master-wrap.ts';
import { open, type Place, seal, type SealKey } from './seal.ts';
import { VaultError } from './vault-error.ts';

const KEY_BYTES = 32;
const CACHED = 1024;

export interface TenantKey extends SealKey {
  /** For names that must be found but not read: HMAC of them. */
  readonly index: KeyObject;
}

/** A key of 32 bytes that a tenant's key is wrapped with before the master key wraps it; or why it cannot be had. */
export type TenantGuard = Uint8Array | { readonly refused: string };
export type TenantGuards = ReadonlyMap<string, TenantGuard>;

interface Row {
  readonly key_id: number;
  readonly wrapped: Uint8Array;
  readonly guarded: number;
}

/** What the master key seals; the same place is never used for both forms. */
export function keyPlaceOf(tenant: string, id: number, guarded: boolean): Place {
  return [tenant, guarded ? 'guarded-tenant-key' : 'tenant-key', String(id)];
}
function guardPlaceOf(tenant: string, id: number): Place {
  return [tenant, 'tenant-key-in-guard', String(id)];
}

const NOT_READ = 'is kept in the keychain, too, and was not read from there at the start: start the server again';

export class TenantKeys {
  #wrap: SealKey;
  readonly #guards = new Map<string, SealKey | { readonly refused: string }>();
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #removed: StatementSync;
  readonly #changes: ForeignChanges;
  readonly #cache = new Map<string, TenantKey>();

  constructor(db: DatabaseSync, master: Uint8Array, changes: ForeignChanges, guards: TenantGuards = new Map()) {
    this.#wrap = wrappingKey(master);
    for (const [tenant, guard] of guards) this.#guards.set(tenant, 'refused' in guard ? guard : wrappingKey(guard));
    this.#select = db.prepare('SELECT key_id, wrapped, guarded FROM tenant_keys WHERE tenant = ?');
    this.#insert = db.prepare('INSERT INTO tenant_keys (tenant, key_id, wrapped, created_at, guarded) VALUES (?, ?, ?, ?, ?)');
    this.#update = db.prepare('UPDATE tenant_keys SET wrapped = ?, guarded = 1 WHERE tenant = ?');
    this.#removed = db.prepare('SELECT 1 FROM removed_tenants WHERE tenant = ?');
    this.#changes = changes;
    changes.onChange(() => {
      this.#cache.clear();
      // A tenant of the same name gets another guard.
      for (const tenant of this.#guards.keys()) if (this.#isRemoved(tenant)) this.want(tenant, true);
    });
  }

  /** The master key was changed: from now on this one wraps. */
  follow(master: Uint8Array): void {
    this.#wrap = wrappingKey(master);
  }

  /** From now on the tenant has no key where it has no guard. `anew`: also where there was one. Gives why it has none. */
  want(tenant: string, anew = false): string | undefined {
    let guard = anew ? undefined : this.#guards.get(tenant);
    if (guard === undefined) {
      guard = { refused: `the key of ${tenant} ${NOT_READ}` };
      this.#guards.set(tenant, guard);
      this.#cache.delete(tenant);
    }
    return 'refused' in guard ? guard.refused : undefined;
  }

  /** Wraps with their guards the keys of tenants that had none until now. Only inside a write transaction. */
  guardAll(): number {
    let count = 0;
    for (const [tenant, guard] of this.#guards) {
      const row = this.#row(tenant);
      if (row === undefined || row.guarded !== 0 || 'refused' in guard) continue;
      const secret = this.#secret(tenant, row);
      this.#update.run(this.#wrapped(tenant, row.key_id, secret, guard), tenant);
      secret.fill(0);
      count += 1;
    }
    return count;
  }

  /** Undefined where the tenant has never sealed anything. Throws `seal_broken`, or `key_unavailable` where its guard is missing. */
  find(tenant: string): TenantKey | undefined {
    this.#changes.check();
    const cached = this.#cache.get(tenant);
    if (cached !== undefined) return cached;
    const row = this.#row(tenant);
    return row === undefined ? undefined : this.#keep(tenant, row.key_id, this.#secret(tenant, row));
  }

  /** The tenant's key, made where it has none. Only inside a write transaction. Throws like `find`, and `tenant_removed`. */
  require(tenant: string, now: number): TenantKey {
    this.#changes.checkNow();
    const known = this.find(tenant);
    if (known !== undefined) return known;
    if (this.#isRemoved(tenant)) {
      throw new VaultError('tenant_removed', `the tenant ${tenant} was removed; 'leasehold tenant add ${tenant}' begins it anew`);
    }
    const guard = this.#guardOf(tenant);
    const id = randomInt(1, 2 ** 32);
    const secret = randomBytes(KEY_BYTES);
    this.#insert.run(tenant, id, this.#wrapped(tenant, id, secret, guard), now, guard === undefined ? 0 : 1);
    return this.#keep(tenant, id, secret);
  }

  /** Where the transaction of `require` was rolled back: the key was never stored. */
  forget(tenant: string): void {
    this.#cache.delete(tenant);
  }

  #row(tenant: string): Row | undefined {
    return this.#select.get(tenant) as Row | undefined;
  }

  #isRemoved(tenant: string): boolean {
    return this.#removed.get(tenant) !== undefined;
  }

  #guardOf(tenant: string): SealKey | undefined {
    const guard = this.#guards.get(tenant);
    if (guard !== undefined && 'refused' in guard) throw new VaultError('key_unavailable', guard.refused);
    return guard;
  }

  #wrapped(tenant: string, id: number, secret: Uint8Array, guard: SealKey | undefined): Buffer {
    const inner = guard === undefined ? secret : seal(guard, guardPlaceOf(tenant, id), secret);
    return seal(this.#wrap, keyPlaceOf(tenant, id, guard !== undefined), inner);
  }

  #secret(tenant: string, { key_id: id, wrapped, guarded }: Row): Buffer {
    const guard = this.#guardOf(tenant);
    const inner = open(this.#wrap, keyPlaceOf(tenant, id, guarded !== 0), wrapped);
    if (guarded === 0) return inner;
    if (guard === undefined) throw new VaultError('key_unavailable', `the key of ${tenant} ${NOT_READ}`);
    return open(guard, guardPlaceOf(tenant, id), inner);
  }

  #keep(tenant: string, id: number, secret: Buffer): TenantKey {
    const sealing = createSecretKey(deriveKey(secret, 'seal/v1'));
    const key: TenantKey = { id, key: sealing, index: createSecretKey(deriveKey(secret, 'index/v1')) };
    secret.fill(0);
    if (this.#cache.size >= CACHED) {
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        break;
      }
    }
    this.#cache.set(tenant, key);
    return key;
  }
}
