// What every tenant has used today, and whether it may use more: the budgets of a day.
// Not responsible for measuring (hosts tell CPU time, egress its bytes) or for storage (`vault/usage-store`).
// Invariant: survives a restart but for the last seconds; a store that cannot be written to is tried again and refuses nobody.
import { type Failure, failure } from '../shared/errors.ts';
import type { Limits } from '../shared/limits.ts';
import type { DayUsage, UsageStore } from '../vault/stores.ts';

const WRITE_EVERY_MS = 2000;
const DAY_MS = 86_400_000;
const US_PER_SECOND = 1_000_000;

export interface Usage {
  /** Counts a call, or says which budget of the tenant is spent. */
  begin(tenant: string, limits: Limits): Failure | undefined;
  addCpu(tenant: string, us: number): void;
  addEgress(tenant: string, bytes: number): void;
  /** Writes what is not stored yet. */
  close(): void;
}

type Counts = { -readonly [K in keyof DayUsage]: DayUsage[K] };
interface Entry {
  /** As stored when the day began here. */
  readonly before: DayUsage;
  /** All that was added since, and the part of it that is not stored yet. */
  readonly added: Counts;
  unsaved: Counts;
}

const NOTHING: DayUsage = { calls: 0, cpuUs: 0, egressBytes: 0 };

export interface UsageOptions {
  readonly store: UsageStore;
  readonly onUnsaved?: (error: unknown) => void;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

export function createUsage({ store, onUnsaved = () => {}, now = Date.now }: UsageOptions): Usage {
  let day = dayOf(now());
  let nextDayAt = endOf(now());
  let entries = new Map<string, Entry>();
  let timer: NodeJS.Timeout | undefined;

  function entryOf(tenant: string): Entry {
    if (now() >= nextDayAt) {
      save();
      day = dayOf(now());
      nextDayAt = endOf(now());
      entries = new Map();
    }
    let entry = entries.get(tenant);
    if (entry === undefined) {
      entry = { before: stored(tenant), added: { ...NOTHING }, unsaved: { ...NOTHING } };
      entries.set(tenant, entry);
    }
    return entry;
  }

  function stored(tenant: string): DayUsage {
    try {
      return store.of(tenant, day);
    } catch (error) {
      onUnsaved(error);
      return NOTHING;
    }
  }

  function add(tenant: string, what: keyof DayUsage, amount: number): void {
    const { added, unsaved } = entryOf(tenant);
    added[what] += amount;
    unsaved[what] += amount;
    timer ??= setTimeout(save, WRITE_EVERY_MS).unref();
  }

  function save(): void {
    clearTimeout(timer);
    timer = undefined;
    const changed = [...entries].filter(([, { unsaved }]) => unsaved.calls + unsaved.cpuUs + unsaved.egressBytes > 0);
    if (changed.length === 0) return;
    try {
      store.add(day, new Map(changed.map(([tenant, { unsaved }]) => [tenant, unsaved])));
      for (const [, entry] of changed) entry.unsaved = { ...NOTHING };
    } catch (error) {
      onUnsaved(error);
      timer = setTimeout(save, WRITE_EVERY_MS).unref();
    }
  }

  return {
    begin(tenant, { callsPerDay, cpuSecondsPerDay, egressBytesPerDay }) {
      const { before, added } = entryOf(tenant);
      const refusal =
        spent('callsPerDay', callsPerDay, before.calls + added.calls) ??
        spent('cpuSecondsPerDay', cpuSecondsPerDay, (before.cpuUs + added.cpuUs) / US_PER_SECOND) ??
        spent('egressBytesPerDay', egressBytesPerDay, before.egressBytes + added.egressBytes);
      if (refusal === undefined) add(tenant, 'calls', 1);
      else return failure('budget_spent', { ...refusal, retryAfterMs: Math.max(1, nextDayAt - now()) });
      return undefined;
    },
    addCpu: (tenant, us) => add(tenant, 'cpuUs', Math.round(us)),
    addEgress: (tenant, bytes) => add(tenant, 'egressBytes', bytes),
    close: save,
  };
}

function spent(limit: string, most: number | undefined, used: number): { limit: string; message: string } | undefined {
  if (most === undefined || used < most) return undefined;
  return { limit, message: `The tenant has used up its limit ${limit} (${most}) of today (UTC).` };
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
function endOf(at: number): number {
  return (Math.floor(at / DAY_MS) + 1) * DAY_MS;
}
