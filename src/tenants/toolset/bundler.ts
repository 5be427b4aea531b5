// Bundles tenants, a few at a time, with children that stay for a while so that the next change is quick.
// Not responsible for the child itself (`bundler-child`) or for the cache (`bundle-cache`).
// Invariant: a child serves one tenant only (its permissions are that tenant's); at most `MOST` children live, and none after `close`.
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { BundleOrder } from '../../boundary/bundling.ts';
import { type Bundled, BundlerChild, lost } from './bundler-child.ts';

/** A child holds about 200 MB while it lives. */
const MOST = 2;
const IDLE_MS = 30_000;

interface Live {
  readonly key: string;
  readonly child: BundlerChild;
  busy: boolean;
  idle: NodeJS.Timeout | undefined;
}

export class Bundler {
  readonly #cwd: string;
  readonly #live: Live[] = [];
  readonly #waiting: (() => void)[] = [];
  #closed = false;

  /** `runDir`: where the children's empty working folder is made. */
  constructor(runDir: string) {
    this.#cwd = join(runDir, 'empty');
    mkdirSync(this.#cwd, { recursive: true, mode: 0o700 });
  }

  /** Never rejects. */
  async bundle(order: BundleOrder): Promise<Bundled> {
    const live = await this.#take(order);
    if (live === undefined) return lost();
    live.busy = true;
    clearTimeout(live.idle);
    try {
      return await live.child.bundle(order);
    } finally {
      live.busy = false;
      if (live.child.ended || this.#closed) this.#end(live);
      else live.idle = setTimeout(() => this.#end(live), IDLE_MS).unref();
      this.#waiting.shift()?.();
    }
  }

  /** What is under way, or waits, ends without a result. */
  close(): void {
    this.#closed = true;
    for (const wake of this.#waiting.splice(0)) wake();
    for (let live = this.#live[0]; live !== undefined; live = this.#live[0]) this.#end(live);
  }

  async #take(order: BundleOrder): Promise<Live | undefined> {
    const key = JSON.stringify([order.tenant, order.shared, order.libraries]);
    while (!this.#closed) {
      const own = this.#live.find((live) => live.key === key && !live.busy && !live.child.ended);
      if (own !== undefined) return own;
      if (this.#live.length >= MOST) {
        const idle = this.#live.find((live) => !live.busy);
        if (idle !== undefined) this.#end(idle);
      }
      if (this.#live.length < MOST) {
        const made: Live = { key, child: new BundlerChild(order, realpathSync(this.#cwd)), busy: true, idle: undefined };
        this.#live.push(made);
        return made;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return undefined;
  }

  #end(live: Live): void {
    clearTimeout(live.idle);
    live.child.end();
    const at = this.#live.indexOf(live);
    if (at !== -1) this.#live.splice(at, 1);
  }
}
