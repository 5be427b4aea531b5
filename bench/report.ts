// The figures as Markdown tables, for a terminal and for README.md alike.
// Not responsible for measuring or judging.
// Invariant: ratios stand beside the figures they are made of.
import type { Bar } from './bars.ts';
import type { Conditions } from './conditions.ts';
import type { AuthRow } from './sections/auth.ts';
import type { Row } from './sections/echo.ts';
import type { IsolationRow } from './sections/isolation.ts';
import type { ListingRow } from './sections/listing.ts';
import type { MemoryFigures } from './sections/memory.ts';
import type { PayloadRow } from './sections/payload.ts';
import type { RecoveryFigures } from './sections/recovery.ts';
import type { StartFigures } from './sections/start.ts';
import type { UpstreamFigures } from './sections/upstream.ts';
import type { TenantsFigures } from './sections/tenants.ts';

export interface Report {
  readonly conditions: Conditions;
  readonly rows: readonly Row[];
  readonly start: StartFigures | Record<string, never>;
  readonly memory: MemoryFigures | Record<string, never>;
  readonly listing: readonly ListingRow[];
  readonly payload: readonly PayloadRow[];
  readonly recovery: RecoveryFigures | undefined;
  readonly isolation: readonly IsolationRow[];
  readonly auth: readonly AuthRow[];
  readonly upstream: UpstreamFigures | undefined;
  readonly tenants: TenantsFigures | undefined;
  readonly bars: readonly Bar[];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, index) => Math.max(name.length, ...rows.map((row) => (row[index] ?? '').length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

const whole = (value: number) => Math.round(value).toLocaleString('en');
const ms = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(1));
const ratio = (value: number, of: number | undefined) => (of ? `${(value / of).toFixed(2)}×` : '');

/** The SDK's own server of the same era, which a row's CPU is set against. */
const YARDSTICK: { readonly [era: string]: string } = { '2025-11-25': 'sdk-v1', '2026-07-28': 'sdk-v2-fastify' };

function echoTable(rows: readonly Row[]): string {
  const head = ['server', 'era', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs main', 'of the SDK', 'CPU µs tree', 'of the SDK'];
  const cells = rows.map((row) => {
    const sdk = rows.find((other) => other.era === row.era && other.name === YARDSTICK[row.era]);
    const main = [whole(row.cpuUsMain), ratio(row.cpuUsMain, sdk?.cpuUsMain)];
    const tree = [whole(row.cpuUsTree), ratio(row.cpuUsTree, sdk?.cpuUsTree)];
    return [row.name, row.era, whole(row.rps), ms(row.p50Ms), ms(row.p99Ms), ...main, ...tree];
  });
  return table(head, cells);
}

function size(bytes: number): string {
  return bytes < 1_000_000 ? `${bytes / 1000} KB` : `${bytes / 1_000_000} MB`;
}

function figures(values: object): string {
  const rows = Object.entries(values).map(([name, value]) => [name, [value as number | number[]].flat().map(ms).join(' / ')]);
  return table(['figure', 'value'], rows);
}

export function render(report: Report): string {
  const { conditions: c } = report;
  const parts = [
    `${c.cpu}, ${c.cores} cores, ${c.memoryGb} GiB, Linux ${c.kernel}, Node ${c.node}, commit ${c.commit}, ${c.at.slice(0, 10)}.`,
    `${c.rounds} rounds of ${c.measureMs} ms after ${c.warmupMs} ms of warm-up (${c.firstMs} ms before the first round of echo and tenants), ${c.connections} connections; load before: ${c.loadBefore}.`,
  ];
  const section = (title: string, body: string) => parts.push(`\n### ${title}\n\n${body}`);
  if (report.rows.length > 0) section('tools/call, echo', echoTable(report.rows));
  if (report.listing.length > 0) {
    const head = ['method', 'bytes', 'Leasehold requests/s', 'CPU µs', 'bare route requests/s', 'CPU µs', 'ratio'];
    const rows = report.listing.map(({ method, bytes, leasehold: ours, raw }) => [
      method,
      whole(bytes),
      whole(ours.rps),
      whole(ours.cpuUsMain),
      whole(raw.rps),
      whole(raw.cpuUsMain),
      ratio(ours.cpuUsMain, raw.cpuUsMain),
    ]);
    section('lists, beside a bare Fastify route with the same bytes', table(head, rows));
  }
  if (report.payload.length > 0) {
    const head = ['result', 'server', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs main', 'CPU µs tree'];
    const rows = report.payload.map(({ bytes, name, measured: m }) => [
      size(bytes),
      name,
      whole(m.rps),
      ms(m.p50Ms),
      ms(m.p99Ms),
      whole(m.cpuUsMain),
      whole(m.cpuUsTree),
    ]);
    section('tools/call, size of the result (2026-07-28)', table(head, rows));
  }
  if ('coldCallMs' in report.start) section('start (median ms)', figures(report.start));
  if ('toolsThreadMb' in report.memory) section('memory (MiB)', figures(report.memory));
  if (report.recovery) section('recovery (median / worst ms)', figures(report.recovery));
  if (report.isolation.length > 0) {
    const [shared] = report.isolation;
    const head = [
      'isolation',
      'a call alone, ms',
      'one after the other: p50 ms',
      'requests/s',
      'CPU µs tree',
      'ratio',
      'four at once: requests/s',
    ];
    const rows = report.isolation.map(({ isolation, aloneMs, one, four }) => [
      isolation,
      ms(aloneMs),
      ms(one.p50Ms),
      whole(one.rps),
      whole(one.cpuUsTree),
      ratio(one.cpuUsTree, shared?.one.cpuUsTree),
      whole(four.rps),
    ]);
    section('a fresh thread for every call, beside shared threads', table(head, rows));
  }
  if (report.auth.length > 0) {
    const [minted] = report.auth;
    const head = ['token', 'requests/s', 'p50 ms', 'CPU µs main', 'ratio', 'alone: seen before, ms', 'never seen, ms'];
    const rows = report.auth.map(({ token, measured: m, seenMs, unseenMs }) => [
      token,
      whole(m.rps),
      ms(m.p50Ms),
      m.cpuUsMain.toFixed(1),
      ratio(m.cpuUsMain, minted?.measured.cpuUsMain),
      ms(seenMs),
      unseenMs === undefined ? '' : ms(unseenMs),
    ]);
    section('tools/call, kind of token (2026-07-28)', table(head, rows));
  }
  if (report.upstream) {
    const { rows, storm } = report.upstream;
    const undici = rows.find(({ name }) => name === 'undici')?.measured.cpuUsTree;
    const head = ['GET of an upstream', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs main', 'CPU µs hosts', 'tree, of undici'];
    const cells = rows.map(({ name, measured: m }) => [
      name,
      whole(m.rps),
      ms(m.p50Ms),
      ms(m.p99Ms),
      whole(m.cpuUsMain),
      whole(m.cpuUsTree - m.cpuUsMain),
      ratio(m.cpuUsTree, undici),
    ]);
    section('a declared REST tool, beside the same request by undici and in a tool of the SDK', table(head, cells));
    section('100 calls at once with a token that is refused', figures(storm));
  }
  if (report.tenants) {
    const { large, alone, ...rest } = report.tenants;
    const more = { echoRps: large.rps, echoRpsAlone: alone.rps, cpuUs: large.cpuUsMain, cpuUsAlone: alone.cpuUsMain };
    section('many tenants', figures({ ...rest, ...more }));
  }
  if (report.bars.length > 0) {
    const rows = report.bars.map((bar) => [bar.name, bar.bar, bar.measured, bar.met ? 'yes' : 'NO']);
    section('bars', table(['what', 'bar', 'measured', 'met'], rows));
  }
  return `${parts.join('\n')}\n`;
}
