// The master key, from a key file: 32 bytes as one line of base64url, mode 0600.
// Not responsible for what it wraps (`seal`) or for telling whether it fits a vault (`database` holds a check value).
// Invariant: a key is made only where no vault exists yet; a key that is unsafe, odd or missing refuses the start.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { readPrivate } from './private-file.ts';
import { VaultError } from './vault-error.ts';

export const MASTER_KEY_BYTES = 32;
const TEXT = /^([A-Za-z0-9_-]{43})\r?\n?$/;
/** Longer than any good key file, so that a longer one is seen to be one. */
const READ = 64;

export interface MasterKeySource {
  readonly source: 'file';
  readonly path: string;
}
export interface LoadedMasterKey {
  readonly key: Uint8Array;
  /** It was made just now: say so, it must be backed up. */
  readonly created: boolean;
}

/** Throws a `VaultError` (`key_missing`, `key_unsafe`, `key_invalid`), one line each. */
export function loadMasterKey(from: MasterKeySource, vaultExists: boolean): LoadedMasterKey {
  const found = read(from.path);
  if (found !== undefined) return { key: found, created: false };
  if (vaultExists) {
    throw new VaultError(
      'key_missing',
      `there is no key at ${from.path}, but a vault that needs it; nothing was created or changed`,
    );
  }
  return create(from.path);
}

function read(path: string): Uint8Array | undefined {
  const bytes = readPrivate(path, READ);
  if (bytes === undefined) return undefined;
  const text = TEXT.exec(bytes.toString('latin1'))?.[1];
  const key = text === undefined ? undefined : Buffer.from(text, 'base64url');
  bytes.fill(0);
  // 43 characters carry two bits more than 32 bytes: another spelling of the same key is a damaged one.
  if (key?.length !== MASTER_KEY_BYTES || key.toString('base64url') !== text) {
    throw new VaultError('key_invalid', `${path} does not hold a key (32 bytes as 43 characters of base64url)`);
  }
  return key;
}

function create(path: string): LoadedMasterKey {
  const key = randomBytes(MASTER_KEY_BYTES);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
  } catch (cause) {
    // Another process was faster: its key is the key.
    const found = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? read(path) : undefined;
    if (found !== undefined) return { key: found, created: false };
    throw new VaultError('key_missing', `no key could be made at ${path} (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
  try {
    writeSync(fd, `${key.toString('base64url')}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  syncFolder(dirname(path));
  return { key, created: true };
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
