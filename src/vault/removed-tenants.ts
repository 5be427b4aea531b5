// The tenants that were removed, and what one has here before it is.
// Not responsible for its files, or for ending its grants upstream.
// Invariant: between removal and admission nothing can be sealed for a tenant, by whatever process: triggers of the database see
// to that (`database`). Copies of its rows cannot be opened with what the database holds then (crypto-shredding).
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { transact } from './database.ts';
import type { TenantKeys } from './tenant-keys.ts';

/** Every table with a column `tenant`, but for its key and for the mark that it was removed. */
const TENANT_TABLES = [
  'store_values',
  'store_usage',
  'tokens',
  'secrets',
  'grants',
  'refresh_locks',
  'rejections',
  'connect_flows',
  'usage_days',
  'memberships',
];

/** SQLITE_CONSTRAINT_TRIGGER: no other trigger of this database refuses anything. */
const REFUSED_BY_TRIGGER = 1811;

/** Whether a row was refused because its tenant was removed. */
export function isOfRemovedTenant(cause: unknown): boolean {
  return cause instanceof Error && 'errcode' in cause && cause.errcode === REFUSED_BY_TRIGGER;
}

export class RemovedTenants {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #counts: readonly (readonly [table: string, count: StatementSync, removal: StatementSync])[];
  readonly #mark: StatementSync;
  readonly #unmark: StatementSync;
  readonly #marked: StatementSync;

  constructor(db: DatabaseSync, keys: TenantKeys) {
    this.#db = db;
    this.#keys = keys;
    this.#counts = ['tenant_keys', ...TENANT_TABLES].map((table) => [
      table,
      db.prepare(`SELECT count(*) AS n FROM ${table} WHERE tenant = ?`),
      db.prepare(`DELETE FROM ${table} WHERE tenant = ?`),
    ]);
    this.#mark = db.prepare('INSERT OR REPLACE INTO removed_tenants VALUES (?, ?)');
    this.#unmark = db.prepare('DELETE FROM removed_tenants WHERE tenant = ?');
    this.#marked = db.prepare('SELECT 1 FROM removed_tenants WHERE tenant = ?');
  }

  holdings(tenant: string): ReadonlyMap<string, number> {
    const counted = this.#counts.map(([table, count]) => [table, (count.get(tenant) as { n: number }).n] as const);
    return new Map(counted.filter(([, rows]) => rows > 0));
  }

  shred(tenant: string, now: number): void {
    transact(this.#db, () => {
      this.#keys.forget(tenant);
      for (const [, , removal] of this.#counts) removal.run(tenant);
      this.#mark.run(tenant, now);
    });
    // secure_delete overwrote the pages; the log still holds the old ones until it is written back and emptied.
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  admit(tenant: string): boolean {
    return this.#unmark.run(tenant).changes > 0;
  }

  has(tenant: string): boolean {
    return this.#marked.get(tenant) !== undefined;
  }
}
