// What a run of the benchmark does: how long, how often, which parts.
// Not responsible for running it.
// Invariant: `--quick` changes durations and counts only, never what is measured or how.
import { parseArgs } from 'node:util';

export interface BenchOptions {
  readonly json: boolean;
  readonly quick: boolean;
  /** Parts to run; all where none is named. */
  readonly only: ReadonlySet<string>;
  /** Of the echo, and of everything else. */
  readonly rounds: number;
  readonly sideRounds: number;
  readonly connections: number;
  readonly warmupMs: number;
  /** Load before the first round of what is compared warm, for every server alike: V8 compiles for seconds. */
  readonly firstMs: number;
  readonly measureMs: number;
  /** First calls, threads and restarts per figure. */
  readonly samples: number;
  /** Tenants of the large estate. */
  readonly tenants: number;
}

export const PARTS = [
  'echo',
  'listing',
  'payload',
  'start',
  'memory',
  'recovery',
  'isolation',
  'auth',
  'upstream',
  'tenants',
] as const;
export type Part = (typeof PARTS)[number];

export function readOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      tenants: { type: 'string' },
    },
  });
  const only = new Set(values.only);
  for (const part of only) {
    if (!(PARTS as readonly string[]).includes(part)) throw new Error(`--only ${part}: there are ${PARTS.join(', ')}`);
  }
  const given = values.tenants === undefined ? {} : { tenants: Number(values.tenants) };
  const fixed = { json: values.json, quick: values.quick, only, connections: 32, ...given };
  return values.quick
    ? { rounds: 2, sideRounds: 1, firstMs: 2500, warmupMs: 400, measureMs: 1000, samples: 8, tenants: 200, ...fixed }
    : { rounds: 5, sideRounds: 3, firstMs: 8000, warmupMs: 1000, measureMs: 3000, samples: 20, tenants: 10_000, ...fixed };
}
