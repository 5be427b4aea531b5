// Runs the estate's own TypeScript compiler over it, where it has one: bundling strips types and finds none of their errors.
// Not responsible for which version that is. Invariant: runs nothing but the `tsc` of the estate's node_modules.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from '../shared/problem.ts';

const DEADLINE_MS = 180_000;
const OUTPUT_BYTES = 4 * 1024 * 1024;
const MOST = 100;

/** Undefined where the estate has no compiler or no tsconfig.json. */
export async function checkTypes(estate: string): Promise<readonly Problem[] | undefined> {
  const tsc = join(estate, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc) || !existsSync(join(estate, 'tsconfig.json'))) return undefined;
  const { failed, output } = await run(tsc, estate);
  const problems = parse(output);
  if (failed && problems.length === 0) return [{ file: 'tsconfig.json', reason: `tsc failed: ${output.trim().slice(0, 500)}` }];
  return problems;
}

function run(tsc: string, cwd: string): Promise<{ failed: boolean; output: string }> {
  return new Promise((resolve) => {
    const args = [tsc, '--noEmit', '--pretty', 'false', '--project', cwd];
    execFile(process.execPath, args, { cwd, timeout: DEADLINE_MS, maxBuffer: OUTPUT_BYTES }, (error, stdout, stderr) => {
      resolve({ failed: error !== null, output: stdout === '' ? stderr : stdout });
    });
  });
}

/** `tenants/acme/tools/x.ts(3,7): error TS2322: Type …` */
function parse(output: string): Problem[] {
  const problems: Problem[] = [];
  for (const line of output.split('\n')) {
    const [, file, row, column, text] = /^([^(\n]+)\((\d+),(\d+)\): error (TS\d+: .*)$/.exec(line) ?? [];
    if (file === undefined || text === undefined || problems.length >= MOST) continue;
    problems.push({ file: file.replaceAll('\\', '/'), line: Number(row), column: Number(column), reason: text });
  }
  return problems;
}
