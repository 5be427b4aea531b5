// Secrets of connections: sealed under the key of their owner, found by name.
// Not responsible for who sets them (the CLI) or what they are used for (`connections/`).
// Invariant: a value is never listed and never stands unsealed in a file; each setting has a version of its own.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { newCorrelationId } from '../shared/ids.ts';
import type { ForeignChanges } from './foreign-changes.ts';
import { open, type Place, seal } from './seal.ts';
import { writeSealed } from './sealed-write.ts';
import type { SecretInfo, SecretStore, StoredSecret } from './stores.ts';
import type { TenantKeys } from './tenant-keys.ts';

const CACHED = 4096;

export function secretRowPlace(owner: string, name: string, version: string): Place {
  return [owner, 'secret', name, version];
}

export class SqliteSecretStore implements SecretStore {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #changes: ForeignChanges;
  readonly #cache = new Map<string, StoredSecret>();
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;

  constructor(db: DatabaseSync, keys: TenantKeys, changes: ForeignChanges) {
    this.#db = db;
    this.#keys = keys;
    this.#changes = changes;
    this.#select = db.prepare('SELECT version, sealed FROM secrets WHERE tenant = ? AND name = ?');
    this.#upsert = db.prepare(
      `INSERT INTO secrets (tenant, name, version, sealed, updated_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant, name) DO UPDATE SET version = excluded.version, sealed = excluded.sealed, updated_at = excluded.updated_at`,
    );
    this.#delete = db.prepare('DELETE FROM secrets WHERE tenant = ? AND name = ?');
    this.#list = db.prepare('SELECT name, version, updated_at FROM secrets WHERE tenant = ? ORDER BY name');
    changes.onChange(() => this.forget());
  }

  /** Throws `seal_broken` where the row was changed. */
  get(owner: string, name: string): StoredSecret | undefined {
    this.#changes.check();
    const id = `${owner} ${name}`;
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    const key = this.#keys.find(owner);
    const row = this.#select.get(owner, name) as { version: string; sealed: Uint8Array } | undefined;
    if (key === undefined || row === undefined) return undefined;
    const { version } = row;
    const found = Object.freeze({ value: open(key, secretRowPlace(owner, name, version), row.sealed).toString(), version });
    if (this.#cache.size >= CACHED) this.forget();
    this.#cache.set(id, found);
    return found;
  }

  set(owner: string, name: string, value: string, now: number): void {
    const version = newCorrelationId(now);
    writeSealed({ db: this.#db, keys: this.#keys, tenant: owner, now }, (key) =>
      this.#upsert.run(owner, name, version, seal(key, secretRowPlace(owner, name, version), Buffer.from(value)), now),
    );
    this.forget();
  }

  delete(owner: string, name: string): boolean {
    const deleted = this.#delete.run(owner, name).changes > 0;
    this.forget();
    return deleted;
  }

  list(owner: string): SecretInfo[] {
    const rows = this.#list.all(owner) as unknown as { name: string; version: string; updated_at: number }[];
    return rows.map(({ name, version, updated_at: updatedAt }) => ({ name, version, updatedAt }));
  }

  forget(): void {
    this.#cache.clear();
  }
}
