// A master key that systemd hands to the unit as a credential (systemd.exec(5), LoadCredential= and LoadCredentialEncrypted=).
// Not responsible for making one: it belongs to whoever writes the unit. Invariant: read only.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VaultError } from '../vault-error.ts';
import type { KeyPlace } from './key-place.ts';
import { parseKey } from './key-text.ts';

export function systemdCredential(name: string, folder: string | undefined = process.env['CREDENTIALS_DIRECTORY']): KeyPlace {
  const where = `the systemd credential ${name}`;
  const readOnly = (): never => {
    throw new VaultError(
      'key_missing',
      `${where} cannot be written from here. Make a key (head -c 32 /dev/urandom | basenc --base64url | tr -d =) and name it in ` +
        `the unit: LoadCredential=${name}:/path/to/key`,
    );
  };
  return {
    where,
    absence: `${where} was not handed to this process`,
    read(which) {
      if (which === 'next') return undefined;
      if (folder === undefined) {
        throw new VaultError('key_missing', `${where} is configured, but systemd handed no credentials to this process`);
      }
      try {
        return parseKey(readFileSync(join(folder, name), 'latin1').slice(0, 64), where);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        if (cause instanceof VaultError) throw cause;
        throw new VaultError('key_unsafe', `${where} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
      }
    },
    write: readOnly,
    promote: readOnly,
  };
}
