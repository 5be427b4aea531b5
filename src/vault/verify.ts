// Opens every sealed record of a vault once: whether each is whole, in its place, and of a key that is there.
// Not responsible for what records mean. Read only.
// Invariant: tells table and row number of a bad record, never content or names that are hidden.
import type { DatabaseSync } from 'node:sqlite';
import { SERVER_OWNER } from '../shared/ids.ts';
import { open, type Place, type SealKey } from './seal.ts';
import { flowRowPlace } from './flow-store.ts';
import { grantRowPlace } from './grant-store.ts';
import { loginRowPlace } from './login-store.ts';
import { secretRowPlace } from './secret-store.ts';
import type { TenantKeys } from './tenant-keys.ts';
import { userRowPlace } from './user-store.ts';
import { valueRowPlace } from './value-store.ts';

export interface Verified {
  /** Records that opened, by table. */
  readonly opened: Readonly<Record<string, number>>;
  readonly bad: readonly { readonly table: string; readonly tenant: string; readonly row: number; readonly reason: string }[];
}

/** Tables without a column `tenant` hold what belongs to the server. */
type Stored = Record<string, string | number | Uint8Array> & { readonly tenant?: string; readonly sealed: Uint8Array };
type Row = Stored & { readonly tenant: string };

/** Every table with sealed rows, and where a row of it stands. */
const TABLES: { readonly [table: string]: (row: Row) => Place } = {
  store_values: (row) => valueRowPlace(row.tenant, row['slot'] as Uint8Array),
  secrets: (row) => secretRowPlace(row.tenant, row['name'] as string, row['version'] as string),
  grants: (row) => grantRowPlace(row.tenant, row['slot'] as Uint8Array, row['version'] as string),
  connect_flows: (row) => flowRowPlace(row.tenant, row['link'] as Uint8Array, row['version'] as string),
  users: (row) => userRowPlace(row['name'] as string),
  login_state: (row) => loginRowPlace(row['kind'] as string, row['place'] as Uint8Array),
};

export function verifyRecords(db: DatabaseSync, keys: Pick<TenantKeys, 'find'>): Verified {
  const opened: Record<string, number> = {};
  const bad: { table: string; tenant: string; row: number; reason: string }[] = [];
  const held = new Map<string, SealKey | string>();

  function keyOf(tenant: string): SealKey | string {
    let key = held.get(tenant);
    if (key === undefined) {
      try {
        key = keys.find(tenant) ?? 'its tenant has no key';
      } catch (error) {
        key = error instanceof Error ? `the key of its tenant does not open (${error.message})` : 'unknown';
      }
      held.set(tenant, key);
    }
    return key;
  }

  for (const [table, placeOf] of Object.entries(TABLES)) {
    let row = 0;
    for (const stored of db.prepare(`SELECT * FROM ${table}`).iterate() as Iterable<Stored>) {
      row += 1;
      const entry: Row = { ...stored, tenant: stored.tenant ?? SERVER_OWNER };
      const reason = problemOf(entry, keyOf(entry.tenant), placeOf);
      if (reason === undefined) opened[table] = (opened[table] ?? 0) + 1;
      else bad.push({ table, tenant: entry.tenant, row, reason });
    }
  }
  for (const { tenant } of db.prepare('SELECT tenant FROM tenant_keys').all() as unknown as { tenant: string }[]) {
    const key = keyOf(tenant);
    if (typeof key === 'string') bad.push({ table: 'tenant_keys', tenant, row: 0, reason: key });
    else opened['tenant_keys'] = (opened['tenant_keys'] ?? 0) + 1;
  }
  return { opened, bad };
}

function problemOf(row: Row, key: SealKey | string, placeOf: (row: Row) => Place): string | undefined {
  if (typeof key === 'string') return key;
  try {
    open(key, placeOf(row), row.sealed).fill(0);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^vault: /, '') : 'unknown';
  }
}
