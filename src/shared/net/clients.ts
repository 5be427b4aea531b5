// Connections to the outside, one undici pool per origin, kept alive between requests.
// Not responsible for what is sent over them (`exchange`).
// Invariant: never shared between tenants (one object per egress thread, one for authorization servers); a connection made with leave to go private is never used without.
import type { Dispatcher, Pool as UndiciPool } from 'undici';
import { type ConnectSettings, guardedConnector } from './connect.ts';
import type { Resolve } from './resolve.ts';
import { Pool } from './undici-parts.ts';

const ORIGINS = 64;
const CONNECTIONS = 64;
const HEADER_BYTES = 32_768;

export class Clients {
  #pools = new Map<string, UndiciPool>();
  #resolve: Resolve;
  #settings: ConnectSettings;

  constructor(resolve: Resolve, settings: ConnectSettings = {}) {
    this.#resolve = resolve;
    this.#settings = settings;
  }

  /** @param origin as `URL.origin` gives it, already allowed by the policy. */
  for(origin: string, allowPrivate: boolean): Dispatcher {
    const key = `${allowPrivate ? '+' : '-'}${origin}`;
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const pool = new Pool(origin, {
      connect: guardedConnector({ ...this.#settings, resolve: this.#resolve, allowPrivate }),
      connections: CONNECTIONS,
      pipelining: 1,
      maxHeaderSize: HEADER_BYTES,
      // One total timer per request stands in their place: theirs restart with every byte.
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
    });
    this.#pools.set(key, pool);
    if (this.#pools.size > ORIGINS) this.#dropOldest();
    return pool;
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  /** Requests under way on it still end. */
  #dropOldest(): void {
    const oldest = this.#pools.entries().next();
    if (oldest.done) return;
    const [key, pool] = oldest.value;
    this.#pools.delete(key);
    pool.close().catch(() => undefined);
  }
}
