// A master key in a file: one line, mode 0600.
// Not responsible for when one is made (`master-key`).
// Invariant: a file that others can read, a link, or an odd text refuses the start; what was written is on the disk.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { readPrivate } from '../private-file.ts';
import { VaultError } from '../vault-error.ts';
import type { KeyPlace, Which } from './key-place.ts';
import { keyText, parseKey } from './key-text.ts';

/** Longer than any good key file, so that a longer one is seen to be one. */
const READ = 64;

export function keyFile(path: string): KeyPlace {
  const at = (which: Which): string => (which === 'current' ? path : `${path}.next`);
  return {
    where: `the key file ${path}`,
    absence: `there is no key at ${path}, but a vault that needs it`,
    read(which) {
      const bytes = readPrivate(at(which), READ);
      if (bytes === undefined) return undefined;
      try {
        return parseKey(bytes.toString('latin1'), at(which));
      } finally {
        bytes.fill(0);
      }
    },
    write(which, key) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      // What an interrupted change has left was never used.
      if (which === 'next') rmSync(at(which), { force: true });
      writeNew(at(which), `${keyText(key)}\n`);
    },
    promote() {
      renameSync(at('next'), path);
      syncFolder(dirname(path));
    },
  };
}

function writeNew(path: string, text: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new VaultError('key_missing', `no key could be made at ${path} (${code})`, { cause });
  }
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  syncFolder(dirname(path));
}

function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
