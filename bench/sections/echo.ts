// `tools/call` of an echo, every server in every era it has, in alternating rounds.
// Not responsible for judging the figures (`bars`).
// Invariant: one server is loaded at a time; the order of servers turns with each round.
import { loadCall, median, warm } from '../load/load.ts';
import type { Measured } from '../load/generate.ts';
import type { Era } from '../load/requests.ts';
import type { BenchOptions } from '../options.ts';
import type { Subject } from '../subjects.ts';

export interface Row {
  readonly name: string;
  readonly era: Era;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUsMain: number;
  readonly cpuUsTree: number;
}

const TEXT = 'a line of text that comes back as it went out';
export const ECHO = { method: 'tools/call', params: { name: 'echo', arguments: { text: TEXT } }, expect: TEXT } as const;

export async function echoRows(subjects: readonly Subject[], options: BenchOptions, say: (text: string) => void): Promise<Row[]> {
  const runs = subjects.flatMap((subject) => subject.eras.map((era) => ({ subject, era, rounds: [] as Measured[] })));
  for (const { subject, era } of runs) await warm(subject.target, subject.server.pid, { ...ECHO, era }, options);
  for (let round = 0; round < options.rounds; round += 1) {
    for (let index = 0; index < runs.length; index += 1) {
      const one = runs[(index + round) % runs.length] as (typeof runs)[number];
      const measured = await loadCall(one.subject.target, one.subject.server.pid, { ...ECHO, era: one.era }, options);
      one.rounds.push(measured);
      say(`echo ${round + 1}/${options.rounds} ${one.subject.name} ${one.era}: ${Math.round(measured.rps)}/s`);
    }
  }
  return runs.map(({ subject, era, rounds }) => {
    const { rps, p50Ms, p99Ms, cpuUsMain, cpuUsTree } = median(rounds);
    return { name: subject.name, era, rps, p50Ms, p99Ms, cpuUsMain, cpuUsTree };
  });
}
