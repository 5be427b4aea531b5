// Whether a file is still what it was: by stat where that is enough, by content where it is not.
// Not responsible for which files matter. Invariant: says "same" of other content only if the file system lies about ctime.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { BundleInput } from '../../boundary/bundling.ts';

/** A file changed this shortly before it was recorded may have changed again within one tick of its clock. */
const RACY_MS = 2000;

export function fingerprint(path: string): BundleInput {
  const { size, mtimeMs, ctimeMs } = statSync(path);
  return { path, size, mtimeMs, ctimeMs, sha256: sha256(readFileSync(path)) };
}

/** `recordedAt`: epoch milliseconds of the recording. */
export function unchanged(was: BundleInput, recordedAt: number): boolean {
  const stat = statSync(was.path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || stat.size !== was.size) return false;
  const settled = recordedAt - Math.max(was.mtimeMs, was.ctimeMs) > RACY_MS;
  if (settled && stat.mtimeMs === was.mtimeMs && stat.ctimeMs === was.ctimeMs) return true;
  return sha256(readFileSync(was.path)) === was.sha256;
}

export function stillAbsent(path: string): boolean {
  return !existsSync(path);
}

export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}
