// The master key of a vault: found where the configuration says it is, made only where no vault exists yet.
// Not responsible for the kinds of places, nor for telling whether a key fits the vault (`master-wrap` holds a check value).
// Invariant: no fall-back from one kind of place to another; a key that is locked, unsafe, odd or missing refuses the start.
import { randomBytes } from 'node:crypto';
import { VaultError } from '../vault-error.ts';
import { keyFile } from './key-file.ts';
import type { KeyPlace, MasterKeySource } from './key-place.ts';
import { MASTER_KEY_BYTES } from './key-text.ts';
import { keychainPlace } from './keychain-place.ts';
import { systemdCredential } from './systemd-credential.ts';

export interface LoadedMasterKey {
  readonly key: Uint8Array;
  readonly place: KeyPlace;
  /** It was made just now: say so, it must be backed up. */
  readonly created: boolean;
}

export function keyPlace(from: MasterKeySource): KeyPlace {
  switch (from.source) {
    case 'file':
      return keyFile(from.path);
    case 'keychain':
      return keychainPlace(from.account);
    case 'systemd-credential':
      return systemdCredential(from.name);
    default:
      return from satisfies never;
  }
}

/** Throws a `VaultError` (`key_missing`, `key_unsafe`, `key_invalid`, `key_unavailable`), one line each. */
export function loadMasterKey(from: MasterKeySource, vaultExists: boolean): LoadedMasterKey {
  const place = keyPlace(from);
  const found = place.read('current');
  if (found !== undefined) return { key: found, place, created: false };
  if (vaultExists) throw new VaultError('key_missing', `${place.absence}; nothing was created or changed`);
  return create(place);
}

function create(place: KeyPlace): LoadedMasterKey {
  const key = randomBytes(MASTER_KEY_BYTES);
  try {
    place.write('current', key);
  } catch (cause) {
    // Another process was faster: its key is the key.
    const found = place.read('current');
    if (found === undefined) throw cause;
    return { key: found, place, created: false };
  }
  return { key, place, created: true };
}
