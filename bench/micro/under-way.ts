// What it costs to know what is under way: entries that come and go, in a Map and in a NumberMap, once either has been there for a
// while (after a full collection). Not responsible for bars: prints CPU µs per entry (all threads of the process), and megabytes
// that became old, of which nothing is needed any more.
// Conditions: `node --expose-gc bench/micro/under-way.ts [entries]`; some 20 entries at a time, 600 bytes each.
import { getHeapSpaceStatistics } from 'node:v8';
import { NumberMap } from '../../src/shared/number-map.ts';

const HELD = Array.from({ length: 64 }, () => 0);
const entries = Number(process.argv[2] ?? 1_000_000);
const old = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? 0;

interface Table {
  set(number: number, value: object): unknown;
  delete(number: number): boolean;
}

function measure(name: string, table: Table): void {
  let first = 0;
  let next = 0;
  const begin = (): void => void table.set(next, { number: next++, held: HELD.slice() });
  while (next < 20) begin();
  globalThis.gc?.();
  const before = old();
  let peak = before;
  const cpu = process.cpuUsage();
  while (next < entries) {
    const wanted = 4 + (next % 33);
    while (next - first < wanted) begin();
    while (next - first > wanted / 2) table.delete(first++);
    if (next % 1000 === 0) peak = Math.max(peak, old());
  }
  const { user, system } = process.cpuUsage(cpu);
  console.log(
    JSON.stringify({
      name,
      cpuUsPerEntry: Math.round((100 * (user + system)) / entries) / 100,
      oldMb: Math.round((peak - before) / 1e6),
    }),
  );
}

if (globalThis.gc === undefined) throw new Error('run it with --expose-gc');
for (let round = 0; round < 2; round += 1) {
  measure('Map', new Map<number, object>());
  measure('NumberMap', new NumberMap<object>());
}
