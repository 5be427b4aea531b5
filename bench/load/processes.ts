// What a process and its descendants used: CPU time and resident memory, read from Linux' /proc.
// Not responsible for other systems: the benchmark says so and ends.
// Invariant: a tree's CPU time never runs backwards, since what ended children used is kept by their parents.
import { readdirSync, readFileSync } from 'node:fs';

/** `utime` and `stime` are in clock ticks, which Linux fixes at 100 a second for user space. */
const US_PER_TICK = 10_000;

interface Stat {
  readonly parent: number;
  readonly ownTicks: number;
  readonly reapedTicks: number;
}

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command name may hold anything, so count from its closing bracket: field 3 (state) is the first.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const at = (field: number) => fields[field - 3] as number;
  return { parent: at(4), ownTicks: at(14) + at(15), reapedTicks: at(16) + at(17) };
}

/** The process and all its descendants. */
export function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = statOf(Number(name))?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (const one of tree) tree.push(...(children.get(one) ?? []));
  return tree;
}

export interface CpuTime {
  readonly mainUs: number;
  readonly treeUs: number;
}

export function cpuTime(pid: number): CpuTime {
  let tree = 0;
  for (const one of treeOf(pid)) {
    const stat = statOf(one);
    if (stat) tree += stat.ownTicks + stat.reapedTicks;
  }
  return { mainUs: (statOf(pid)?.ownTicks ?? 0) * US_PER_TICK, treeUs: tree * US_PER_TICK };
}

/** Proportional set size of one process, in bytes: shared pages are counted once over all who share them. */
export function memoryBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(/^Pss: +(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}
