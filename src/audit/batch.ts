// The records that are committed together, and the one promise that all who wait for them share.
// Not responsible for writing. A promise per batch, not per record: that is most of what makes an append cheap.
// Invariant: settled once; lines keep the order in which they were linked.
import type { TenantChain } from './chain.ts';

interface Entry {
  readonly chain: TenantChain;
  readonly line: string;
  readonly hash: string;
  /** Records that are lost when this one is: 1, or what a gap record stands for. */
  readonly lost: number;
}

export class Batch {
  readonly #settled = Promise.withResolvers<void>();
  readonly #entries: Entry[] = [];
  bytes = 0;

  constructor() {
    // Who appends and does not wait must not bring the process down by an unhandled rejection.
    this.#settled.promise.catch(() => undefined);
  }

  get durable(): Promise<void> {
    return this.#settled.promise;
  }
  get size(): number {
    return this.#entries.length;
  }

  add(chain: TenantChain, line: string, lost: number): void {
    this.#entries.push({ chain, line, hash: chain.head, lost });
    this.bytes += line.length + 1;
  }

  /** The journal's text: lines, and an anchor before the first line of a tenant in this segment. */
  text(segment: number): string {
    let text = '';
    for (const { chain, line } of this.#entries) {
      if (chain.anchoredIn !== segment) {
        text += `@${chain.tenant} ${chain.durableSize}\n`;
        chain.anchoredIn = segment;
      }
      text += `${line}\n`;
    }
    return text;
  }

  succeed(each: (chain: TenantChain) => void): void {
    for (const { chain, line, hash } of this.#entries) {
      chain.settle(line, hash);
      each(chain);
    }
    this.#settled.resolve();
  }

  fail(error: Error, each: (chain: TenantChain) => void): void {
    for (const { chain, lost } of this.#entries) {
      chain.rewind();
      chain.lost += lost;
      each(chain);
    }
    this.#settled.reject(error);
  }
}
