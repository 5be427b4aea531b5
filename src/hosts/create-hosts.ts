// All host processes of this supervisor: one per cordon and kind, started when first needed.
// Not responsible for tenants' state or admission (`tenants/`).
// Invariant: `close` returns within its bound, and no process or folder of a host is left then.
import process from 'node:process';
import type { PoolLimits } from '../boundary/frames.ts';
import type { PoolKind } from '../boundary/thread-messages.ts';
import type { NetSettings } from '../shared/net/net-settings.ts';
import { DEFAULT_LIMITS, type Limits } from '../shared/limits.ts';
import { Cordon, type HostReport } from './cordon.ts';
import { HostedEgressPool } from './egress-pool.ts';
import type { EntryOverride } from './entry.ts';
import type { Heartbeat } from './host-process.ts';
import { roomFor } from './host-room.ts';
import { LazyPool } from './lazy-pool.ts';
import type { PoolUsage } from './linked-pool.ts';
import type {
  Apart,
  EgressPool,
  EgressPoolSpec,
  Hosts,
  NodeRights,
  PoolReport,
  SeparationReport,
  ToolsPool,
  ToolsPoolSpec,
} from './pool.ts';
import { findOsWall, type OsWall } from './os-wall.ts';
import { sweepRunDir, writeApart } from './run-dir.ts';
import { Separation } from './separation.ts';
import { HostedToolsPool } from './tools-pool.ts';

export interface HostsOptions {
  /** Folder for the empty working folders of hosts; made where it is missing. On a disk that the hosts' user can enter. */
  readonly runDir: string;
  /** Warm pools without a tenant, of the default limits, in `spareCordon`. Default 0; a number above starts hosts at once. */
  readonly spares?: number;
  readonly egressSpares?: number;
  /** Default `shared`. A spare serves only tenants of its cordon. */
  readonly spareCordon?: string;
  /** A process that holds no pool ends after this. Default: five minutes. */
  readonly hostIdleMs?: number;
  /** Default: every second, killed after 5 unanswered pings. */
  readonly heartbeat?: Heartbeat;
  /** Default: the Node that runs this process. */
  readonly node?: { readonly path: string; readonly major: number };
  /** How egress hosts reach the outside. */
  readonly net?: NetSettings;
  /** Walls of the operating system around each host. Default: none. */
  readonly osWall?: OsWall;
  /** For tests of the machinery: other entries. */
  readonly entries?: EntryOverride;
  readonly onPool?: (report: PoolReport) => void;
  /** What the threads of a tenant use, some times a second while they work. */
  readonly onUsage?: (tenant: string, kind: PoolKind, usage: PoolUsage) => void;
  readonly onHost?: (report: HostReport) => void;
  /** Healthy time after which a tenant that was kept apart goes back; doubles with each death. Default: five minutes. */
  readonly healthyMs?: number;
  readonly onSeparation?: (report: SeparationReport) => void;
}

const HEARTBEAT: Heartbeat = { everyMs: 1000, misses: 5 };
const HOST_IDLE_MS = 300_000;
const SPARE_CORDON = 'shared';
/** What an egress thread needs for itself, beyond the responses that it holds. */
const EGRESS_HEAP_MB = 64;
/** A process that got SIGKILL is gone by then, or stuck in the kernel. */
const EXIT_MS = 2000;
/** A close may take longer than its drain by what threads need to end. */
const CLOSE_SLACK_MS = 3000;

export function createHosts(options: HostsOptions): Hosts {
  return new HostProcesses(options);
}

function poolLimits(kind: PoolKind, limits: Limits): PoolLimits {
  const { threads, heapMb, offHeapMb, runMs, resultBytes, logLinesPerCall, progressPerCall } = limits;
  const common = { resultBytes, logLinesPerCall, progressPerCall };
  if (kind === 'tools') return { ...common, threads, heapMb, offHeapMb, runMs };
  return { ...common, threads: 1, heapMb: Math.max(EGRESS_HEAP_MB, heapMb) };
}

class HostProcesses implements Hosts {
  readonly #options: HostsOptions;
  readonly #cordons = new Map<string, Cordon>();
  readonly #pools = new Map<LazyPool, { readonly kind: PoolKind; readonly tenant: string; readonly drainMs: number }>();
  readonly #separations: { readonly [kind in PoolKind]: Separation };
  #closed = false;

  constructor(options: HostsOptions) {
    this.#options = options;
    sweepRunDir(options.runDir);
    this.#separations = { tools: this.#separation('tools'), egress: this.#separation('egress') };
    const spareCordon = options.spareCordon ?? SPARE_CORDON;
    if ((options.spares ?? 0) > 0) this.#cordon(spareCordon, 'tools');
    if ((options.egressSpares ?? 0) > 0) this.#cordon(spareCordon, 'egress');
  }

