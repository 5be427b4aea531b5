// Seals a record: AES-256-GCM, bound to whose record it is and where it stands. Pure but for the random nonce.
// Not responsible for keys (`tenant-keys`) or rows.
// Invariant: what was sealed for one tenant and place opens for no other; a changed byte never opens.
//
//   version 1 | key id (u32, big endian) | nonce (12) | ciphertext | tag (16)
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { VaultError } from './vault-error.ts';

const VERSION = 1;
const NONCE_AT = 5;
const NONCE_BYTES = 12;
const TEXT_AT = NONCE_AT + NONCE_BYTES;
const TAG_BYTES = 16;
/** What sealing adds. */
export const SEAL_BYTES = TEXT_AT + TAG_BYTES;

export interface SealKey {
  readonly id: number;
  /** 32 bytes. */
  readonly key: KeyObject;
}

/** Where a record stands: tenant first, then what names it among the tenant's records. */
export type Place = readonly [tenant: string, ...path: string[]];

function associated(head: Uint8Array, place: Place): Buffer {
  // JSON keeps the parts apart, whatever they hold.
  return Buffer.concat([head, Buffer.from(JSON.stringify(place))]);
}

export function seal(key: SealKey, place: Place, plain: Uint8Array): Buffer {
  const head = Buffer.alloc(NONCE_AT);
  head[0] = VERSION;
  head.writeUInt32BE(key.id, 1);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated(head, place));
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([head, nonce, text, cipher.getAuthTag()]);
}

/** Throws `seal_broken` where key, place or bytes do not fit. */
export function open(key: SealKey, place: Place, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < SEAL_BYTES || bytes[0] !== VERSION) throw new VaultError('seal_broken', 'a record is not in a known form');
  if (bytes.readUInt32BE(1) !== key.id) throw new VaultError('seal_broken', 'a record was sealed with another key');
  const tagAt = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key.key, bytes.subarray(NONCE_AT, TEXT_AT), { authTagLength: TAG_BYTES });
  decipher.setAAD(associated(bytes.subarray(0, NONCE_AT), place));
  decipher.setAuthTag(bytes.subarray(tagAt));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(TEXT_AT, tagAt)), decipher.final()]);
  } catch (cause) {
    throw new VaultError('seal_broken', 'a record does not open: it was changed, or is another record', { cause });
  }
}
