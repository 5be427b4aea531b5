// The short code that ties a browser to the client that asked: shown by the client, typed on the page.
// Not responsible for counting guesses (`connect-flow`). Pure.
// Invariant: random, and no part of the link, so that who has only the link does not have it.
import { randomInt, timingSafeEqual } from 'node:crypto';

/** Without characters that are read as others. 30^6 codes, and a handful of guesses. */
const ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ';
const CHARACTERS = 6;
const GROUP = 3;

/** `7Q3-F9K` */
export function newShortCode(): string {
  const characters = Array.from({ length: CHARACTERS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return `${characters.slice(0, GROUP)}-${characters.slice(GROUP)}`;
}

/** Case, spaces and dashes do not count. */
export function isShortCode(code: string, typed: string): boolean {
  const expected = Buffer.from(bare(code));
  const given = Buffer.from(bare(typed.slice(0, 100)));
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function bare(code: string): string {
  return code.replace(/[\s-]+/g, '').toUpperCase();
}
