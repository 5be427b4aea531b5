// What a fresh thread for every call costs, beside threads that calls share: one call after the other, several at once, and calls
// that come alone.
// Not responsible for what survives a call (test/isolation) or for judging the figures.
// Invariant: the same tool in the same server, in turns; both tenants have two threads.
import { loadCall, median } from '../load/load.ts';
import type { Measured } from '../load/generate.ts';
import type { Target } from '../load/requests.ts';
import type { BenchOptions } from '../options.ts';
import { endpointOf, Estate } from '../subjects.ts';
import { ECHO } from './echo.ts';
import { timedEcho } from './start.ts';

export interface IsolationRow {
  readonly isolation: 'thread' | 'call';
  readonly one: Measured;
  readonly four: Measured;
  /** Median of calls with a pause before each, milliseconds. */
  readonly aloneMs: number;
}

const KINDS = ['thread', 'call'] as const;
const PAUSE_MS = 200;
const CALL = { ...ECHO, era: '2026-07-28' } as const;

export async function isolationRows(options: BenchOptions): Promise<IsolationRow[]> {
  const estate = await Estate.create();
  try {
    const tokens = new Map<string, string>();
    for (const isolation of KINDS) {
      await estate.addTenant(`x-${isolation}`, { isolation, limits: { threads: 2, callsPerSecond: 1_000_000 } });
      tokens.set(isolation, await estate.token(`x-${isolation}`));
    }
    const server = await estate.serve();
    const target = (kind: string): Target => ({ url: endpointOf(server, `x-${kind}`), token: tokens.get(kind) as string });
    const rounds = new Map(KINDS.map((kind) => [kind, { one: new Array<Measured>(), four: new Array<Measured>() }]));
    for (let round = 0; round < options.sideRounds; round += 1) {
      for (const [kind, { one, four }] of rounds) {
        one.push(await loadCall(target(kind), server.pid, CALL, { ...options, connections: 1 }));
        four.push(await loadCall(target(kind), server.pid, CALL, { ...options, connections: 4 }));
      }
    }
    const rows: IsolationRow[] = [];
    for (const [isolation, { one, four }] of rounds) {
      rows.push({ isolation, one: median(one), four: median(four), aloneMs: await alone(target(isolation), options.samples) });
    }
    await server.stop();
    return rows;
  } finally {
    await estate.remove();
  }
}

async function alone(target: Target, samples: number): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < samples; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    times.push(await timedEcho(target));
  }
  return times.sort((a, b) => a - b)[times.length >> 1] as number;
}