  apart(): readonly Apart[] {
    return (['tools', 'egress'] as const).flatMap((kind) => this.#separations[kind].list().map((entry) => ({ kind, ...entry })));
  }

  toolsPool(spec: ToolsPoolSpec): ToolsPool {
    const { tenant, bundle, vars } = spec;
    const lazy = this.#lazy('tools', spec, { tenant, bundle, vars }, () => spec.script());
    return new HostedToolsPool(lazy, spec.limits);
  }

  egressPool(spec: EgressPoolSpec): EgressPool {
    const { tenant, bundle } = spec;
    const lazy = this.#lazy('egress', spec, { tenant, bundle, vars: {} }, () => spec.tools());
    return new HostedEgressPool(lazy, spec.limits);
  }

  async close(drainMs: number): Promise<void> {
    this.#closed = true;
    for (const separation of Object.values(this.#separations)) separation.close();
    const drained = Promise.all([...this.#pools.keys()].map((pool) => pool.close(drainMs)));
    await within(drained, drainMs + CLOSE_SLACK_MS);
    await within(Promise.all([...this.#cordons.values()].map((cordon) => cordon.close())), EXIT_MS);
    sweepRunDir(this.#options.runDir);
  }

  #lazy(
    kind: PoolKind,
    spec: {
      readonly cordon: string;
      readonly limits: Limits;
      readonly isolation?: 'thread' | 'call';
      readonly rights?: NodeRights | undefined;
    },
    assignment: { tenant: string; bundle: string; vars: Record<string, unknown> },
    load: () => Promise<Uint8Array> | Uint8Array,
  ): LazyPool {
    const own: PoolLimits = { ...poolLimits(kind, spec.limits), ...(spec.isolation === 'call' ? { isolation: 'call' } : {}) };
    const lazy: LazyPool = new LazyPool({
      assignment,
      load,
      poolLimits: own,
      room: roomFor(own, spec.limits.weight),
      idleMs: spec.limits.idleMs,
      cordon: () => this.#cordon(this.#separations[kind].cordonOf(assignment.tenant, spec.cordon), kind, spec.rights),
      report: (report) => this.#options.onPool?.({ ...report, kind }),
      used: (usage) => this.#options.onUsage?.(assignment.tenant, kind, usage),
      closed: () => this.#pools.delete(lazy),
    });
    this.#pools.set(lazy, { kind, tenant: assignment.tenant, drainMs: spec.limits.callDeadlineMs });
    return lazy;
  }

  #separation(kind: PoolKind): Separation {
    const tell = (report: SeparationReport) => {
      writeApart(this.#options.runDir, this.apart());
      this.#options.onSeparation?.(report);
    };
    return new Separation(
      {
        separated: (entry) => {
          // It may have been called again before the death was understood.
          this.#relocate(kind, entry.tenant);
          tell({ kind, event: 'separated', ...entry });
        },
        returned: (tenant) => {
          this.#relocate(kind, tenant);
          tell({ kind, event: 'returned', tenant });
        },
      },
      this.#options.healthyMs,
    );
  }

  #relocate(kind: PoolKind, tenant: string): void {
    for (const [pool, of] of this.#pools) if (of.kind === kind && of.tenant === tenant) pool.relocate(of.drainMs);
  }

  /** `rights` belong to the name: a cordon with rights is one tenant's alone. */
  #cordon(name: string, kind: PoolKind, rights?: NodeRights): Cordon {
    const key = `${kind} ${name}`;
    let cordon = this.#cordons.get(key);
    if (cordon === undefined) {
      const { node, runDir, entries, osWall, net, heartbeat, spareCordon, spares, egressSpares, hostIdleMs, onHost } =
        this.#options;
      const mine = name === (spareCordon ?? SPARE_CORDON) && !this.#closed;
      cordon = new Cordon({
        cordon: name,
        kind,
        spawn: {
          node: node?.path ?? process.execPath,
          nodeMajor: node?.major ?? Number.parseInt(process.versions.node, 10),
          runDir,
          entries: entries ?? {},
          osWall: osWall ?? findOsWall('off'),
          rights,
          net,
        },
        heartbeat: heartbeat ?? HEARTBEAT,
        spares: mine ? ((kind === 'tools' ? spares : egressSpares) ?? 0) : 0,
        spareLimits: poolLimits(kind, DEFAULT_LIMITS),
        hostIdleMs: hostIdleMs ?? HOST_IDLE_MS,
        report: (report) => onHost?.(report),
        blame: (tenants) => this.#separations[kind].blame(tenants),
      });
      this.#cordons.set(key, cordon);
      if (this.#closed) void cordon.close();
    }
    return cordon;
  }
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
