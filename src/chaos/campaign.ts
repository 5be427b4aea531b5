// The whole run: one fault of A after another beside B's steady load, one row for each.
// Not responsible for what faults do (`faults`), for the verdict (`judge`) or for printing (`report`).
// Invariant: load on loopback only, bounded in count and time; everything that was started is ended, also after a failure.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { apartCordon } from '../shared/cordon-name.ts';
import type { Fault, Victim } from './faults.ts';
import { judge, type Row, seen } from './judge.ts';
import { callTool } from './mcp-call.ts';
import type { ServedEstate } from './served-estate.ts';
import { Session } from './session.ts';

/** How long and how hard. */
export interface Effort {
  /** Calls of B a second, for each of its two places. */
  readonly perSecond: number;
  readonly quietMs: number;
  readonly faultMs: number;
  /** A row that misses a bar is measured again, up to this many times in all: what isolation lacks is missing each time. */
  readonly attempts: number;
  /** How many times as long as its bar something may take. */
  readonly slack: number;
}

export const FULL: Effort = { perSecond: 250, quietMs: 3000, faultMs: 9000, attempts: 2, slack: 1 };
/** The p99 of 300 calls is the third worst of them, on a machine that may do other things: durations are judged in the full run. */
export const SHORT: Effort = { perSecond: 100, quietMs: 1500, faultMs: 3000, attempts: 2, slack: 3 };

export interface Campaign {
  /** Starts the server. */
  readonly serve: () => Promise<ServedEstate>;
  readonly estate: string;
  readonly faults: readonly Fault[];
  readonly effort: Effort;
  /** Tokens by tenant: `steady`, `apart`, `noisy`. */
  readonly tokens: ReadonlyMap<string, string>;
  row(row: Row): void;
}

const NOISY = 'noisy';
const SHARED = 'shared';
/** Between two strikes: a client that is refused does not come back at once. */
const PAUSE_MS = 50;
const RECOVERY_MS = 15_000;

export async function runCampaign(campaign: Campaign): Promise<readonly Row[]> {
  const rows: Row[] = [];
  let shared: Session | undefined;
  try {
    for (const fault of campaign.faults) {
      let row: Row;
      if (fault.contained === 'host') {
        await shared?.close();
        shared = undefined;
        row = await alone(campaign, fault);
      } else row = await measured(campaign, fault, (shared ??= await begin(campaign)));
      rows.push(row);
      campaign.row(row);
    }
  } finally {
    await shared?.close();
  }
  return rows;
}

async function measured(campaign: Campaign, fault: Fault, session: Session): Promise<Row> {
  let row = await one(campaign, fault, session);
  for (let attempts = 2; !row.pass && attempts <= campaign.effort.attempts; attempts += 1) {
    row = { ...(await one(campaign, fault, session)), attempts };
  }
  return row;
}

/** On a server of its own each time: once a host has died, those who were in it are kept apart. */
async function alone(campaign: Campaign, fault: Fault): Promise<Row> {
  for (let attempts = 1; ; attempts += 1) {
    const session = await begin(campaign);
    try {
      const row = await one(campaign, fault, session);
      if (row.pass || attempts >= campaign.effort.attempts) return { ...row, attempts };
    } finally {
      await session.close();
    }
  }
}

async function begin({ serve, tokens, effort }: Campaign): Promise<Session> {
  return Session.begin(await serve(), tokens, effort.perSecond);
}

async function one({ effort, estate }: Campaign, fault: Fault, session: Session): Promise<Row> {
  const { served, agent } = session;
  const tenant = NOISY;
  const victim: Victim = {
    target: session.target(tenant),
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
  await session.window();
  await delay(effort.quietMs);
  const [quietBeside = []] = (await session.window()).calls;
  await maxBlockMs(served);
  const eventsBefore = served.hostEvents.length;
  const aOutcomes: Record<string, number> = {};
  let recoverMs: number | undefined = 0;
  const until = performance.now() + effort.faultMs;
  do {
    for (const outcome of await fault.strike(victim)) aOutcomes[outcome] = (aOutcomes[outcome] ?? 0) + 1;
    const ms = await recovered(victim);
    recoverMs = ms === undefined || recoverMs === undefined ? undefined : Math.max(recoverMs, ms);
    await delay(fault.everyMs ?? PAUSE_MS);
  } while (performance.now() < until && served.ended === undefined);
  const { calls } = await session.window();
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
    slack: effort.slack,
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
