// A service manager for tests: this machine's own where it gives limits to scopes, else a real systemd in namespaces.
// Not responsible for what is run under it. Invariant: it can write to the given folder and nothing else of this machine.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { cgroupMissing } from '../../src/hosts/cgroup-wall.ts';
import { thisMachine } from '../../src/hosts/machine.ts';

const SCRIPT = fileURLToPath(new URL('../fixtures/systemd-world.sh', import.meta.url));

/** A command that runs what follows it under systemd; or why there is none. `folder` is at its place there, and writable. */
export async function systemdWorld(t: Test, folder: string): Promise<{ within: [string, ...string[]] } | { missing: string }> {
  if (process.platform !== 'linux') return { missing: `${process.platform} has none` };
  const missing = cgroupMissing(thisMachine());
  if (missing === undefined) return { within: ['/usr/bin/env'] };
  if (thisMachine().systemd) return { missing: missing.reason };
  const child = spawn(SCRIPT, [folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('close', resolve));
  t.teardown(async () => {
    child.stdin.end();
    await ended;
  });
  const { value = 'skip the script ended' } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  const [state, ...rest] = (value as string).split(' ');
  if (state !== 'ready') return { missing: rest.join(' ') };
  return { within: ['nsenter', '--target', rest[0] as string, '--mount', '--pid', '--cgroup', '--'] };
}

/** What the kernel holds a process to, seen from here, by the cgroup that it is in. Version 1 and 2. */
export function cgroupOf(pid: number): {
  readonly unit: string;
  readonly memoryBytes: number;
  readonly usedBytes: number;
  readonly tasks: number;
} {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  const paths = new Map(lines.map((line) => line.split(':').slice(1) as [string, string]));
  const number = (controller: string, ...files: string[]) => {
    const path = paths.get(controller);
    const folder = path === undefined ? `/sys/fs/cgroup${paths.get('')}` : `/sys/fs/cgroup/${controller}${path}`;
    const file = files.map((name) => `${folder}/${name}`).find((name) => existsSync(name));
    return file === undefined ? Number.NaN : Number(readFileSync(file, 'utf8'));
  };
  return {
    unit: (paths.get('pids') ?? paths.get('') ?? '').split('/').slice(-2).join('/'),
    memoryBytes: number('memory', 'memory.max', 'memory.limit_in_bytes'),
    usedBytes: number('memory', 'memory.current', 'memory.usage_in_bytes'),
    tasks: number('pids', 'pids.max'),
  };
}
