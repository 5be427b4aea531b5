// Runs the real CLI in processes of their own, for a user of its own.
// Not responsible for what commands do. Invariant: nothing of this machine's user is read or written, and what was started is ended.
import './bare-children.ts';
import { type ChildProcess, type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { Test } from 'tap';

export const root = fileURLToPath(new URL('../..', import.meta.url));
/** As a test's own imports lead: the sources, or what was built of them. */
export const cli = fileURLToPath(import.meta.resolve('../../src/cli.ts'));
const run = promisify(execFile);

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; a non-zero exit code is a result here, not an error. */
export async function program(
  file: string,
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<Ended> {
  const env = { ...process.env, NO_COLOR: '1', ...options.env };
  try {
    const { stdout, stderr } = await run(file, args, { ...options, env, timeout: 60_000, maxBuffer: 64 * 1_048_576 });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    if (typeof code !== 'number') throw error;
    return { code, stdout, stderr };
  }
}
export const leasehold = (args: readonly string[], options?: Parameters<typeof program>[2]) =>
  program(process.execPath, [cli, ...args], options);

export interface Ready {
  readonly url: string;
  readonly tenants: { id: string; endpoint: string; token?: string }[];
}
export interface Serving {
  readonly child: ChildProcess;
  readonly ready: Ready;
  readonly exit: Promise<number | null>;
  readonly stderr: () => string;
}

/** Folders of a user of his own, so that no server and no demo of this machine is met. */
export function ownUser(t: Test): Record<string, string> {
  const dir = t.testdir({ home: {} });
  return { HOME: join(dir, 'home'), XDG_DATA_HOME: join(dir, 'data'), XDG_STATE_HOME: join(dir, 'state'), NO_COLOR: '1' };
}

/** Starts a serving command with `--json` and waits until it says that it is ready. Ended at the end of the test. */
export async function serving(t: Test, args: readonly string[], env: Record<string, string>): Promise<Serving> {
  return served(t, spawn(process.execPath, [cli, ...args, '--json'], { env: { ...process.env, ...env }, stdio: STDIO }));
}

/** The same inside of another program: `within` runs what follows it. It and all that it starts is a process group. */
export async function servingWithin(
  t: Test,
  within: readonly [string, ...string[]],
  args: readonly string[],
  env: Record<string, string>,
): Promise<Serving> {
  const [file, ...before] = within;
  const command = [...before, process.execPath, cli, ...args, '--json'];
  return served(t, spawn(file, command, { env: { ...process.env, ...env }, stdio: STDIO, detached: true }));
}
const STDIO = ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'];

async function served(t: Test, child: ChildProcessByStdio<null, Readable, Readable>): Promise<Serving> {
  const exit = new Promise<number | null>((resolve) => child.on('exit', resolve));
  t.teardown(async () => {
    endGroup(child.pid as number);
    child.kill('SIGKILL');
    await exit;
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const { value } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  if (value === undefined) throw new Error(`it ended without being ready: ${stderr}`);
  return { child, ready: JSON.parse(value) as Ready, exit, stderr: () => stderr };
}

/** Where the process leads a group of its own. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It leads none, or is gone.
  }
}

/** Polls a condition of another process; its deadline is wide, its success ends it. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not happen within a minute');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
