// How often one address may be refused before it is only told to wait, and no other server is asked about its tokens.
// Not responsible for refusing. Invariant: it never keeps a good credential out that can be verified here: what is counted are refusals,
// and what they cost is only the way of saying no; nobody can use it to lock out others behind the same address.
import type { FastifyRequest } from 'fastify';
import { addressKey, isLoopbackPeer } from './address-key.ts';
import { Buckets } from './buckets.ts';

/** Addresses that are remembered: a few hundred bytes each. */
const ADDRESSES = 10_000;
const BURST_MINUTES = 1;

export class RefusalGate {
  readonly #perMinute: number;
  readonly #buckets: Buckets;

  /** @param perMinute 0: no limit */
  constructor(perMinute: number, now?: () => number) {
    this.#perMinute = perMinute;
    this.#buckets = new Buckets(ADDRESSES, now);
  }

  /** Milliseconds to wait; 0 where the address has not been refused too often. */
  wait(request: FastifyRequest): number {
    if (this.#buckets.size === 0 || isExempt(request)) return 0;
    return this.#buckets.wait(addressKey(request.ip), this.#perMinute / 60, this.#perMinute * BURST_MINUTES);
  }

  /** One more refusal. */
  count(request: FastifyRequest): number {
    if (this.#perMinute === 0 || isExempt(request)) return 0;
    return this.#buckets.take(addressKey(request.ip), this.#perMinute / 60, this.#perMinute * BURST_MINUTES);
  }
}

/** Whoever is behind a proxy on this machine that was not named as trusted has its address: all of them would be one. */
function isExempt({ ip }: FastifyRequest): boolean {
  return isLoopbackPeer(ip);
}
