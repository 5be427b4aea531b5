// What happened, as plain numbers by tenant: calls by how they ended, limits that were met, what pools use.
// Not responsible for an exposition format (`exposition`) or for budgets (`tenants/usage`).
// Invariant: counting is an addition; at most `MAX_TENANTS` tenants have numbers of their own, the rest share `other`; no subject, no
// value, no name that a client chose.
import type { FailureClass } from '../shared/errors.ts';

/** How a call ended: a class of the error table, `ok`, or `input_required`. */
export type CallEnd = FailureClass | 'ok' | 'input_required';
export type PoolKind = 'tools' | 'egress';

export interface PoolUse {
  readonly cpuUs: number;
  readonly threads: number;
  readonly heapBytes: number;
}

const MAX_TENANTS = 1000;
const OTHER = 'other';

class TenantCounts {
  readonly calls = new Map<CallEnd, number>();
  readonly limits = new Map<string, number>();
  readonly pools: { readonly [kind in PoolKind]: { cpuUs: number; threads: number; heapBytes: number } } = {
    tools: { cpuUs: 0, threads: 0, heapBytes: 0 },
    egress: { cpuUs: 0, threads: 0, heapBytes: 0 },
  };
}
export type { TenantCounts };

export class Counts {
  readonly tenants = new Map<string, TenantCounts>();
  /** Host processes that ended unasked. */
  readonly hostDeaths: { [kind in PoolKind]: number } = { tools: 0, egress: 0 };

  called(tenant: string, end: CallEnd): void {
    const { calls } = this.#of(tenant);
    calls.set(end, (calls.get(end) ?? 0) + 1);
  }

  limited(tenant: string, limit: string): void {
    const { limits } = this.#of(tenant);
    limits.set(limit, (limits.get(limit) ?? 0) + 1);
  }

  used(tenant: string, kind: PoolKind, { cpuUs, threads, heapBytes }: PoolUse): void {
    const of = this.#of(tenant).pools[kind];
    of.cpuUs += cpuUs;
    of.threads = threads;
    of.heapBytes = heapBytes;
  }

  /** The pool holds no thread any more. */
  asleep(tenant: string, kind: PoolKind): void {
    const of = this.tenants.get(tenant)?.pools[kind];
    if (of === undefined) return;
    of.threads = 0;
    of.heapBytes = 0;
  }

  #of(tenant: string): TenantCounts {
    let counts = this.tenants.get(tenant);
    if (counts !== undefined) return counts;
    const name = this.tenants.size < MAX_TENANTS ? tenant : OTHER;
    counts = this.tenants.get(name) ?? new TenantCounts();
    this.tenants.set(name, counts);
    return counts;
  }
}
