// The keys of tenants: made on first use, kept wrapped by the master key, destroyed with the tenant.
// Not responsible for what they seal.
// Invariant: a key is in memory only while it is in the database (STALE_MS at most beyond); without it nothing that was
// sealed with it can be opened again (crypto-shredding), in old copies of rows too.
import { createSecretKey, type KeyObject, randomBytes, randomInt } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ForeignChanges } from './foreign-changes.ts';
import { deriveKey, wrappingKey } from './master-wrap.ts';
import { open, type Place, seal, type SealKey } from './seal.ts';

const KEY_BYTES = 32;
const CACHED = 1024;

export interface TenantKey extends SealKey {
  /** For names that must be found but not read: HMAC of them. */
  readonly index: KeyObject;
}

export function keyPlaceOf(tenant: string, id: number): Place {
  return [tenant, 'tenant-key', String(id)];
}

export class TenantKeys {
  #wrap: SealKey;
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #changes: ForeignChanges;
  readonly #cache = new Map<string, TenantKey>();

  constructor(db: DatabaseSync, master: Uint8Array, changes: ForeignChanges) {
    this.#wrap = wrappingKey(master);
    this.#select = db.prepare('SELECT key_id, wrapped FROM tenant_keys WHERE tenant = ?');
    this.#insert = db.prepare('INSERT INTO tenant_keys VALUES (?, ?, ?, ?)');
    this.#delete = db.prepare('DELETE FROM tenant_keys WHERE tenant = ?');
    this.#changes = changes;
    changes.onChange(() => this.#cache.clear());
  }

  /** The master key was changed: from now on this one wraps. */
  follow(master: Uint8Array): void {
    this.#wrap = wrappingKey(master);
  }

  /** Undefined where the tenant has never sealed anything. Throws `seal_broken`. */
  find(tenant: string): TenantKey | undefined {
    this.#changes.check();
    const cached = this.#cache.get(tenant);
    if (cached !== undefined) return cached;
    const row = this.#select.get(tenant) as { key_id: number; wrapped: Uint8Array } | undefined;
    return row === undefined
      ? undefined
      : this.#keep(tenant, row.key_id, open(this.#wrap, keyPlaceOf(tenant, row.key_id), row.wrapped));
  }

  /** The tenant's key, made where it has none. Only inside a write transaction. */
  require(tenant: string, now: number): TenantKey {
    this.#changes.checkNow();
    const known = this.find(tenant);
    if (known !== undefined) return known;
    const id = randomInt(1, 2 ** 32);
    const secret = randomBytes(KEY_BYTES);
    this.#insert.run(tenant, id, seal(this.#wrap, keyPlaceOf(tenant, id), secret), now);
    return this.#keep(tenant, id, secret);
  }

  /** Only inside a write transaction; `forget` after it, too. */
  destroy(tenant: string): void {
    this.#delete.run(tenant);
    this.forget(tenant);
  }

  /** Where the transaction of `require` was rolled back: the key was never stored. */
  forget(tenant: string): void {
    this.#cache.delete(tenant);
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
