// Passwords of people who sign in here: hashed with scrypt (RFC 7914), compared in constant time, a few at once.
// Not responsible for storing or for limits (`sign-in`).
// Invariant: a name that does not exist costs the same work as a wrong password; what stands in a hash says how it was made, so that old
// ones stay good when the parameters rise; the memory of all comparisons together is bounded.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** 32 MiB and about a tenth of a second each. */
const COST = { N: 2 ** 15, r: 8, p: 3 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const FORM = /^scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9_-]{22})\$([A-Za-z0-9_-]{43})$/;

export const SHORTEST = 12;
export const LONGEST = 256;

/** At work, and waiting: beyond that callers are told to come again. */
const AT_ONCE = 2;
const WAITING = 32;

/** Why a password will not do, for whoever chooses it. */
export function passwordProblem(password: string): string | undefined {
  const { length } = Array.from(password);
  if (length < SHORTEST) return `a password has at least ${SHORTEST} characters`;
  return length > LONGEST ? `a password has at most ${LONGEST} characters` : undefined;
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hashed = await derive(password, salt, COST);
  return ['scrypt', Math.log2(COST.N), COST.r, COST.p, salt.toString('base64url'), hashed.toString('base64url')].join('$');
}

/** Compared with where there is no such user: no password leads to it. */
const NOBODY = `scrypt$${Math.log2(COST.N)}$${COST.r}$${COST.p}$${'A'.repeat(22)}$${'A'.repeat(43)}`;

export class Passwords {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Undefined where too many wait. @param stored undefined: there is no such user; it takes as long and is false */
  async matches(password: string, stored: string | undefined): Promise<boolean | undefined> {
    if (this.#running >= AT_ONCE) {
      if (this.#waiting.length >= WAITING) return undefined;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      const same = await compare(password, stored ?? NOBODY);
      return same && stored !== undefined;
    } finally {
      // Whoever waits takes over the place.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

async function compare(password: string, stored: string): Promise<boolean> {
  const [, ln, r, p, salt = '', hashed = ''] = FORM.exec(stored) ?? [];
  const cost = { N: 2 ** Number(ln), r: Number(r), p: Number(p) };
  const given = await derive(password.slice(0, 4 * LONGEST), Buffer.from(salt, 'base64url'), cost);
  return timingSafeEqual(given, Buffer.from(hashed, 'base64url'));
}

/** NFKC, so that a keyboard which composes letters differently makes the same password (RFC 8265, section 4.2). */
function derive(password: string, salt: Buffer, { N, r, p }: { N: number; r: number; p: number }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, { N, r, p, maxmem: 256 * r * (N + p) }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}
