// The machine as the walls see it: where its programs lie, and whether one of them does its work here.
// Not responsible for what is run (`os-wall`, `cgroup-wall`); tests take parts of a machine away, or put others in their place.
// Invariant: nothing that is tried takes longer than `PROBE_MS`, whatever it does.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly isRoot: boolean;
  readonly node: string;
  /** systemd is its service manager (sd_booted(3)). */
  readonly systemd: boolean;
  /** Where the user's own service manager listens (XDG_RUNTIME_DIR). */
  readonly userRuntimeDir: string;
  /** Full path. */
  readonly find: (program: string) => string | undefined;
  /** Whether the command ends with exit code 0, and in time. */
  readonly works: (command: readonly string[]) => boolean;
}

const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
const PROBE_MS = 10_000;

export function thisMachine(node: string = process.execPath, probeMs = PROBE_MS): Machine {
  const uid = process.getuid?.() ?? -1;
  return {
    platform: process.platform,
    isRoot: uid === 0,
    node,
    systemd: existsSync('/run/systemd/system'),
    userRuntimeDir: process.env['XDG_RUNTIME_DIR'] ?? `/run/user/${uid}`,
    find: (program) => FOLDERS.map((folder) => join(folder, program)).find((path) => existsSync(path)),
    // A service manager that hangs may leave its client deaf to SIGTERM.
    works: ([program = '', ...args]) =>
      spawnSync(program, args, { env: {}, stdio: 'ignore', timeout: probeMs, killSignal: 'SIGKILL', cwd: '/' }).status === 0,
  };
}
