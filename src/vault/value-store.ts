// The rows behind `ctx.store`: sealed values under names that only the tenant's key can find.
// Not responsible for who may ask (`tenants/`) or for what a value means.
// Invariant: neither value nor subject nor key of a row can be read without the tenant's key; the sum of a tenant's values
// never exceeds its quota; an expired value is never returned.
import { createHmac } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { STORE_VALUE_BYTES } from '../shared/limits.ts';
import { transact } from './database.ts';
import { open, type Place, seal } from './seal.ts';
import type { ValueStore } from './stores.ts';
import type { TenantKey, TenantKeys } from './tenant-keys.ts';

/** The least that a value counts in the quota: a row is not free, however short its value. */
export const LEAST_CHARGE_BYTES = 64;
/** Expired rows that one write clears away, of whatever tenant. */
const SWEEP_ROWS = 64;

export class SqliteValueStore implements ValueStore {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #now: () => number;
  readonly #select: StatementSync;
  readonly #charged: StatementSync;
  readonly #usage: StatementSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;
  readonly #sweep: StatementSync;
  readonly #expire: StatementSync;

  constructor(db: DatabaseSync, keys: TenantKeys, now: () => number) {
    this.#db = db;
    this.#keys = keys;
    this.#now = now;
    this.#select = db.prepare('SELECT sealed, expires_at FROM store_values WHERE tenant = ? AND slot = ?');
    this.#charged = db.prepare('SELECT charged FROM store_values WHERE tenant = ? AND slot = ?');
    this.#usage = db.prepare('SELECT bytes FROM store_usage WHERE tenant = ?');
    this.#upsert = db.prepare(
      `INSERT INTO store_values (tenant, slot, sealed, charged, expires_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant, slot) DO UPDATE SET sealed = excluded.sealed, charged = excluded.charged, expires_at = excluded.expires_at`,
    );
    this.#delete = db.prepare('DELETE FROM store_values WHERE tenant = ? AND slot = ?');
    this.#sweep = db.prepare(
      'DELETE FROM store_values WHERE rowid IN (SELECT rowid FROM store_values WHERE expires_at <= ? LIMIT ?)',
    );
    this.#expire = db.prepare('DELETE FROM store_values WHERE tenant = ? AND expires_at <= ?');
  }

  /** Throws `seal_broken` where the row was changed. */
  get(tenant: string, subject: string | undefined, key: string, now: number): Uint8Array | undefined {
    const tenantKey = this.#keys.find(tenant);
    if (tenantKey === undefined) return undefined;
    const slot = slotOf(tenantKey, placeOf(tenant, subject, key));
    const row = this.#select.get(tenant, slot) as { sealed: Uint8Array; expires_at: number | null } | undefined;
    if (row === undefined || (row.expires_at !== null && row.expires_at <= now)) return undefined;
    return open(tenantKey, valueRowPlace(tenant, slot), row.sealed);
  }

  set(
    tenant: string,
    subject: string | undefined,
    key: string,
    value: Uint8Array,
    expiresAt: number | undefined,
    quotaBytes: number,
  ): boolean {
    if (value.byteLength > STORE_VALUE_BYTES) return false;
    const now = this.#now();
    const place = placeOf(tenant, subject, key);
    try {
      return transact(this.#db, () => {
        const tenantKey = this.#keys.require(tenant, now);
        const slot = slotOf(tenantKey, place);
        const charged = Math.max(value.byteLength, LEAST_CHARGE_BYTES);
        this.#sweep.run(now, SWEEP_ROWS);
        if (!this.#fits(tenant, slot, charged, quotaBytes)) {
          this.#expire.run(tenant, now);
          if (!this.#fits(tenant, slot, charged, quotaBytes)) return false;
        }
        this.#upsert.run(tenant, slot, seal(tenantKey, valueRowPlace(tenant, slot), value), charged, expiresAt ?? null);
        return true;
      });
    } catch (cause) {
      // A key that was made in the transaction is not in the database now.
      this.#keys.forget(tenant);
      throw cause;
    }
  }

  delete(tenant: string, subject: string | undefined, key: string): void {
    const tenantKey = this.#keys.find(tenant);
    if (tenantKey !== undefined) this.#delete.run(tenant, slotOf(tenantKey, placeOf(tenant, subject, key)));
  }

  #fits(tenant: string, slot: Uint8Array, charged: number, quotaBytes: number): boolean {
    const used = (this.#usage.get(tenant) as { bytes: number } | undefined)?.bytes ?? 0;
    const replaced = (this.#charged.get(tenant, slot) as { charged: number } | undefined)?.charged ?? 0;
    return used - replaced + charged <= quotaBytes;
  }
}

function placeOf(tenant: string, subject: string | undefined, key: string): Place {
  return subject === undefined ? [tenant, 'store', 'tenant', key] : [tenant, 'store', 'subject', subject, key];
}

/** The slot is a keyed hash of subject and name, so a value opens in no other place of the store either. */
export function valueRowPlace(tenant: string, slot: Uint8Array): Place {
  return [tenant, 'store', Buffer.from(slot).toString('base64url')];
}

function slotOf(key: TenantKey, place: Place): Uint8Array {
  return createHmac('sha256', key.index).update(JSON.stringify(place)).digest();
}
