// One writer per audit folder: an operating-system lock, and a note that says who holds it.
// Not responsible for what is written under it.
// Invariant: the lock ends with its process, however that ends, so no stale lock exists (a pid alone cannot tell: after a
// container restart the new process often has the old one's number). The note is for humans and decides nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AuditRefused } from './unavailable.ts';

interface Owner {
  readonly pid: number;
  readonly supervisor: string;
}

function ownerOf(path: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

/** Throws `AuditRefused` where another process, or another log of this one, writes into `folder`. */
export function lockFolder(folder: string, supervisor: string): { release: () => void } {
  const note = join(folder, 'owner.json');
  // SQLite's exclusive lock is an fcntl lock (LockFileEx on Windows) that also holds between two users in one process.
  const db = new DatabaseSync(join(folder, 'lock.db'));
  try {
    db.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    db.close();
    const owner = ownerOf(note);
    const who = owner === undefined ? 'another process' : `pid ${owner.pid} (supervisor ${owner.supervisor})`;
    throw new AuditRefused(`${folder} is in use by ${who}; stop it, or give this one another dataDir`, { cause });
  }
  writeFileSync(note, `${JSON.stringify({ pid: process.pid, supervisor })}\n`, { mode: 0o600 });
  return { release: () => db.close() };
}
