// What one host may take of the machine: memory, tasks, and its weight where CPU is short; from what its tenants are allowed.
// Not responsible for enforcing it (`cgroup-wall`, `os-wall`) or for the limits of threads, which are met long before.
// Invariant: a host of one tenant has room for all that the tenant's limits allow, twice: a changed toolset starts beside the old.
import { totalmem } from 'node:os';
import { HARD_HEAP_FACTOR, type PoolLimits } from '../boundary/frames.ts';

export interface HostRoom {
  readonly memoryBytes: number;
  /** Processes and threads of the kernel. */
  readonly tasks: number;
  /** As CPUWeight= of systemd.resource-control(5): 1 to 10,000, of all hosts together. */
  readonly cpuWeight: number;
}

const MIB = 1_048_576;
/** Against hosts that eat the machine: half of it, at least what a few tenants need. In whole pages. */
export const MOST_BYTES = Math.max(4096, Math.floor(totalmem() / 2 / MIB)) * MIB;
/** Tenants come to a shared host and leave it while it runs. It counts as ten tenants of the default weight. */
export const SHARED_ROOM: HostRoom = { memoryBytes: MOST_BYTES, tasks: 4096, cpuWeight: 1000 };

const WEIGHT = 100;
const MAX_WEIGHT = 10_000;
/** Node and its main thread, and what native packages start. */
const BASE_MB = 512;
const BASE_TASKS = 256;
/** Of a thread beyond its heap and buffers: stacks and compiled code. */
const THREAD_MB = 96;
/** Buffers may pass their limit by as much before the thread is seen to have passed it. */
const OFF_HEAP_FACTOR = 2;
/** A pool that has no limit of its own for buffers: an egress thread, which holds responses. */
const OFF_HEAP_MB = 512;

/** Of a host for one tenant, whose pool has these limits. `weight`: its share of the server, 1 to 100. */
export function roomFor({ threads, heapMb, offHeapMb = OFF_HEAP_MB }: PoolLimits, weight: number): HostRoom {
  const threadMb = heapMb * HARD_HEAP_FACTOR + offHeapMb * OFF_HEAP_FACTOR + THREAD_MB;
  // One more than the limit is made ready ahead where every call has a thread of its own.
  const all = 2 * (threads + 1);
  return {
    memoryBytes: Math.min(MOST_BYTES, (BASE_MB + all * threadMb) * MIB),
    tasks: BASE_TASKS + all,
    cpuWeight: Math.min(MAX_WEIGHT, WEIGHT * weight),
  };
}

/** Whether a host with room `has` can take a pool that needs `needs`. */
export function hasRoom(has: HostRoom, needs: HostRoom): boolean {
  return needs.memoryBytes <= has.memoryBytes && needs.tasks <= has.tasks;
}
