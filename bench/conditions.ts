// Under what conditions figures were taken: machine, runtime, commit, load of the machine, and the run's own sizes.
// Not responsible for judging whether they are good; a busy machine shows in `loadBefore`.
// Invariant: names no host, user or path.
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { BenchOptions } from './options.ts';
import { ROOT } from './subjects.ts';

export interface Conditions {
  readonly at: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly commit: string;
  readonly loadBefore: number;
  readonly quick: boolean;
  readonly rounds: number;
  readonly connections: number;
  readonly warmupMs: number;
  readonly firstMs: number;
  readonly measureMs: number;
}

function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+');
  } catch {
    return 'unknown';
  }
}

export function conditions(options: BenchOptions): Conditions {
  const all = cpus();
  return {
    at: new Date().toISOString(),
    cpu: all[0]?.model ?? 'unknown',
    cores: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit: commit(),
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    quick: options.quick,
    rounds: options.rounds,
    connections: options.connections,
    warmupMs: options.warmupMs,
    firstMs: options.firstMs,
    measureMs: options.measureMs,
  };
}
