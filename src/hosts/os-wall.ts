// The operating system around host processes (Linux): which of its walls this machine allows, and the command that puts them up.
// Not responsible for starting hosts (`spawn-host`) or for Node's own permissions.
// Invariant: closed by construction: every wall is a program that runs before Node in the same process, so a wall that cannot be
// put up leaves no host behind it.
import type { PoolKind } from '../boundary/thread-messages.ts';
import { cgroupMissing, scopeCommand } from './cgroup-wall.ts';
import { findEntry } from './entry.ts';
import { type HostRoom, MOST_BYTES } from './host-room.ts';
import { type Machine, thisMachine } from './machine.ts';

export type OsWallMode = 'off' | 'auto' | 'required';

/** One wall, as `doctor` and the log show it. */
export interface Wall {
  readonly name: 'privileges' | 'user' | 'network' | 'memory' | 'cgroup';
  readonly does: string;
  /** Undefined: it stands. Else why it does not, and what to do. */
  readonly missing?: { readonly reason: string; readonly todo: string };
}

/** What a host needs inside of the walls. */
export interface Needs {
  /** Egress hosts, and tools that run with Node's own rights. */
  readonly network: boolean;
  readonly room: HostRoom;
}

export interface OsWall {
  readonly mode: OsWallMode;
  readonly walls: readonly Wall[];
  /** Programs and arguments to put before Node and its arguments; the next host has another user. Empty: no wall. */
  command(needs: Needs): readonly string[];
}

/** `osWall` is `required`, and this machine does not allow one of the walls. */
export class OsWallMissing extends Error {
  readonly code = 'os_wall_missing';
  constructor(walls: readonly Wall[]) {
    const missing = walls.flatMap(({ name, missing }) =>
      missing === undefined ? [] : [`${name}: ${missing.reason}; ${missing.todo}`],
    );
    super(`osWall is "required", and this machine does not allow it: ${missing.join(' · ')}`);
    this.name = 'OsWallMissing';
  }
}

/** Numbers that systemd gives to services of no user of their own; nobody logs in with them. */
const FIRST_USER = 61_184;
const USERS = 4336;
const DESCRIPTORS = 4096;

const DOES: { readonly [name in Wall['name']]: string } = {
  privileges: 'no new privileges, no capabilities',
  user: 'a user of its own for every host: no signals to others, none of their files',
  network: 'no network in tools hosts, on every Node version',
  // Node reserves 0.65 GiB of it, a thread 0.08: a tenant's limits are met long before.
  memory: `data of a host at most ${Math.round(MOST_BYTES / 1024 ** 3)} GiB, ${DESCRIPTORS} descriptors, no core dumps`,
  cgroup: 'a cgroup for every host: memory, tasks and CPU weight by what its tenants are allowed',
};
const INSTALL = 'install util-linux';

/** Tries each wall once. @throws OsWallMissing where `required` cannot be had. */
export function findOsWall(mode: OsWallMode, machine: Machine = thisMachine(), dataBytes = MOST_BYTES): OsWall {
  if (mode === 'off') return { mode, walls: [], command: () => [] };
  const parts = partsOf(machine, dataBytes);
  const walls = (Object.keys(DOES) as Wall['name'][]).map((name): Wall => {
    const missing = missingIn(name, machine, parts);
    return missing === undefined ? { name, does: DOES[name] } : { name, does: DOES[name], missing };
  });
  if (mode === 'required' && walls.some(({ missing }) => missing !== undefined)) throw new OsWallMissing(walls);
  const standing = new Set(walls.filter(({ missing }) => missing === undefined).map(({ name }) => name));
  let next = 0;
  return {
    mode,
    walls,
    command({ network, room }) {
      const user = FIRST_USER + (next % USERS);
      next += 1;
      // The scope first: afterwards nobody may ask systemd for one.
      return [
        ...(standing.has('cgroup') ? scopeCommand(machine, room) : []),
        ...(standing.has('memory') ? parts.memory : []),
        ...(standing.has('network') && !network ? parts.network : []),
        ...(standing.has('user') ? parts.user(user) : standing.has('privileges') ? parts.privileges : []),
      ];
    },
  };
}

interface Parts {
  readonly memory: readonly string[];
  readonly network: readonly string[];
  readonly privileges: readonly string[];
  user(id: number): readonly string[];
}

/** Full paths, since the host has no environment and so no PATH. */
function partsOf({ find, isRoot }: Machine, dataBytes: number): Parts {
  const program = (name: string) => find(name) ?? name;
  const setpriv = [program('setpriv'), '--no-new-privs', '--inh-caps=-all', ...(isRoot ? ['--bounding-set=-all'] : [])];
  return {
    memory: [program('prlimit'), `--data=${dataBytes}`, `--nofile=${DESCRIPTORS}`, '--core=0', '--'],
    // Without root, a user namespace is what allows a network of its own.
    network: [program('unshare'), ...(isRoot ? [] : ['--user']), '--net', '--ipc', '--'],
    privileges: [...setpriv, '--'],
    user: (id) => [...setpriv, `--reuid=${id}`, `--regid=${id}`, '--clear-groups', '--'],
  };
}

function missingIn(name: Wall['name'], machine: Machine, parts: Parts): Wall['missing'] {
  const { platform, isRoot, find, works, node } = machine;
  if (platform !== 'linux') return { reason: `${platform} has none`, todo: 'run on Linux, or switch osWall off' };
  if (name === 'cgroup') return cgroupMissing(machine);
  const [tool, command] = {
    privileges: ['setpriv', parts.privileges] as const,
    user: ['setpriv', parts.user(FIRST_USER)] as const,
    network: ['unshare', parts.network] as const,
    memory: ['prlimit', parts.memory] as const,
  }[name];
  if (find(tool) === undefined) return { reason: `there is no ${tool}`, todo: INSTALL };
  if (name === 'user') {
    if (!isRoot)
      return { reason: 'the server is not root', todo: 'start it as root (hosts then are not), or in a container of its own' };
    if (!works([...command, '/bin/true']))
      return { reason: 'users cannot be changed here', todo: 'give the container CAP_SETUID and CAP_SETGID' };
    if (!canRead(machine, command))
      return {
        reason: `other users cannot read ${node} or Leasehold itself`,
        todo: 'install both where everybody may read, such as /usr/local',
      };
    return undefined;
  }
  if (works([...command, '/bin/true'])) return undefined;
  if (name !== 'network') return { reason: `${tool} is refused`, todo: 'look at the limits of the service or container' };
  return {
    reason: 'network namespaces are refused',
    todo: isRoot ? 'give the container CAP_SYS_ADMIN' : 'allow unprivileged user namespaces',
  };
}

/** Whether a host of another user could start at all. */
function canRead({ works, node }: Machine, command: readonly string[]): boolean {
  const entries = (['tools', 'egress'] satisfies PoolKind[]).flatMap((kind) => findEntry(kind).hostReads);
  const look = `for (const path of ${JSON.stringify(entries)}) require('node:fs').accessSync(path)`;
  return works([...command, node, '-e', look]);
}
