// Reads the author's log files: what is there, and what is added while one watches.
// Not responsible for writing or rotating them (`tenants/author-log`) or for showing lines.
// Invariant: never holds more than one file's worth of text (they are bounded); a torn or foreign line is skipped.
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as wait } from 'node:timers/promises';
import { isTenantId } from '../shared/ids.ts';
import { authorLogFile, type StampedLine } from '../tenants/author-log.ts';

const READ_BYTES = 65_536;
const POLL_MS = 200;

/** Tenants that have a log. */
export async function loggedTenants(dataDir: string): Promise<string[]> {
  const names = await readdir(join(dataDir, 'logs')).catch((): string[] => []);
  return names.flatMap((name) => (name.endsWith('.jsonl') && isTenantId(name.slice(0, -6)) ? [name.slice(0, -6)] : [])).sort();
}

/** The last `count` lines of the tenants, oldest first. */
export async function lastLines(dataDir: string, tenants: readonly string[], count: number): Promise<StampedLine[]> {
  const all: StampedLine[] = [];
  for (const tenant of tenants) {
    const file = authorLogFile(dataDir, tenant);
    const [before, now] = await Promise.all([`${file}.1`, file].map((each) => readFile(each, 'utf8').catch(() => '')));
    all.push(...parseLines(`${before}${now}`).slice(-count));
  }
  return all.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).slice(-count);
}

/** Lines that are added from now on, until `signal` aborts. Also finds tenants that begin to log later, where none were named. */
export async function* newLines(dataDir: string, named: readonly string[], signal: AbortSignal): AsyncGenerator<StampedLine> {
  const tails = new Map<string, Tail>();
  for (const tenant of named.length > 0 ? named : await loggedTenants(dataDir))
    tails.set(tenant, await Tail.atEnd(dataDir, tenant));
  while (!signal.aborted) {
    for (const tenant of named.length > 0 ? [] : await loggedTenants(dataDir)) {
      if (!tails.has(tenant)) tails.set(tenant, new Tail(dataDir, tenant));
    }
    for (const tail of tails.values()) yield* parseLines(await tail.read());
    await wait(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

/** Follows one file by size and inode, as `tail -F` does: the name outlives a rotation. */
class Tail {
  readonly #file: string;
  #offset = 0;
  #inode: number | undefined;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(dataDir: string, tenant: string) {
    this.#file = authorLogFile(dataDir, tenant);
  }

  static async atEnd(dataDir: string, tenant: string): Promise<Tail> {
    const tail = new Tail(dataDir, tenant);
    await tail.#withFile(async (handle) => {
      const { size, ino } = await handle.stat();
      tail.#offset = size;
      tail.#inode = ino;
    });
    return tail;
  }

  /** Whole lines that were added since the last time. */
  async read(): Promise<string> {
    let added = this.#rest;
    await this.#withFile(async (handle) => {
      const { size, ino } = await handle.stat();
      if (ino !== this.#inode || size < this.#offset) this.#offset = 0;
      this.#inode = ino;
      const buffer = Buffer.alloc(READ_BYTES);
      while (this.#offset < size) {
        const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, this.#offset);
        if (bytesRead === 0) break;
        added += this.#decoder.write(buffer.subarray(0, bytesRead));
        this.#offset += bytesRead;
      }
    });
    const whole = added.lastIndexOf('\n') + 1;
    this.#rest = added.slice(whole);
    return added.slice(0, whole);
  }

  async #withFile(use: (handle: FileHandle) => Promise<void>): Promise<void> {
    let handle: FileHandle;
    try {
      handle = await open(this.#file, 'r');
    } catch {
      return;
    }
    try {
      await use(handle);
    } finally {
      await handle.close();
    }
  }
}

function parseLines(text: string): StampedLine[] {
  return text.split('\n').flatMap((line) => {
    try {
      const value = JSON.parse(line) as Partial<StampedLine> | null;
      const fits = typeof value?.time === 'string' && typeof value.tenant === 'string' && typeof value.message === 'string';
      return fits ? [value as StampedLine] : [];
    } catch {
      return [];
    }
  });
}
