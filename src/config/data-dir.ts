// The data folder: made private at the first use, and refused where others could write to it.
// Not responsible for what is in it. Invariant: 0700, and a .gitignore in it keeps it out of any repository.
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from '../shared/problem.ts';

/** Makes the folder (absolute path) where it is missing. Undefined where all is well. */
export function prepareDataDir(dataDir: string): Problem | undefined {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const stat = statSync(dataDir);
    if (process.getuid !== undefined && stat.uid !== process.getuid()) {
      return { file: dataDir, reason: 'the data folder belongs to another user' };
    }
    if ((stat.mode & 0o077) !== 0) chmodSync(dataDir, 0o700);
    const ignore = join(dataDir, '.gitignore');
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
    return undefined;
  } catch (error) {
    return { file: dataDir, reason: `the data folder cannot be used (${(error as NodeJS.ErrnoException).code ?? 'unknown'})` };
  }
}
