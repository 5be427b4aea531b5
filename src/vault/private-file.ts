// Opens a file that nobody else may read: the check that key and database share.
// Not responsible for content.
// Invariant: the checks are made on the opened file, not on its name, and a symbolic link is never followed.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { VaultError } from './vault-error.ts';

const NOFOLLOW = constants.O_NOFOLLOW ?? 0;

/** Opens for reading. Undefined where there is no such file; throws `key_unsafe` where others could read it. */
export function openPrivate(path: string): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | NOFOLLOW | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP') throw new VaultError('key_unsafe', `${path} is a symbolic link; name the file itself`, { cause });
    throw new VaultError('key_unsafe', `${path} cannot be read (${code})`, { cause });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new VaultError('key_unsafe', `${path} is not a file`);
    const uid = process.getuid?.();
    if (uid !== undefined) {
      if ((stat.mode & 0o077) !== 0) {
        throw new VaultError('key_unsafe', `${path} can be read by others (mode ${modeText(stat.mode)}); run: chmod 600 ${path}`);
      }
      if (stat.uid !== uid && stat.uid !== 0) throw new VaultError('key_unsafe', `${path} belongs to another user`);
    }
    return fd;
  } catch (cause) {
    closeSync(fd);
    throw cause;
  }
}

/** Up to `limit` bytes of a private file, or undefined where it does not exist. */
export function readPrivate(path: string, limit: number): Buffer | undefined {
  const fd = openPrivate(path);
  if (fd === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(limit);
    return bytes.subarray(0, readSync(fd, bytes, 0, limit, 0));
  } finally {
    closeSync(fd);
  }
}

function modeText(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}
