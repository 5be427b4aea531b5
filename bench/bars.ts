// The bars that the design sets itself, as ratios within one run: bar, measured, met.
// Not responsible for measuring.
// Invariant: a figure that was not measured is not met and not hidden: it is left out by name.
import type { ListingRow } from './sections/listing.ts';
import type { Row } from './sections/echo.ts';
import type { MemoryFigures } from './sections/memory.ts';
import type { RecoveryFigures } from './sections/recovery.ts';
import type { StartFigures } from './sections/start.ts';
import type { TenantsFigures } from './sections/tenants.ts';

export interface Results {
  readonly rows: readonly Row[];
  readonly listing: readonly ListingRow[];
  readonly start?: StartFigures;
  readonly memory?: MemoryFigures;
  readonly recovery?: RecoveryFigures;
  readonly tenants?: TenantsFigures;
}

export interface Bar {
  readonly name: string;
  readonly bar: string;
  readonly measured: string;
  readonly met: boolean;
}

function below(name: string, limit: number, unit: string, measured: number, detail = ''): Bar {
  const shown = (value: number) => (unit === '×' ? value.toFixed(2) : String(Math.round(value * 10) / 10)) + unit;
  return { name, bar: `≤ ${shown(limit)}`, measured: shown(measured) + detail, met: measured <= limit };
}

function echoBars(rows: readonly Row[]): Bar[] {
  const find = (name: string, era: string) => rows.find((row) => row.name === name && row.era === era);
  const bars: Bar[] = [];
  const modern = find('leasehold', '2026-07-28');
  const v2 = find('sdk-v2-fastify', '2026-07-28');
  const lowlevel = find('sdk-v2-lowlevel', '2026-07-28');
  const pair = (ours: number, theirs: number) => ` (${Math.round(ours)} of ${Math.round(theirs)} µs)`;
  if (modern && v2) {
    const detail = (ours: number, theirs: number, cheapest: number | undefined) =>
      `${pair(ours, theirs)} of sdk-v2-fastify${cheapest === undefined ? '' : `; ${(ours / cheapest).toFixed(2)}× of sdk-v2-lowlevel`}`;
    const main = detail(modern.cpuUsMain, v2.cpuUsMain, lowlevel?.cpuUsMain);
    const tree = detail(modern.cpuUsTree, v2.cpuUsTree, lowlevel?.cpuUsTree);
    bars.push(below('2026-07-28 tools/call, supervisor CPU', 0.35, '×', modern.cpuUsMain / v2.cpuUsMain, main));
    bars.push(below('2026-07-28 tools/call, process tree CPU', 0.6, '×', modern.cpuUsTree / v2.cpuUsTree, tree));
  }
  const legacy = find('leasehold', '2025-11-25');
  const v1 = find('sdk-v1', '2025-11-25');
  if (legacy && v1) {
    const main = pair(legacy.cpuUsMain, v1.cpuUsMain);
    bars.push(below('2025-11-25 tools/call, supervisor CPU', 0.6, '×', legacy.cpuUsMain / v1.cpuUsMain, `${main} of sdk-v1`));
  }
  return bars;
}

export function barsOf(results: Results): Bar[] {
  const bars = echoBars(results.rows);
  for (const { method, leasehold, raw } of results.listing) {
    const detail = ` (${Math.round(leasehold.cpuUsMain)} of ${Math.round(raw.cpuUsMain)} µs)`;
    bars.push(below(`${method}, CPU beside a bare route`, 2, '×', leasehold.cpuUsMain / raw.cpuUsMain, detail));
  }
  const { start, memory, recovery, tenants } = results;
  if (start) {
    const detail = ` (${start.coldCallMs.toFixed(1)} of ${start.bareWorkerMs.toFixed(1)} ms)`;
    bars.push(below('cold first call beside a bare worker', 2, '×', start.coldCallMs / start.bareWorkerMs, detail));
    bars.push(below('first call with a warm spare, of a cold one', 0.5, '×', start.warmCallMs / start.coldCallMs));
  }
  if (memory) {
    const detail = ` (${memory.toolsThreadMb} of ${memory.bareToolsThreadMb} MiB)`;
    bars.push(
      below('memory of a tools thread beside a bare worker', 1.3, '×', memory.toolsThreadMb / memory.bareToolsThreadMb, detail),
    );
  }
  if (recovery) {
    bars.push(below('thread death to next call, median', 250, ' ms', recovery.threadMs[0]));
    bars.push(below('tools host killed to next call, median', 250, ' ms', recovery.hostMs[0]));
  }
  if (tenants) {
    const count = tenants.tenants.toLocaleString('en');
    bars.push(below(`start with ${count} tenants from the cache`, 10_000, ' ms', tenants.readyMs));
    // With fewer, the noise of a heap is larger than what they take.
    if (tenants.tenants >= 5000) bars.push(below(`memory per idle tenant of ${count}`, 4096, ' B', tenants.bytesPerTenant));
    bars.push(
      below(`echo of one tenant of ${count}, CPU beside one alone`, 1.1, '×', tenants.large.cpuUsMain / tenants.alone.cpuUsMain),
    );
  }
  return bars;
}
