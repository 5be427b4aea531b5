// Starts one host process: the flags, the empty environment, the empty folder, the pipe.
// Not responsible for what is said on the pipe (`host-process`).
// Invariant: nothing of this process reaches the child but the pipe: no environment, no flag of its own, no descriptor, no
// folder. The child may read its own code and nothing else; it has no network unless it is an egress host. A host for the trusted
// code of one tenant has the rights that it was given, and still none of the above.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import type { HostStart } from '../boundary/host-start.ts';
import type { NetSettings } from '../shared/net/net-settings.ts';
import type { PoolKind } from '../boundary/thread-messages.ts';
import { type EntryOverride, findEntry } from './entry.ts';
import { REPORT_FLAGS } from './fatal-report.ts';
import type { HostRoom } from './host-room.ts';
import type { OsWall } from './os-wall.ts';
import type { NodeRights } from './pool.ts';

/** The permission model has a network part from this version on; the flag does not exist before. */
const NET_PERMISSION_MAJOR = 25;

export interface SpawnOptions {
  readonly node: string;
  /** Major version of `node`. */
  readonly nodeMajor: number;
  /** Folder in which every host gets an empty folder of its own. */
  readonly runDir: string;
  readonly entries: EntryOverride;
  readonly osWall: OsWall;
  readonly net?: NetSettings | undefined;
  /** Tools of one trusted tenant. */
  readonly rights?: NodeRights | undefined;
}

export interface SpawnedHost {
  readonly child: ChildProcess;
  readonly pipe: Duplex;
  readonly errors: Readable;
  /** Where it says why V8 ended it; not of trusted code, which is alone in its host and may write to it. */
  readonly reports: Readable | undefined;
  readonly cwd: string;
}

function permissions(kind: PoolKind, { nodeMajor, rights }: SpawnOptions, reads: readonly string[]): string[] {
  const flags = ['--permission', ...[...reads, ...(rights?.reads ?? [])].map((path) => `--allow-fs-read=${path}`)];
  if (rights !== undefined) flags.push('--allow-addons');
  // That network permissions are experimental is known, and no news to an operator.
  if (needsNetwork(kind, rights) && nodeMajor >= NET_PERMISSION_MAJOR)
    flags.push('--allow-net', '--disable-warning=ExperimentalWarning');
  return flags;
}

function needsNetwork(kind: PoolKind, rights: NodeRights | undefined): boolean {
  return kind === 'egress' || rights !== undefined;
}

export function spawnHost(kind: PoolKind, options: SpawnOptions, room: HostRoom): SpawnedHost {
  const entry = findEntry(kind, options.entries);
  mkdirSync(options.runDir, { recursive: true, mode: 0o700 });
  const cwd = mkdtempSync(join(options.runDir, `${kind}-`));
  const start: HostStart = {
    kind,
    threadEntry: entry.threadEntry,
    threadExecArgv: permissions(kind, options, entry.threadReads),
    ...(kind === 'egress' && options.net !== undefined ? { net: options.net } : {}),
    ...(options.rights === undefined ? {} : { modules: options.rights.modules }),
  };
  const args = [
    ...permissions(kind, options, entry.hostReads),
    // For the main thread, which runs only our code; the threads' own flags leave it out.
    '--allow-worker',
    // Node would hand out freed memory as it is, and a thread of another tenant may have freed it.
    '--zero-fill-buffers',
    '--disable-warning=PERM0006',
    ...(options.rights === undefined ? REPORT_FLAGS : []),
    entry.hostEntry,
    JSON.stringify(start),
  ];
  try {
    const [program = options.node, ...rest] = [
      ...options.osWall.command({ network: needsNetwork(kind, options.rights), room }),
      options.node,
      ...args,
    ];
    const child = spawn(program, rest, {
      cwd,
      env: {},
      stdio: ['ignore', options.rights === undefined ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    return { child, pipe: child.stdio[3] as Duplex, errors: child.stderr as Readable, reports: child.stdout ?? undefined, cwd };
  } catch (error) {
    rmSync(cwd, { recursive: true, force: true });
    throw error;
  }
}
