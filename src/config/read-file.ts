// Reads one file of an estate: a regular file, of bounded size, whose real path lies in the folder it is said to be in.
// Not responsible for its content. Invariant: a link that leads out of the folder is refused, whatever it points to.
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';

export const CONFIG_BYTES = 1_048_576;

export type FileRead =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly missing: boolean; readonly reason: string };

/** `folder` must be a real path. Reads synchronously: config files are small, and thousands are read at start. */
export function readInside(folder: string, name: string, maxBytes: number = CONFIG_BYTES): FileRead {
  const path = join(folder, name);
  try {
    // Before opening: a FIFO would block until somebody writes to it.
    if (!statSync(path).isFile()) return refused('is not a regular file');
    const real = realpathSync.native(path);
    if (!real.startsWith(folder + sep)) return refused('is a symbolic link that leads out of its folder');
    const fd = openSync(real, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      if (fstatSync(fd).size > maxBytes) return refused(`is larger than ${maxBytes} bytes`);
      return { ok: true, text: readFileSync(fd, 'utf8') };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      ok: false,
      missing: code === 'ENOENT',
      reason: code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? 'unknown'})`,
    };
  }
}

function refused(reason: string): FileRead {
  return { ok: false, missing: false, reason };
}
