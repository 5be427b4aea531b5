// How often somebody may try a password: per address, and per address and name.
// Not responsible for comparing. Invariant: attempts from one address never keep another one out, so nobody can lock an account;
// bounded memory.
import { addressKey } from '../../rates/address-key.ts';
import { Buckets } from '../../rates/buckets.ts';

const MOST = 20_000;
/** Five at once, then one in twelve seconds. */
const NAME_BURST = 5;
const NAME_PER_SECOND = 1 / 12;
/** For all names: a whole office may stand behind one address. */
const ADDRESS_BURST = 30;
const ADDRESS_PER_SECOND = 1 / 3;

export class Attempts {
  readonly #names = new Buckets(MOST);
  readonly #addresses = new Buckets(MOST);

  /** Counts one. False: it must wait. */
  take(address: string, name: string): boolean {
    const from = addressKey(address);
    if (this.#addresses.take(from, ADDRESS_PER_SECOND, ADDRESS_BURST) > 0) return false;
    return this.#names.take(`${from} ${name.slice(0, 256)}`, NAME_PER_SECOND, NAME_BURST) === 0;
  }
}
