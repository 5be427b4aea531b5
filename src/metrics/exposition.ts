// The numbers as Prometheus reads them (text exposition format 0.0.4), made when somebody asks.
// Not responsible for counting (`counts`) or for who may ask (`server/admin`).
// Invariant: reading changes nothing but the longest delay of the event loop, which is that since the last reading.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { Counts } from './counts.ts';

export interface MetricsSources {
  readonly counts: Counts;
  /** Of one tenant: calls under way and calls that wait. */
  readonly admission: (tenant: string) => { readonly running: number; readonly waiting: number };
  /** Tenants that are served by hosts of their own for a while. */
  readonly apart: () => number;
  readonly ready: () => boolean;
}

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  close(): void;
}

const US_PER_S = 1e6;
const NS_PER_S = 1e9;
/** Milliseconds between two samples of the event loop: what is shorter cannot be seen. */
const RESOLUTION_MS = 10;

export function createMetrics({ counts, admission, apart, ready }: MetricsSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  collectDefaultMetrics({ register: registry, prefix: 'leasehold_supervisor_' });

  const perTenant = (
    name: string,
    help: string,
    label: string | undefined,
    read: (tenant: string, set: (value: number, of?: string) => void) => void,
    Kind: typeof Counter | typeof Gauge = Counter,
  ): void => {
    const labelNames = label === undefined ? ['tenant'] : ['tenant', label];
    const metric = new Kind({
      name,
      help,
      labelNames,
      registers,
      collect() {
        metric.reset();
        for (const tenant of counts.tenants.keys()) {
          read(tenant, (value, of) => metric.inc({ tenant, ...(label === undefined ? {} : { [label]: of }) }, value));
        }
      },
    });
  };

  perTenant(
    'leasehold_calls_total',
    'Operations of clients that ended, by class (ok, or a class of failures).',
    'class',
    (tenant, set) => {
      for (const [end, count] of counts.tenants.get(tenant)?.calls ?? []) set(count, end);
    },
  );
  perTenant(
    'leasehold_limits_total',
    'Limits that were met: calls refused, ended or cut, by the name of the limit.',
    'limit',
    (tenant, set) => {
      for (const [limit, count] of counts.tenants.get(tenant)?.limits ?? []) set(count, limit);
    },
  );
  for (const kind of ['tools', 'egress'] as const) {
    perTenant(`leasehold_${kind}_cpu_seconds_total`, `CPU time of the ${kind} threads of a tenant.`, undefined, (tenant, set) =>
      set((counts.tenants.get(tenant)?.pools[kind].cpuUs ?? 0) / US_PER_S),
    );
    const gauge = (name: string, help: string, of: 'threads' | 'heapBytes'): void =>
      perTenant(name, help, undefined, (tenant, set) => set(counts.tenants.get(tenant)?.pools[kind][of] ?? 0), Gauge);
    gauge(`leasehold_${kind}_threads`, `Threads of the ${kind} pool of a tenant, as of its last work.`, 'threads');
    gauge(
      `leasehold_${kind}_heap_bytes`,
      `JavaScript heap of the ${kind} threads of a tenant, as of their last work.`,
      'heapBytes',
    );
  }
  perTenant('leasehold_calls_running', 'Calls under way.', undefined, (tenant, set) => set(admission(tenant).running), Gauge);
  perTenant(
    'leasehold_calls_waiting',
    'Calls that wait for a slot.',
    undefined,
    (tenant, set) => set(admission(tenant).waiting),
    Gauge,
  );

  const deaths = new Counter({
    name: 'leasehold_host_deaths_total',
    help: 'Host processes that ended unasked.',
    labelNames: ['kind'],
    registers,
    collect() {
      deaths.reset();
      for (const kind of ['tools', 'egress'] as const) deaths.inc({ kind }, counts.hostDeaths[kind]);
    },
  });
  const now = (name: string, help: string, read: () => number): void => {
    const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(read()) });
  };
  now('leasehold_tenants_apart', 'Tenants that are served by hosts of their own since a host died with work of theirs.', apart);
  now('leasehold_ready', '1 while calls can be taken.', () => Number(ready()));
  now('leasehold_event_loop_delay_max_seconds', 'Longest delay of the event loop since the last reading.', () => longest(delay));

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    close() {
      delay.disable();
      registry.clear();
    },
  };
}

/** The timer of the histogram itself is part of what it measures. */
function longest(delay: ReturnType<typeof monitorEventLoopDelay>): number {
  const seconds = Math.max(0, delay.max / NS_PER_S - RESOLUTION_MS / 1000);
  delay.reset();
  return seconds;
}
