// Credentials that an upstream refused with 401: they rest, longer each time, until they are set anew or one try succeeds.
// Not responsible for refreshing (`grants`). State lives in the vault, so that all processes and the CLI see it.
// Invariant: a credential at rest is not sent; after its rest one request tries, not all that wait.
import type { GrantKey, RejectionStore } from '../vault/stores.ts';
import { isBusy } from '../vault/busy.ts';

const FIRST_REST_MS = 5000;
const LONGEST_REST_MS = 900_000;
/** A probe that nobody hears of again holds back the next one this long. */
const PROBE_MS = 30_000;

/** How long a credential rests after its n-th refusal in a row, from 1. */
export function restMs(failures: number): number {
  return Math.min(FIRST_REST_MS * 2 ** (failures - 1), LONGEST_REST_MS);
}

export class Rejections {
  readonly #store: RejectionStore;
  readonly #now: () => number;

  constructor(store: RejectionStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Milliseconds that the credential still rests; 0: it may be sent. One caller after a rest gets 0, as a try. */
  restOf(key: GrantKey, credential: string): number {
    const known = this.#store.find(key);
    if (known === undefined || known.credential !== credential) return 0;
    const left = known.until - this.#now();
    if (left > 0) return left;
    quietly(() => this.#store.set(key, { ...known, until: this.#now() + PROBE_MS }));
    return 0;
  }

  /**
   * @param before refusals in a row until now, where those of another credential count
   * @returns refusals in a row
   */
  rejected(key: GrantKey, credential: string, before?: number): number {
    const known = this.#store.find(key);
    const at = this.#now();
    const failures = (before ?? (known?.credential === credential ? known.failures : 0)) + 1;
    quietly(() => this.#store.set(key, { credential, failures, until: at + restMs(failures), at }));
    return failures;
  }

  accepted(key: GrantKey): void {
    if (this.#store.find(key) !== undefined) quietly(() => this.#store.clear(key));
  }
}

/** The mark spares an upstream; a call does not fail for it. */
function quietly(write: () => void): void {
  try {
    write();
  } catch (cause) {
    if (!isBusy(cause)) throw cause;
  }
}
