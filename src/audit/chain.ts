// The hash chain of one tenant's file: what the next line says of the one before it.
// Not responsible for writing: `journal` makes lines durable, `tenant-files` puts them where they are read.
// Invariant: `link` runs ahead of the disk; `settle` follows it; `rewind` goes back to what is durable, so that a line
// that was refused leaves no hole in `seq`.
import { hash } from 'node:crypto';
import { PendingLines } from './pending-lines.ts';

export const FIRST_PREV = '0'.repeat(64);

/** SHA-256 (hex) of a line without its line feed. */
export function hashLine(line: string): string {
  return hash('sha256', line);
}

export interface Head {
  readonly seq: number;
  readonly prev: string;
  /** Bytes of the tenant's file. */
  readonly size: number;
}

export class TenantChain {
  readonly tenant: string;
  #seq: number;
  #prev: string;
  #durableSeq: number;
  #durablePrev: string;
  /** Where in the tenant's file the next durable line will begin. */
  durableSize: number;
  /** Number of the journal segment that names `durableSize` for this tenant. */
  anchoredIn = 0;
  /** Bytes of the tenant's file that are known to be there. */
  fileSize: number;
  /** Durable lines that are not in the tenant's file yet. */
  readonly pending = new PendingLines();
  /** The tenant's file could not be written when last tried. */
  blocked = false;
  /** Records that were refused since the last one that was written. */
  lost = 0;

  constructor(tenant: string, head: Head) {
    this.tenant = tenant;
    this.#seq = this.#durableSeq = head.seq;
    this.#prev = this.#durablePrev = head.prev;
    this.durableSize = this.fileSize = head.size;
  }

  /** The next line, without line feed. `prefix` is `"time":…,"supervisor":…,` of now. */
  link(prefix: string, event: string): string {
    this.#seq += 1;
    const line = `{"v":1,"seq":${this.#seq},"prev":"${this.#prev}",${prefix}"event":${event}}`;
    this.#prev = hashLine(line);
    return line;
  }

  /** `line` became durable. Called once per line, in the order of `link`. */
  settle(line: string, hashOfLine: string): void {
    this.#durableSeq += 1;
    this.#durablePrev = hashOfLine;
    this.durableSize += line.length + 1;
    this.pending.add(line);
  }

  /** Hash of the line that `link` made last. */
  get head(): string {
    return this.#prev;
  }

  rewind(): void {
    this.#seq = this.#durableSeq;
    this.#prev = this.#durablePrev;
  }
}
