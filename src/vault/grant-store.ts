// Grants of OAuth servers: sealed rows whose names only the tenant's key can find.
// Not responsible for refreshing them (`connections/`) or for who may use them.
// Invariant: what `put` and `replace` return is on disk; `replace` writes only over the version that its caller read, so
// that of two writers who began with the same grant one loses and knows it.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { newCorrelationId } from '../shared/ids.ts';
import type { ForeignChanges } from './foreign-changes.ts';
import { open, type Place, seal } from './seal.ts';
import { grantPlace, hiddenName, writeSealed } from './sealed-write.ts';
import type { Grant, GrantKey, GrantOwner, GrantStore, StoredGrant } from './stores.ts';
import type { TenantKey, TenantKeys } from './tenant-keys.ts';

const CACHED = 10_000;

interface Row {
  readonly slot: Uint8Array;
  readonly version: string;
  readonly sealed: Uint8Array;
}
/** What is sealed: the key as well, since the name of the row cannot be read back. */
interface Content {
  readonly slot: string;
  readonly owner?: GrantOwner;
  readonly grant: Grant;
}

export class SqliteGrantStore implements GrantStore {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #changes: ForeignChanges;
  readonly #now: () => number;
  readonly #cache = new Map<string, StoredGrant>();
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;

  constructor(db: DatabaseSync, keys: TenantKeys, changes: ForeignChanges, now: () => number) {
    this.#db = db;
    this.#keys = keys;
    this.#changes = changes;
    this.#now = now;
    this.#select = db.prepare('SELECT slot, version, sealed FROM grants WHERE tenant = ? AND slot = ?');
    this.#upsert = db.prepare(
      `INSERT INTO grants (tenant, slot, version, sealed) VALUES (?, ?, ?, ?)
       ON CONFLICT (tenant, slot) DO UPDATE SET version = excluded.version, sealed = excluded.sealed`,
    );
    this.#update = db.prepare('UPDATE grants SET version = ?, sealed = ? WHERE tenant = ? AND slot = ? AND version = ?');
    this.#delete = db.prepare('DELETE FROM grants WHERE tenant = ? AND slot = ?');
    this.#list = db.prepare('SELECT slot, version, sealed FROM grants WHERE tenant = ?');
    changes.onChange(() => this.forget());
  }

  find(key: GrantKey): StoredGrant | undefined {
    this.#changes.check();
    return this.#cache.get(cacheKey(key)) ?? this.read(key);
  }

  /** Throws `seal_broken` where the row was changed. */
  read(key: GrantKey): StoredGrant | undefined {
    this.#changes.checkNow();
    const tenantKey = this.#keys.find(key.tenant);
    if (tenantKey === undefined) return undefined;
    const row = this.#select.get(key.tenant, nameOf(tenantKey, key)) as Row | undefined;
    if (row === undefined) return undefined;
    return this.#keep(key, contentOf(tenantKey, key.tenant, row).grant, row.version);
  }

  put(key: GrantKey, grant: Grant): StoredGrant {
    const version = this.#write(key, (tenantKey, fresh) => {
      this.#upsert.run(key.tenant, nameOf(tenantKey, key), fresh, sealContent(tenantKey, key, grant, fresh));
      return true;
    });
    return this.#keep(key, grant, version as string);
  }

  replace(key: GrantKey, grant: Grant, version: string): StoredGrant | undefined {
    const fresh = this.#write(key, (tenantKey, next) => {
      const sealed = sealContent(tenantKey, key, grant, next);
      return this.#update.run(next, sealed, key.tenant, nameOf(tenantKey, key), version).changes > 0;
    });
    this.#cache.delete(cacheKey(key));
    return fresh === undefined ? undefined : this.#keep(key, grant, fresh);
  }

  delete(key: GrantKey): boolean {
    const tenantKey = this.#keys.find(key.tenant);
    this.#cache.delete(cacheKey(key));
    return tenantKey !== undefined && this.#delete.run(key.tenant, nameOf(tenantKey, key)).changes > 0;
  }

  list(tenant: string): { key: GrantKey; grant: StoredGrant }[] {
    const tenantKey = this.#keys.find(tenant);
    if (tenantKey === undefined) return [];
    const rows = this.#list.all(tenant) as unknown as Row[];
    return rows
      .map((row) => {
        const { slot, owner, grant } = contentOf(tenantKey, tenant, row);
        return { key: { tenant, slot, owner }, grant: { ...grant, version: row.version } };
      })
      .toSorted((a, b) => a.grant.connectedAt - b.grant.connectedAt);
  }

  forget(): void {
    this.#cache.clear();
  }

  #write(key: GrantKey, work: (tenantKey: TenantKey, version: string) => boolean): string | undefined {
    const now = this.#now();
    const version = newCorrelationId(now);
    const done = writeSealed({ db: this.#db, keys: this.#keys, tenant: key.tenant, now }, (tenantKey) =>
      work(tenantKey, version),
    );
    return done ? version : undefined;
  }

  #keep(key: GrantKey, grant: Grant, version: string): StoredGrant {
    const stored: StoredGrant = Object.freeze({ ...grant, version });
    if (this.#cache.size >= CACHED) this.forget();
    this.#cache.set(cacheKey(key), stored);
    return stored;
  }
}

function cacheKey({ tenant, slot, owner }: GrantKey): string {
  return owner === undefined ? `${tenant} ${slot}` : JSON.stringify([tenant, slot, owner.issuer, owner.subject]);
}
function nameOf(tenantKey: TenantKey, key: GrantKey): Uint8Array {
  return hiddenName(tenantKey, grantPlace('grant', key));
}
/** Name and version of the row are part of the place: a record does not open in another row, nor as another version. */
export function grantRowPlace(tenant: string, name: Uint8Array, version: string): Place {
  return [tenant, 'grant', Buffer.from(name).toString('base64url'), version];
}
function sealContent(tenantKey: TenantKey, { tenant, slot, owner }: GrantKey, grant: Grant, version: string): Buffer {
  const content: Content = { slot, ...(owner === undefined ? {} : { owner }), grant };
  const name = nameOf(tenantKey, { tenant, slot, owner });
  return seal(tenantKey, grantRowPlace(tenant, name, version), Buffer.from(JSON.stringify(content)));
}
function contentOf(
  tenantKey: TenantKey,
  tenant: string,
  row: Row,
): { slot: string; owner: GrantOwner | undefined; grant: Grant } {
  const text = open(tenantKey, grantRowPlace(tenant, row.slot, row.version), row.sealed).toString();
  const { slot, owner, grant } = JSON.parse(text) as Content;
  return { slot, owner, grant };
}
