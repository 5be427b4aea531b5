// What the master key itself does: wrap the keys of tenants, and prove that it is the one that fits this vault.
// Not responsible for where the key comes from (`master-key`). It seals no record of a tenant directly.
// Invariant: every use has a key of its own, derived from the master key (HKDF, RFC 5869), so that no two uses can be mixed.
import { createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { transact } from './database.ts';
import { MASTER_KEY_BYTES } from './master-key.ts';
import type { SealKey } from './seal.ts';
import { VaultError } from './vault-error.ts';

/** A key of 32 bytes for one named use. */
export function deriveKey(secret: Uint8Array, use: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `leasehold/${use}`, 32));
}

export function wrappingKey(master: Uint8Array): SealKey {
  const id = deriveKey(master, 'wrap-id/v1').readUInt32BE(0);
  return { id, key: createSecretKey(deriveKey(master, 'wrap/v1')) };
}

/** The first opening of a vault notes a check value; later ones compare. Throws `key_wrong` or `key_invalid`. */
export function checkMasterKey(db: DatabaseSync, master: Uint8Array): void {
  if (master.length !== MASTER_KEY_BYTES)
    throw new VaultError('key_invalid', `the master key must have ${MASTER_KEY_BYTES} bytes`);
  const check = createHmac('sha256', deriveKey(master, 'check/v1')).update('leasehold key check').digest();
  const noted = transact(db, () => {
    const row = db.prepare("SELECT value FROM vault_meta WHERE name = 'key_check'").get() as { value: Uint8Array } | undefined;
    if (row !== undefined) return row.value;
    db.prepare("INSERT INTO vault_meta VALUES ('key_check', ?)").run(check);
    return check;
  });
  if (noted.length !== check.length || !timingSafeEqual(noted, check)) {
    throw new VaultError('key_wrong', 'the master key is not the one that this vault was made with; nothing was changed');
  }
}
