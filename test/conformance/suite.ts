// Runs the official suite, one set of requirements at a time, and reads what it found.
// Not responsible for judging: its exit code and its checks are the verdict, the expected failures included (a stale one fails).
// Invariant: the suite is the installed, exactly pinned package; nothing of it is replaced.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { program, root } from '../helpers/cli.ts';

export const REVISIONS = ['2025-11-25', '2026-07-28'] as const;
export type Revision = (typeof REVISIONS)[number];

export interface Scenario {
  readonly name: string;
  readonly passed: number;
  readonly failed: readonly string[];
  readonly warnings: readonly string[];
  /** Whether the revision requires it. */
  readonly scored: boolean;
}

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

const PACKAGE = join(root, 'node_modules', '@modelcontextprotocol', 'conformance');
export const SUITE = join(PACKAGE, 'dist', 'index.js');
const EXPECTED = fileURLToPath(new URL('expected-failures.yml', import.meta.url));
const FOLDER = /^(?:authorization-)?server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/;

export async function runSuite(
  url: string,
  revision: Revision,
): Promise<{ code: number; scenarios: Scenario[]; output: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-conformance-'));
  try {
    const args = ['server', '--url', url, '--requirements', revision, '--expected-failures', EXPECTED, '-o', folder];
    const { code, stderr, stdout } = await program(process.execPath, [SUITE, ...args]);
    return { code, scenarios: readScenarios(folder, requiredBy(revision)), output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a run of the suite left in its folder. */
export function readScenarios(folder: string, required: ReadonlySet<string> = new Set()): Scenario[] {
  return readdirSync(folder).flatMap((name) => {
    const scenario = FOLDER.exec(name)?.[1];
    return scenario === undefined ? [] : [read(scenario, join(folder, name), required.has(scenario))];
  });
}

/** The list `server:` of the suite's own file. */
function requiredBy(revision: Revision): ReadonlySet<string> {
  const text = readFileSync(join(PACKAGE, 'requirements', `${revision}.yaml`), 'utf8');
  const list = /^server:\n((?: {2}- \S+\n)+)/m.exec(text)?.[1] ?? '';
  return new Set([...list.matchAll(/- (\S+)/g)].map(([, name]) => name as string));
}

function read(name: string, folder: string, scored: boolean): Scenario {
  const checks = JSON.parse(readFileSync(join(folder, 'checks.json'), 'utf8')) as Check[];
  const of = (status: string): string[] =>
    checks.filter((check) => check.status === status).map(({ id, errorMessage }) => `${id}: ${errorMessage ?? ''}`);
  return { name, passed: of('SUCCESS').length, failed: of('FAILURE'), warnings: of('WARNING'), scored };
}
