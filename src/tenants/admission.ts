// Grants a slot to a call of a tenant, or refuses with the name of the limit.
// Not responsible for deadlines, or for nested calls: those run in the slot of the call that began them (never waiting
// for themselves).
// Invariant: a slot is given back exactly once; the count of a tenant never exceeds its `concurrentCalls`.
import { type Failure, failure } from '../shared/errors.ts';

const RETRY_MS = 250;

export interface Slot {
  release(): void;
}

export interface Admission {
  /** A slot, or why not. */
  admit(tenant: string, concurrentCalls: number): Slot | Failure;
  /** Calls under way, of all tenants. */
  readonly running: number;
  /** From now on everything is refused with `draining`; resolves when the last slot was given back or after `withinMs`. */
  drain(withinMs: number): Promise<void>;
}

export function createAdmission(): Admission {
  const running = new Map<string, number>();
  let total = 0;
  let draining = false;
  let onIdle: (() => void) | undefined;

  function release(tenant: string): void {
    const left = (running.get(tenant) ?? 1) - 1;
    if (left === 0) running.delete(tenant);
    else running.set(tenant, left);
    total -= 1;
    if (total === 0) onIdle?.();
  }

  return {
    admit(tenant, concurrentCalls) {
      if (draining) return failure('draining', { retryAfterMs: RETRY_MS });
      const now = running.get(tenant) ?? 0;
      if (now >= concurrentCalls) {
        return failure('concurrency_limit', {
          message: `The tenant has reached its limit concurrentCalls (${concurrentCalls}).`,
          retryAfterMs: RETRY_MS,
        });
      }
      running.set(tenant, now + 1);
      total += 1;
      let held = true;
      return {
        release() {
          if (!held) return;
          held = false;
          release(tenant);
        },
      };
    },
    get running() {
      return total;
    },
    async drain(withinMs) {
      draining = true;
      if (total === 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, withinMs);
        onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
  };
}
