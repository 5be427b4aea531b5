// The folder of this supervisor's processes, `<data>/run`: their empty working folders, and which tenants are kept apart now.
// Not responsible for processes. Invariant: one supervisor uses it at a time (the lock of the audit trail sees to that), so what
// lies in it at a start is left over from one that was killed.
import { readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Apart } from './pool.ts';

const APART_FILE = 'apart.json';
const HOST_FOLDER = /^(?:tools|egress)-/;

/** Removes what a supervisor that was killed could not remove. */
export function sweepRunDir(runDir: string): void {
  for (const name of namesIn(runDir)) {
    try {
      if (HOST_FOLDER.test(name)) rmdirSync(join(runDir, name));
      else if (name.startsWith(APART_FILE)) rmSync(join(runDir, name), { force: true });
    } catch {
      // Somebody put something into it: it is not ours to remove.
    }
  }
}

export function writeApart(runDir: string, apart: readonly Apart[]): void {
  const path = join(runDir, APART_FILE);
  try {
    writeFileSync(`${path}.part`, JSON.stringify(apart), { mode: 0o600 });
    renameSync(`${path}.part`, path);
  } catch {
    // For people only: hosts go on without it.
  }
}

/** As last written by the supervisor of this folder; empty where there is none. */
export function readApart(runDir: string): readonly Apart[] {
  try {
    const read: unknown = JSON.parse(readFileSync(join(runDir, APART_FILE), 'utf8'));
    return Array.isArray(read) ? (read as Apart[]) : [];
  } catch {
    return [];
  }
}

function namesIn(runDir: string): string[] {
  try {
    return readdirSync(runDir);
  } catch {
    return [];
  }
}
