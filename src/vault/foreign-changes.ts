// Notices what other processes (the CLI) committed to the database, so that caches can be dropped.
// Not responsible for what changed: everything that is cached goes.
// Invariant: what was read from a cache is at most STALE_MS behind the file. No timer: who reads, asks; an idle server
// does nothing.
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** Asking costs some microseconds; a revocation must count within a second. */
export const STALE_MS = 200;

export class ForeignChanges {
  readonly #version: StatementSync;
  readonly #listeners: (() => void)[] = [];
  #seen: unknown;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(db: DatabaseSync) {
    // Changes with every commit of another connection, never with one of this connection.
    this.#version = db.prepare('PRAGMA data_version');
    this.#seen = this.#read();
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Before each read from a cache. */
  check(): void {
    if (performance.now() - this.#askedAt >= STALE_MS) this.checkNow();
  }

  /** Inside a write transaction nothing can change any more after this. */
  checkNow(): void {
    this.#askedAt = performance.now();
    const version = this.#read();
    if (version === this.#seen) return;
    this.#seen = version;
    for (const listener of this.#listeners) listener();
  }

  #read(): unknown {
    return (this.#version.get() as { data_version: number }).data_version;
  }
}
