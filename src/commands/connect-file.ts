// Puts one entry into a client's own file.
// Not responsible for what the entry says, or for the text around it (`connect-edit`).
// Invariant: the file is replaced whole or not at all, with what it was beside it; one that is not valid, or
// changed meanwhile, is left alone.
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from './command.ts';
import { type Entry, withEntry } from './connect-edit.ts';

const LARGEST_BYTES = 67_108_864;
const PRIVATE = 0o600;

export interface FileEntry extends Entry {
  readonly file: string;
  /** It holds a token: the file is for this user alone. */
  readonly secret: boolean;
}

export type Merged = { readonly kind: 'unchanged' } | { readonly kind: 'written'; readonly backup: string | undefined };

export function mergeEntry(entry: FileEntry): Merged {
  const file = realFile(entry.file);
  const before = read(file);
  const edited = withEntry(entry, before ?? '');
  if (edited === 'same') {
    if (entry.secret) chmodSync(file, PRIVATE);
    return { kind: 'unchanged' };
  }
  if ('refused' in edited) throw new UserError(`${file} ${edited.refused}; nothing was changed`);
  const mode = before === undefined || entry.secret ? PRIVATE : statSync(file).mode & 0o777;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // It may hold tokens of others, or an older one of ours.
  const backup = before === undefined ? undefined : `${file}.leasehold-backup`;
  if (backup !== undefined) replace(backup, before ?? '', PRIVATE);
  replace(file, edited.text, mode, () => {
    if (read(file) !== before)
      throw new UserError(`${file} was changed by another program just now; nothing was written. Run it again`);
  });
  return { kind: 'written', backup };
}

/** People link such files into a folder of their own; the link stays. */
function realFile(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function read(file: string): string | undefined {
  try {
    if (statSync(file).size > LARGEST_BYTES) throw new UserError(`${file} is larger than ${LARGEST_BYTES} bytes`);
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(file));
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    const why = error instanceof TypeError ? 'it is no text' : String(code);
    throw new UserError(`${file} cannot be read (${why}); nothing was changed`);
  }
}

function replace(file: string, text: string, mode: number, check?: () => void): void {
  const fresh = `${file}.${randomUUID()}`;
  try {
    const handle = openSync(fresh, 'wx', mode);
    try {
      writeFileSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    chmodSync(fresh, mode);
    check?.();
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    if (error instanceof UserError) throw error;
    throw new UserError(`${file} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}
