// What tenants have used in a day (UTC): calls, CPU time, bytes to and from upstreams. Added up, also by several supervisors.
// Not responsible for what may be used (`tenants/usage`).
// Invariant: numbers only; what was added is durable when `add` returns; days that are over are cleared away in time.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { transact } from './database.ts';
import type { DayUsage, UsageStore } from './stores.ts';

/** Days that are kept, for whoever wants to bill or look back. */
const KEPT_DAYS = 62;
const DAY_MS = 86_400_000;

export class SqliteUsageStore implements UsageStore {
  readonly #db: DatabaseSync;
  readonly #select: StatementSync;
  readonly #add: StatementSync;
  readonly #sweep: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#select = db.prepare(
      'SELECT calls, cpu_us AS cpuUs, egress_bytes AS egressBytes FROM usage_days WHERE tenant = ? AND day = ?',
    );
    this.#add = db.prepare(
      `INSERT INTO usage_days (tenant, day, calls, cpu_us, egress_bytes) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant, day) DO UPDATE SET calls = calls + excluded.calls, cpu_us = cpu_us + excluded.cpu_us,
         egress_bytes = egress_bytes + excluded.egress_bytes`,
    );
    this.#sweep = db.prepare('DELETE FROM usage_days WHERE day < ?');
  }

  of(tenant: string, day: string): DayUsage {
    const row = this.#select.get(tenant, day) as unknown as DayUsage | undefined;
    return row === undefined ? { calls: 0, cpuUs: 0, egressBytes: 0 } : { ...row };
  }

  add(day: string, used: ReadonlyMap<string, DayUsage>): void {
    transact(this.#db, () => {
      for (const [tenant, { calls, cpuUs, egressBytes }] of used) this.#add.run(tenant, day, calls, cpuUs, egressBytes);
      this.#sweep.run(new Date(Date.parse(day) - KEPT_DAYS * DAY_MS).toISOString().slice(0, 10));
    });
  }
}
