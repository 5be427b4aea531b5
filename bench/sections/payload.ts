// Results of 1 KB, 100 KB and 5 MB, 2026-07-28: Leasehold, the SDK behind Fastify, and the bare route with the same bytes.
// Not responsible for judging the figures.
// Invariant: every answer is whole; a large one is checked by its length, not by its head.
import type { Measured } from '../load/generate.ts';
import { type Call, loadCall, median } from '../load/load.ts';
import type { BenchOptions } from '../options.ts';
import type { Subject } from '../subjects.ts';
import { answerTo, teachRaw } from './listing.ts';

export interface PayloadRow {
  readonly bytes: number;
  readonly name: string;
  readonly measured: Measured;
}

const SIZES: readonly { bytes: number; connections: number }[] = [
  { bytes: 1_000, connections: 32 },
  { bytes: 100_000, connections: 8 },
  { bytes: 5_000_000, connections: 2 },
];

export async function payloadRows(subjects: readonly Subject[], options: BenchOptions): Promise<PayloadRow[]> {
  const rows: PayloadRow[] = [];
  for (const { bytes, connections } of SIZES) {
    const call: Call = {
      era: '2026-07-28',
      method: 'tools/call',
      params: { name: 'sized', arguments: { bytes } },
      expect: '"content"',
    };
    const first = subjects[0] as Subject;
    const sample = await answerTo(first.target, call);
    if (sample.length < bytes) throw new Error(`${first.name} answered ${sample.length} bytes for ${bytes}`);
    for (const subject of subjects) {
      const target = subject.name === 'fastify-raw' ? await teachRaw(subject, `sized-${bytes}`, sample) : subject.target;
      const rounds: Measured[] = [];
      for (let round = 0; round < options.sideRounds; round += 1) {
        rounds.push(await loadCall(target, subject.server.pid, call, { ...options, connections }));
      }
      rows.push({ bytes, name: subject.name, measured: median(rounds) });
    }
  }
  return rows;
}
