// Who refreshes a grant now, over all processes: a row with holder, expiry and fencing number.
// Not responsible for waiting (callers poll) or for what is done under it.
// Invariant: one holder at a time while clocks agree; a holder that died gives way by time; no write waits longer than the
// busy timeout of the database.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { isBusy } from './busy.ts';
import { grantPlace, hiddenName, writeSealed } from './sealed-write.ts';
import type { GrantKey, RefreshLocks } from './stores.ts';
import type { TenantKeys } from './tenant-keys.ts';

interface Row {
  readonly holder: string;
  readonly fence: number;
  readonly expires_at: number;
}

export class SqliteRefreshLocks implements RefreshLocks {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #now: () => number;
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #free: StatementSync;

  constructor(db: DatabaseSync, keys: TenantKeys, now: () => number) {
    this.#db = db;
    this.#keys = keys;
    this.#now = now;
    this.#select = db.prepare('SELECT holder, fence, expires_at FROM refresh_locks WHERE tenant = ? AND slot = ?');
    this.#upsert = db.prepare(
      `INSERT INTO refresh_locks (tenant, slot, holder, fence, expires_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant, slot) DO UPDATE SET holder = excluded.holder, fence = excluded.fence, expires_at = excluded.expires_at`,
    );
    this.#free = db.prepare('UPDATE refresh_locks SET expires_at = 0 WHERE tenant = ? AND slot = ? AND holder = ? AND fence = ?');
  }

  take(key: GrantKey, holder: string, now: number, ttlMs: number): number | undefined {
    const { tenant } = key;
    try {
      return writeSealed({ db: this.#db, keys: this.#keys, tenant, now: this.#now() }, (tenantKey) => {
        const name = hiddenName(tenantKey, grantPlace('grant', key));
        const row = this.#select.get(tenant, name) as Row | undefined;
        // Further away than any holder may set it: the clock was set back since.
        if (row !== undefined && row.expires_at > now && row.expires_at <= now + 2 * ttlMs) return undefined;
        const fence = (row?.fence ?? 0) + 1;
        this.#upsert.run(tenant, name, holder, fence, now + ttlMs);
        return fence;
      });
    } catch (cause) {
      if (isBusy(cause)) return undefined;
      throw cause;
    }
  }

  release(key: GrantKey, holder: string, fence: number): void {
    const tenantKey = this.#keys.find(key.tenant);
    if (tenantKey !== undefined) this.#free.run(key.tenant, hiddenName(tenantKey, grantPlace('grant', key)), holder, fence);
  }
}
