// What the master key itself does: it wraps the keys of tenants.
// Not responsible for where the key comes from (`keys/`), nor for whether it fits a vault (`rotation`). It seals no record of a tenant directly.
// Invariant: every use has a key of its own, derived from the master key (HKDF, RFC 5869), so that no two uses can be mixed.
import { createSecretKey, hkdfSync } from 'node:crypto';
import type { SealKey } from './seal.ts';

/** A key of 32 bytes for one named use. */
export function deriveKey(secret: Uint8Array, use: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `leasehold/${use}`, 32));
}

export function wrappingKey(master: Uint8Array): SealKey {
  const id = deriveKey(master, 'wrap-id/v1').readUInt32BE(0);
  return { id, key: createSecretKey(deriveKey(master, 'wrap/v1')) };
}
