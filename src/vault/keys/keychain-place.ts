// A master key in the OS keychain of this user: for a desktop.
// Not responsible for talking to the keychain (`keychain`). Invariant: a written key is read back before it counts.
import { VaultError } from '../vault-error.ts';
import { deleteItem, KEYCHAIN_SERVICE, readItem, writeItem } from './keychain.ts';
import type { KeyPlace, Which } from './key-place.ts';
import { keyText, parseKey } from './key-text.ts';

export function keychainPlace(account: string): KeyPlace {
  const where = `the keychain item ${KEYCHAIN_SERVICE} / ${account}`;
  const at = (which: Which): string => (which === 'current' ? account : `${account} (next)`);
  const read = (which: Which): Uint8Array | undefined => {
    const text = readItem(at(which));
    return text === undefined ? undefined : parseKey(text, where);
  };
  const write = (which: Which, key: Uint8Array): void => {
    writeItem(at(which), keyText(key));
    const kept = read(which);
    if (kept === undefined || !Buffer.from(kept).equals(Buffer.from(key))) {
      throw new VaultError('key_unavailable', `${where} was not kept; nothing was changed`);
    }
  };
  return {
    where,
    absence: `the keychain is locked, or does not hold ${where}. Unlock it and start again`,
    read,
    write,
    promote() {
      const next = read('next');
      if (next === undefined) throw new VaultError('key_unavailable', `the new key of ${where} cannot be read`);
      write('current', next);
      deleteItem(at('next'));
    },
  };
}
