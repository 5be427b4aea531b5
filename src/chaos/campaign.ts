// The whole run: B's steady load in a process of its own, one fault of A after another, one row for each.
// Not responsible for what faults do (`faults`), for the verdict (`judge`) or for printing (`report`).
// Invariant: load on loopback only, bounded in count and time; everything that was started is ended, also after a failure.
import { type ChildProcess, fork } from 'node:child_process';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { apartCordon } from '../shared/cordon-name.ts';
import type { Fault, Victim } from './faults.ts';
import { judge, type Row, seen } from './judge.ts';
import { callTool, type Target } from './mcp-call.ts';
import type { ServedEstate } from './served-estate.ts';
import type { LoadOrder, LoadWindow } from './steady-load.ts';

/** How long and how hard. */
export interface Effort {
  /** Calls of B a second, for each of its two places. */
  readonly perSecond: number;
  readonly quietMs: number;
  readonly faultMs: number;
  /** A row that misses a bar is measured again, up to this many times in all: what isolation lacks is missing each time. */
  readonly attempts: number;
}

export const FULL: Effort = { perSecond: 250, quietMs: 3000, faultMs: 9000, attempts: 2 };
export const SHORT: Effort = { perSecond: 100, quietMs: 1500, faultMs: 3000, attempts: 3 };

export interface Campaign {
  readonly served: ServedEstate;
  readonly estate: string;
  readonly faults: readonly Fault[];
  readonly effort: Effort;
  /** Tokens by tenant: `steady`, `apart`, `noisy` and one tenant of its own for each fault that ends hosts. */
  readonly tokens: ReadonlyMap<string, string>;
  row(row: Row): void;
}

/** Of a tenant that only this fault uses: whoever killed a host before is not in the shared one any more. */
export function tenantOf(fault: Fault): string {
  return fault.contained === 'thread' ? 'noisy' : `noisy-${fault.name.replaceAll(/[^a-z]+/g, '-')}`;
}

const LOAD_ENTRY = fileURLToPath(new URL(`./steady-load${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
const SHARED = 'shared';
/** Between two strikes: a client that is refused does not come back at once. */
const PAUSE_MS = 50;
const RECOVERY_MS = 15_000;

export async function runCampaign(campaign: Campaign): Promise<readonly Row[]> {
  const { effort, faults } = campaign;
  const load = new SteadyLoad(
    ['steady', 'apart'].map((tenant) => target(campaign, tenant)),
    effort.perSecond,
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 2048 });
  const rows: Row[] = [];
  try {
    await load.window();
    for (const fault of faults) {
      let row = await one(campaign, fault, load, agent);
      for (let attempt = 2; !row.pass && attempt <= effort.attempts; attempt += 1) {
        row = { ...(await one(campaign, fault, load, agent)), attempts: attempt };
      }
      rows.push(row);
      campaign.row(row);
    }
  } finally {
    load.close();
    agent.destroy();
  }
  return rows;
}

async function one(campaign: Campaign, fault: Fault, load: SteadyLoad, agent: Agent): Promise<Row> {
  const { served, effort, estate } = campaign;
  const tenant = tenantOf(fault);
  const victim: Victim = {
    target: target(campaign, tenant),
    agent,
    folder: join(estate, 'tenants', tenant),
    killHost: () => {
      // Since the first time it is not among the others any more.
      const pid = served.toolsHost(apartCordon(tenant)) ?? served.toolsHost(SHARED);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      return pid !== undefined;
    },
  };
  // Both are up before they are compared.
  await recovered(victim);
  await load.window();
  await delay(effort.quietMs);
  const [quietBeside = []] = (await load.window()).calls;
  await maxBlockMs(served);
  const eventsBefore = served.hostEvents.length;
  const aOutcomes: Record<string, number> = {};
  let recoverMs: number | undefined = 0;
  const until = performance.now() + effort.faultMs;
  do {
    for (const outcome of await fault.strike(victim)) aOutcomes[outcome] = (aOutcomes[outcome] ?? 0) + 1;
    const ms = await recovered(victim);
    recoverMs = ms === undefined || recoverMs === undefined ? undefined : Math.max(recoverMs, ms);
    await delay(PAUSE_MS);
  } while (performance.now() < until && served.ended === undefined);
  const { calls } = await load.window();
  const died = served.hostEvents.slice(eventsBefore).filter(({ event, kind }) => event === 'died' && kind === 'tools');
  return judge({
    fault,
    quiet: seen(quietBeside),
    beside: seen(calls[0] ?? []),
    apart: seen(calls[1] ?? []),
    hostDeaths: died.length,
    aOutcomes,
    recoverMs,
    supervisorMaxBlockMs: await maxBlockMs(served),
    supervisorServes: served.ended === undefined,
    needed: Math.floor((effort.perSecond * effort.faultMs) / 1000) * 0.9,
  });
}

const LOOP_METRIC = /^leasehold_event_loop_delay_max_seconds (\S+)$/m;

/** Longest standstill of the supervisor's event loop since this was last asked, milliseconds. */
async function maxBlockMs({ admin }: ServedEstate): Promise<number | undefined> {
  try {
    const text = await (await fetch(`${admin}/metrics`)).text();
    const seconds = Number(LOOP_METRIC.exec(text)?.[1]);
    return Number.isFinite(seconds) ? seconds * 1000 : undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds to the next successful call of A, whatever it is told before that. */
async function recovered({ target: a, agent }: Victim): Promise<number | undefined> {
  const begun = performance.now();
  while (performance.now() - begun < RECOVERY_MS) {
    const called = await callTool(a, 'ping', {}, { agent, timeoutMs: RECOVERY_MS });
    if (called.outcome === 'ok') return performance.now() - begun;
    await delay(5);
  }
  return undefined;
}

function target({ served, tokens }: Campaign, tenant: string): Target {
  return { url: `${served.url}/t/${tenant}/mcp`, token: tokens.get(tenant) ?? '' };
}

class SteadyLoad {
  readonly #child: ChildProcess;

  constructor(targets: readonly Target[], perSecond: number) {
    this.#child = fork(LOAD_ENTRY, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#order({ do: 'begin', targets, perSecond });
  }

  /** What was begun since the last window, when all of it has ended. */
  window(): Promise<LoadWindow> {
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error('the process of the steady load ended'));
      this.#child.once('exit', gone);
      this.#child.once('message', (window: LoadWindow) => {
        this.#child.off('exit', gone);
        resolve(window);
      });
      this.#order({ do: 'window' });
    });
  }

  close(): void {
    this.#child.removeAllListeners('exit');
    this.#child.disconnect();
  }

  #order(order: LoadOrder): void {
    this.#child.send(order);
  }
}
