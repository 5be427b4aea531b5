// Credentials that an upstream refused, by connection: how often in a row, and until when they rest.
// Not responsible for what follows from it (`connections/`).
// Invariant: holds no credential, only versions; written when something is refused and when it is accepted again, so that a
// call with a good credential costs one look into a cache.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ForeignChanges } from './foreign-changes.ts';
import { grantPlace, hiddenName, writeSealed } from './sealed-write.ts';
import type { GrantKey, Rejection, RejectionStore } from './stores.ts';
import type { TenantKeys } from './tenant-keys.ts';

interface Row {
  readonly connection: string;
  readonly credential: string;
  readonly failures: number;
  readonly until: number;
  readonly at: number;
}

export class SqliteRejectionStore implements RejectionStore {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #changes: ForeignChanges;
  readonly #now: () => number;
  /** Tenants with rejections; the others are not asked about again until something changes. */
  readonly #tenants = new Map<string, boolean>();
  readonly #any: StatementSync;
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;

  constructor(db: DatabaseSync, keys: TenantKeys, changes: ForeignChanges, now: () => number) {
    this.#db = db;
    this.#keys = keys;
    this.#changes = changes;
    this.#now = now;
    const columns = 'connection, credential, failures, until, at';
    this.#any = db.prepare('SELECT 1 FROM rejections WHERE tenant = ? LIMIT 1');
    this.#select = db.prepare(`SELECT ${columns} FROM rejections WHERE tenant = ? AND slot = ?`);
    this.#upsert = db.prepare(
      `INSERT INTO rejections (tenant, slot, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (tenant, slot) DO UPDATE SET credential = excluded.credential, failures = excluded.failures,
         until = excluded.until, at = excluded.at`,
    );
    this.#delete = db.prepare('DELETE FROM rejections WHERE tenant = ? AND slot = ?');
    this.#list = db.prepare(`SELECT ${columns} FROM rejections WHERE tenant = ? ORDER BY connection, at`);
    changes.onChange(() => this.forget());
  }

  find(key: GrantKey): Rejection | undefined {
    this.#changes.check();
    let any = this.#tenants.get(key.tenant);
    if (any === undefined) {
      any = this.#any.get(key.tenant) !== undefined;
      this.#tenants.set(key.tenant, any);
    }
    const tenantKey = any ? this.#keys.find(key.tenant) : undefined;
    if (tenantKey === undefined) return undefined;
    const row = this.#select.get(key.tenant, hiddenName(tenantKey, grantPlace('rejection', key))) as Row | undefined;
    return row === undefined ? undefined : rejectionOf(row);
  }

  set(key: GrantKey, { credential, failures, until, at }: Rejection): void {
    const { tenant, slot } = key;
    writeSealed({ db: this.#db, keys: this.#keys, tenant, now: this.#now() }, (tenantKey) =>
      this.#upsert.run(tenant, hiddenName(tenantKey, grantPlace('rejection', key)), slot, credential, failures, until, at),
    );
    this.forget();
  }

  clear(key: GrantKey): void {
    const tenantKey = this.#keys.find(key.tenant);
    if (tenantKey !== undefined) this.#delete.run(key.tenant, hiddenName(tenantKey, grantPlace('rejection', key)));
    this.forget();
  }

  list(tenant: string): { slot: string; rejection: Rejection }[] {
    const rows = this.#list.all(tenant) as unknown as Row[];
    return rows.map((row) => ({ slot: row.connection, rejection: rejectionOf(row) }));
  }

  forget(): void {
    this.#tenants.clear();
  }
}

function rejectionOf({ credential, failures, until, at }: Row): Rejection {
  return { credential, failures, until, at };
}
