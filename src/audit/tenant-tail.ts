// Where a tenant's file ends: the head of its chain, read from its last line.
// Not responsible for the lines before it (`verify`) or for lines that only the journal has (`recover`).
// Invariant: a file that does not end in a whole record is refused, never continued and never cut.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { FIRST_PREV, type Head, hashLine } from './chain.ts';
import { LINE_BYTES } from './encode.ts';
import { AuditUnavailable } from './unavailable.ts';

export const EMPTY_HEAD: Head = { seq: 0, prev: FIRST_PREV, size: 0 };

function lastLine(path: string): { line: string; size: number } | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new AuditUnavailable(`${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
  try {
    const { size } = fstatSync(fd);
    if (size === 0) return undefined;
    const bytes = Buffer.allocUnsafe(Math.min(size, LINE_BYTES + 2));
    const read = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    const text = bytes.toString('latin1', 0, read);
    if (!text.endsWith('\n')) throw new AuditUnavailable(`${path} ends in a torn line; verify it and move it away`);
    return { line: text.slice(text.lastIndexOf('\n', text.length - 2) + 1, -1), size };
  } finally {
    closeSync(fd);
  }
}

/** Synchronous: it runs once per tenant and process, on one block of one file. Throws `AuditUnavailable`. */
export function readHead(path: string): Head {
  const last = lastLine(path);
  if (last === undefined) return EMPTY_HEAD;
  const seq = seqOf(last.line);
  if (seq === undefined) throw new AuditUnavailable(`${path} ends in a line that is no record; verify it and move it away`);
  return { seq, prev: hashLine(last.line), size: last.size };
}

/** The `seq` of a record's line. */
export function seqOf(line: string): number | undefined {
  const seq = /^\{"v":1,"seq":(\d{1,15}),"prev":"[0-9a-f]{64}",.*\}$/.exec(line)?.[1];
  return seq === undefined ? undefined : Number(seq);
}
