// One write transaction with a tenant's key, made where the tenant has none yet.
// Not responsible for what is written. Invariant: a key that was made in a transaction that failed is in no cache.
import { createHmac } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { transact } from './database.ts';
import type { Place } from './seal.ts';
import type { GrantKey } from './stores.ts';
import type { TenantKey, TenantKeys } from './tenant-keys.ts';

export interface KeyedWrite {
  readonly db: DatabaseSync;
  readonly keys: TenantKeys;
  readonly tenant: string;
  readonly now: number;
}

export function writeSealed<T>({ db, keys, tenant, now }: KeyedWrite, work: (key: TenantKey) => T): T {
  try {
    return transact(db, () => work(keys.require(tenant, now)));
  } catch (cause) {
    keys.forget(tenant);
    throw cause;
  }
}

/** The name of a row that only the tenant's key can find. */
export function hiddenName(key: TenantKey, place: Place): Uint8Array {
  return createHmac('sha256', key.index).update(JSON.stringify(place)).digest();
}

export function grantPlace(kind: 'grant' | 'rejection', { tenant, slot, owner }: GrantKey): Place {
  return owner === undefined ? [tenant, kind, slot, 'tenant'] : [tenant, kind, slot, 'subject', owner.issuer, owner.subject];
}
