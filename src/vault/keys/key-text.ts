// A master key as text: 32 bytes as 43 characters of base64url. The same in a file, a keychain item and a credential.
// Not responsible for where it stands. Invariant: one spelling for one key; anything else is a damaged one.
import { VaultError } from '../vault-error.ts';

export const MASTER_KEY_BYTES = 32;
const TEXT = /^([A-Za-z0-9_-]{43})\r?\n?$/;

/** Throws `key_invalid`; `where` is named in it. */
export function parseKey(text: string, where: string): Uint8Array {
  const found = TEXT.exec(text)?.[1];
  const key = found === undefined ? undefined : Buffer.from(found, 'base64url');
  // 43 characters carry two bits more than 32 bytes.
  if (key?.length === MASTER_KEY_BYTES && key.toString('base64url') === found) return key;
  throw new VaultError('key_invalid', `${where} does not hold a key (32 bytes as 43 characters of base64url)`);
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key).toString('base64url');
}
