// Which tenants are kept apart, in hosts of their own, because they may have killed a shared one: for a healthy time that doubles.
// Not responsible for starting or ending hosts (`cordon`) or for moving pools (`create-hosts`).
// Invariant: a tenant goes back only after a healthy time; at most `MOST_AT_ONCE` are moved for one death.
import { isAlone, apartCordon } from '../shared/cordon-name.ts';

/** Who had work in a host that died cannot be told apart by the death; the next one names its tenant. */
const MOST_AT_ONCE = 8;
/** After the last death. */
const HEALTHY_MS = 300_000;
const MAX_HEALTHY_MS = 3_600_000;

export interface Separated {
  readonly tenant: string;
  /** Deaths of hosts that it had work in, since it was last forgotten. */
  readonly deaths: number;
  /** Epoch milliseconds, where nothing happens until then. */
  readonly until: number;
}

interface Entry {
  deaths: number;
  until: number;
  apart: boolean;
  timer: NodeJS.Timeout | undefined;
}

export interface SeparationEvents {
  separated(entry: Separated): void;
  /** It may be served from its own cordon's hosts again. */
  returned(tenant: string): void;
}

export class Separation {
  readonly #entries = new Map<string, Entry>();
  readonly #events: SeparationEvents;
  readonly #healthyMs: number;
  #closed = false;

  constructor(events: SeparationEvents, healthyMs = HEALTHY_MS) {
    this.#events = events;
    this.#healthyMs = healthyMs;
  }

  /** The cordon that serves the tenant now. */
  cordonOf(tenant: string, configured: string): string {
    return this.#entries.get(tenant)?.apart === true && !isAlone(configured) ? apartCordon(tenant) : configured;
  }

  list(): Separated[] {
    return [...this.#entries].filter(([, { apart }]) => apart).map(([tenant, { deaths, until }]) => ({ tenant, deaths, until }));
  }

  /** A host died in which these tenants had work, or a thread of this one tenant could not be ended. */
  blame(suspects: Iterable<string>): void {
    if (this.#closed) return;
    const entries = [...new Set(suspects)].map((tenant) => ({ tenant, entry: this.#entry(tenant) }));
    for (const { entry } of entries) entry.deaths += 1;
    entries.sort((a, b) => b.entry.deaths - a.entry.deaths);
    for (const { tenant, entry } of entries.slice(0, MOST_AT_ONCE)) this.#separate(tenant, entry);
    for (const { tenant, entry } of entries.slice(MOST_AT_ONCE)) if (!entry.apart) this.#watch(tenant, entry, this.#healthyMs);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#entries.values()) clearTimeout(timer);
  }

  #entry(tenant: string): Entry {
    let entry = this.#entries.get(tenant);
    if (entry === undefined) {
      entry = { deaths: 0, until: 0, apart: false, timer: undefined };
      this.#entries.set(tenant, entry);
    }
    return entry;
  }

  #separate(tenant: string, entry: Entry): void {
    const healthyMs = Math.min(MAX_HEALTHY_MS, this.#healthyMs * 2 ** (entry.deaths - 1));
    entry.apart = true;
    this.#watch(tenant, entry, healthyMs);
    this.#events.separated({ tenant, deaths: entry.deaths, until: entry.until });
  }

  #watch(tenant: string, entry: Entry, healthyMs: number): void {
    clearTimeout(entry.timer);
    entry.until = Date.now() + healthyMs;
    entry.timer = setTimeout(() => this.#healthy(tenant, entry), healthyMs).unref();
  }

  /** Back first; what it did is forgotten when it stays healthy there too. */
  #healthy(tenant: string, entry: Entry): void {
    if (!entry.apart) {
      this.#entries.delete(tenant);
      return;
    }
    entry.apart = false;
    this.#watch(tenant, entry, Math.min(MAX_HEALTHY_MS, this.#healthyMs * 2 ** entry.deaths));
    this.#events.returned(tenant);
  }
}
