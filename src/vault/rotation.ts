// A change of the master key while servers run: every tenant key is wrapped anew, and those who hold the old key are led to the new one.
// Not responsible for where keys are kept (`keys/`). The keys of tenants, and what they seal, stay as they are.
// Invariant: one transaction: the database always fits exactly one of the two keys. What leads from the old key to the new one is
// removed as soon as every running server had time to follow.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { transact } from './database.ts';
import { MASTER_KEY_BYTES } from './keys/key-text.ts';
import { deriveKey, wrappingKey } from './master-wrap.ts';
import { open, seal } from './seal.ts';
import { keyPlaceOf } from './tenant-keys.ts';
import { VaultError } from './vault-error.ts';

const SUCCESSOR_PLACE = ['_server', 'master-key', 'successor'] as const;

function keyCheck(master: Uint8Array): Buffer {
  return createHmac('sha256', deriveKey(master, 'check/v1')).update('leasehold key check').digest();
}

function noted(db: DatabaseSync, name: 'key_check' | 'successor'): Uint8Array | undefined {
  const row = db.prepare('SELECT value FROM vault_meta WHERE name = ?').get(name) as { value: Uint8Array } | undefined;
  return row?.value;
}

/** The first opening of a vault notes a check value; later ones compare. Throws `key_wrong` or `key_invalid`. */
export function checkMasterKey(db: DatabaseSync, master: Uint8Array): void {
  if (master.length !== MASTER_KEY_BYTES) {
    throw new VaultError('key_invalid', `the master key must have ${MASTER_KEY_BYTES} bytes`);
  }
  const right = transact(db, () => {
    const known = fits(db, master);
    if (known === undefined) db.prepare("INSERT INTO vault_meta VALUES ('key_check', ?)").run(keyCheck(master));
    return known ?? true;
  });
  if (!right)
    throw new VaultError('key_wrong', 'the master key is not the one that this vault was made with; nothing was changed');
}

/** Undefined where the vault has noted no key yet. */
export function fits(db: DatabaseSync, master: Uint8Array): boolean | undefined {
  const value = noted(db, 'key_check');
  if (value === undefined) return undefined;
  const check = keyCheck(master);
  return value.length === check.length && timingSafeEqual(value, check);
}

/** Throws `rotation_running`, or `seal_broken` where a tenant's key does not open: then nothing is changed. */
export function rewrap(db: DatabaseSync, current: Uint8Array, next: Uint8Array): number {
  const from = wrappingKey(current);
  const to = wrappingKey(next);
  return transact(db, () => {
    if (isRecent(noted(db, 'successor'))) {
      throw new VaultError('rotation_running', 'the key is being changed by another command; wait for it and try again');
    }
    const rows = db.prepare('SELECT tenant, key_id, wrapped, guarded FROM tenant_keys').all() as unknown as Row[];
    const update = db.prepare('UPDATE tenant_keys SET wrapped = ? WHERE tenant = ?');
    for (const { tenant, key_id: id, wrapped, guarded } of rows) {
      // What a guard has sealed stays so: the guard is not needed here.
      const place = keyPlaceOf(tenant, id, guarded !== 0);
      const secret = open(from, place, wrapped);
      update.run(seal(to, place, secret), tenant);
      secret.fill(0);
    }
    db.prepare("UPDATE vault_meta SET value = ? WHERE name = 'key_check'").run(keyCheck(next));
    const at = Buffer.alloc(TIME_BYTES);
    at.writeBigUInt64BE(BigInt(Date.now()));
    const successor = Buffer.concat([at, seal(from, SUCCESSOR_PLACE, next)]);
    db.prepare("INSERT OR REPLACE INTO vault_meta VALUES ('successor', ?)").run(successor);
    return rows.length;
  });
}
interface Row {
  readonly tenant: string;
  readonly key_id: number;
  readonly wrapped: Uint8Array;
  readonly guarded: number;
}

/** The key that has taken the place of this one, for who holds the old one. Undefined where it still is the one. */
export function successorOf(db: DatabaseSync, current: Uint8Array): Uint8Array | undefined {
  const sealed = noted(db, 'successor');
  if (sealed === undefined || fits(db, current) === true) return undefined;
  return open(wrappingKey(current), SUCCESSOR_PLACE, sealed.subarray(TIME_BYTES));
}

/** What a change that was interrupted at its end has left behind is as good as removed after this. */
const RECENT_MS = 60_000;
const TIME_BYTES = 8;

function isRecent(successor: Uint8Array | undefined): boolean {
  if (successor === undefined) return false;
  const at = Number(Buffer.from(successor.subarray(0, TIME_BYTES)).readBigUInt64BE());
  return Date.now() - at < RECENT_MS;
}

/** Removes what an interrupted change has left behind. */
export function sweepOldKey(db: DatabaseSync): void {
  const successor = noted(db, 'successor');
  if (successor !== undefined && !isRecent(successor)) forgetOldKey(db);
}

/** Nobody can get from the old key to the new one any more. */
export function forgetOldKey(db: DatabaseSync): void {
  db.exec("DELETE FROM vault_meta WHERE name = 'successor'");
  // secure_delete overwrote the page; the log may still hold it.
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
}
