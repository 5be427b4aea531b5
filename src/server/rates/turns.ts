// How much of one turn of the event loop a tenant may have: what it sends beyond that waits for the next turns, tenant by tenant.
// Not responsible for how much a tenant may send at all (`subject-gate`, `tenants/admission`) or for refusing.
// Invariant: a tenant's requests are taken up in their order; a flood of one tenant holds up another's request by one turn at most, and
// what waits is bounded, however many requests a connection sends without waiting for answers.
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';

/** Requests of one tenant in a turn. Each is some 50 to 80 µs of work for the loop that answers everybody. */
const PER_TURN = 16;
/** Requests of one tenant that wait: as many as there are connections (`MAX_CONNECTIONS`). Some 4 KB each, 60 with the largest headers. */
const LONGEST = 8192;
/** Of all tenants; beyond that each may have a burst waiting. */
const MOST = 2 * LONGEST;
const BURST = 256;
/** `uvMetricsInfo.loopCount` tells one turn of the loop from the next (20 ns a look). */
const loop = performance.nodeTiming;

/** Tenants whose share is remembered beyond its turn. */
const SHARES = 1024;

export class Turns {
  /** By tenant: the turn in which it was last served, and how many it had then. */
  readonly #shares = new Map<string, { turn: number; had: number }>();
  /** Of tenants that had their part of a turn: what waits, oldest first. */
  readonly #lines = new Map<string, (() => void)[]>();
  /** In all lines. */
  #waiting = 0;

  /** Runs `take` now or in one of the next turns. False: never, since too many of the tenant wait already. */
  begin(tenant: string, take: () => void): boolean {
    const line = this.#lines.get(tenant);
    if (line === undefined && this.#had(tenant) < PER_TURN) {
      take();
      return true;
    }
    if (line === undefined) {
      if (this.#lines.size === 0) setImmediate(this.#serve);
      this.#lines.set(tenant, [take]);
    } else if (line.length < (this.#waiting < MOST ? LONGEST : BURST)) line.push(take);
    else return false;
    this.#waiting += 1;
    return true;
  }

  /** Resolves when nothing waits. */
  async emptied(): Promise<void> {
    while (this.#waiting > 0) await turn();
  }

  /** How many it had in this turn, before the one that now counts as well. */
  #had(tenant: string): number {
    const turn = loop.uvMetricsInfo.loopCount;
    let share = this.#shares.get(tenant);
    if (share === undefined) {
      if (this.#shares.size >= SHARES) this.#shares.clear();
      this.#shares.set(tenant, (share = { turn, had: 0 }));
    } else if (share.turn !== turn) {
      share.turn = turn;
      share.had = 0;
    }
    share.had += 1;
    return share.had - 1;
  }

  /** After what has arrived in this turn, so that others' requests are read between two parts of a flood. */
  readonly #serve = (): void => {
    const parts = [...this.#lines].map(([tenant, line]) => {
      const part = line.splice(0, PER_TURN);
      if (line.length === 0) this.#lines.delete(tenant);
      this.#waiting -= part.length;
      return part;
    });
    if (this.#lines.size > 0) setImmediate(this.#serve);
    for (let i = 0; i < PER_TURN; i += 1) for (const part of parts) part[i]?.();
  };
}
