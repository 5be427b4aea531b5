// A cgroup for every host, by systemd-run(1): a transient scope with a cap on memory and tasks, and a weight for CPU.
// Not responsible for what a host may take (`host-room`) or for the other walls (`os-wall`).
// Invariant: in a scope the host stays a child of this process, with its pipes; where the scope is not made, there is no host.
import { randomBytes } from 'node:crypto';
import type { HostRoom } from './host-room.ts';
import type { Machine } from './machine.ts';

/** All hosts of this machine: `systemctl set-property leasehold.slice MemoryMax=…` caps them together. */
const SLICE = 'leasehold.slice';
const PROBE: HostRoom = { memoryBytes: 67_108_864, tasks: 16, cpuWeight: 100 };
/**
 * A service manager without the controllers takes the properties and enforces none, so the kernel is asked. cgroup 2, or one
 * hierarchy for each controller (cgroups(7)); the path of `/proc/self/cgroup` may hold colons.
 */
const CAPPED = `while IFS=: read -r _ controllers path; do
  case ",$controllers," in
    ,,) cat "/sys/fs/cgroup$path/memory.max" "/sys/fs/cgroup$path/pids.max" ;;
    *,memory,*) cat "/sys/fs/cgroup/memory$path/memory.limit_in_bytes" ;;
    *,pids,*) cat "/sys/fs/cgroup/pids$path/pids.max" ;;
  esac
done </proc/self/cgroup 2>/dev/null | sort -n | tr '\\n' ' ' | grep -qx '${PROBE.tasks} ${PROBE.memoryBytes} '`;

/** Programs and arguments before those of the host. Full paths: it has no environment, and gets none from systemd. */
export function scopeCommand({ isRoot, find, userRuntimeDir }: Machine, room: HostRoom): readonly string[] {
  const program = (name: string) => find(name) ?? name;
  const properties = {
    MemoryMax: room.memoryBytes,
    MemorySwapMax: 0,
    TasksMax: room.tasks,
    CPUWeight: room.cpuWeight,
  };
  return [
    ...(isRoot ? [] : [program('env'), `XDG_RUNTIME_DIR=${userRuntimeDir}`]),
    program('systemd-run'),
    ...(isRoot ? [] : ['--user']),
    '--scope',
    '--quiet',
    '--collect',
    `--slice=${SLICE}`,
    `--unit=leasehold-host-${randomBytes(8).toString('hex')}`,
    ...Object.entries(properties).map(([name, value]) => `--property=${name}=${value}`),
    '--',
    program('env'),
    '-i',
  ];
}

/** Why hosts can have no cgroup here, and what to do; undefined where they can. */
export function cgroupMissing(machine: Machine): { readonly reason: string; readonly todo: string } | undefined {
  const { systemd, isRoot, find, works } = machine;
  if (!systemd) {
    return {
      reason: 'systemd does not run this machine',
      todo: 'run the server on one where it does; in a container, give the container a limit on memory and use "auto"',
    };
  }
  if (find('systemd-run') === undefined) return { reason: 'there is no systemd-run', todo: 'install systemd' };
  const scope = scopeCommand(machine, PROBE);
  if (!works([...scope, '/bin/true'])) {
    return {
      reason: 'systemd-run is refused, or does not answer',
      todo: isRoot ? 'see what systemctl status says' : 'loginctl enable-linger for the user of the server, or start it as root',
    };
  }
  if (works([...scopeCommand(machine, PROBE), '/bin/sh', '-c', CAPPED])) return undefined;
  return {
    reason: 'systemd sets no limits on memory and tasks here',
    todo: isRoot
      ? 'switch on the controllers memory and pids of the kernel'
      : 'delegate memory and pids to the user (Delegate= of user@.service)',
  };
}
