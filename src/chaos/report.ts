// The table that a person reads, a line a fault, and the object for programs.
// Not responsible for the verdict. Pure. Invariant: what missed its bar is said in words below its line.
import { percent, type Row } from './judge.ts';

const NAME = 33;

export const HEADING = [
  'fault'.padEnd(NAME),
  'contained',
  'B success'.padStart(10),
  'p50 quiet → fault'.padStart(18),
  'p99 quiet → fault, ms'.padStart(22),
  'A back, ms'.padStart(11),
  'loop, ms'.padStart(9),
  ' A got',
].join(' ');

export function rowLines(row: Row): string {
  const ms = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(value < 10 ? 1 : 0));
  const line = [
    `${row.pass ? '✓' : '✗'} ${row.fault}`.padEnd(NAME),
    row.kind.padEnd(9),
    percent(row.bSuccess).padStart(10),
    `${ms(row.bP50QuietMs)} → ${ms(row.bP50Ms)}`.padStart(18),
    `${ms(row.bP99QuietMs)} → ${ms(row.bP99Ms)}`.padStart(22),
    ms(row.recoverMs).padStart(11),
    ms(row.supervisorMaxBlockMs).padStart(9),
    ` ${row.aOutcome}${row.attempts === 1 ? '' : `  (measured ${row.attempts} times)`}`,
  ].join(' ');
  const same = row.bSameCordonSuccess === undefined ? [] : [`  B in the same cordon: ${percent(row.bSameCordonSuccess)}`];
  return `${[line, ...same, ...row.missed.map((reason) => `  ✗ ${reason}`)].join('\n')}\n`;
}

export function closingLine(rows: readonly Row[]): string {
  const lost = rows.filter(({ pass }) => !pass).length;
  return lost === 0
    ? `all ${rows.length} faults were contained: B lost nothing that it was promised\n`
    : `${lost} of ${rows.length} faults were not contained as promised\n`;
}
