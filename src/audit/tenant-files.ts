// Puts durable lines where they are read: `<audit folder>/<tenant>.jsonl`, some time after the journal has them.
// Not responsible for durability before an action (`journal`) or for the chain (`chain`).
// Invariant: lines are written at known offsets, so that a repeated write overwrites itself; one tenant whose file cannot
// be written holds up nobody else; at most OPEN_FILES are open.
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TenantChain } from './chain.ts';

const OPEN_FILES = 64;
/** Unwritten lines that a tenant may have in memory, bytes: with its file in order, and with it blocked. */
const PENDING = 64 * 1024 * 1024;
const PENDING_BLOCKED = 1024 * 1024;

export function tenantFile(folder: string, tenant: string): string {
  return join(folder, `${tenant}.jsonl`);
}

export class TenantFiles {
  readonly #folder: string;
  readonly #open = new Map<TenantChain, FileHandle>();
  readonly #dirty = new Set<TenantChain>();
  readonly #unsynced = new Set<TenantChain>();
  /** Lines are moved one pass after the other: two writers of one file would race. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The chain has pending lines. */
  mark(chain: TenantChain): void {
    this.#dirty.add(chain);
  }
  /** The chain's file may have bytes that never reached the disk. */
  distrust(chain: TenantChain): void {
    this.#unsynced.add(chain);
  }
  /** Whether some tenant's file could not be written when last tried. */
  get blocked(): boolean {
    for (const chain of this.#dirty) if (chain.blocked) return true;
    return false;
  }
  get idle(): boolean {
    return this.#dirty.size === 0;
  }
  /** Whether the tenant's backlog leaves room for more records. */
  accepts(chain: TenantChain): boolean {
    return chain.pending.length <= (chain.blocked ? PENDING_BLOCKED : PENDING);
  }

  /** Writes what is pending. Never rejects: what could not be written stays pending, and its tenant is `blocked`. */
  flush(): Promise<void> {
    const pass = this.#last.then(() => this.#flush());
    this.#last = pass;
    return pass;
  }

  /** Writes and syncs all. True where nothing of any tenant is left in memory only. */
  settle(): Promise<boolean> {
    const pass = this.#last.then(async () => {
      await this.#flush();
      let clean = this.#dirty.size === 0;
      for (const chain of this.#unsynced) {
        if (!(await this.#attempt(chain, (file) => file.datasync()))) clean = false;
        else this.#unsynced.delete(chain);
      }
      return clean && (await this.#syncFolder());
    });
    this.#last = pass;
    return pass;
  }

  async close(): Promise<void> {
    await this.#last;
    const files = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(files.map((file) => file.close()));
  }

  async #flush(): Promise<void> {
    for (const chain of this.#dirty) {
      const bytes = chain.pending.bytes();
      if (await this.#attempt(chain, (file) => append(chain, file, bytes))) {
        chain.pending.drop(bytes.length);
        this.#unsynced.add(chain);
        if (chain.pending.length === 0) this.#dirty.delete(chain);
      }
    }
  }

  async #attempt(chain: TenantChain, action: (file: FileHandle) => Promise<void>): Promise<boolean> {
    try {
      await action(await this.#fileOf(chain));
      chain.blocked = false;
      return true;
    } catch {
      chain.blocked = true;
      await this.#forget(chain);
      return false;
    }
  }

  async #fileOf(chain: TenantChain): Promise<FileHandle> {
    const known = this.#open.get(chain);
    if (known !== undefined && (await isStill(known, tenantFile(this.#folder, chain.tenant)))) {
      this.#open.delete(chain);
      this.#open.set(chain, known);
      return known;
    }
    if (known !== undefined) {
      // Moved away, or replaced by a copy (an editor, a sync): what is read under the name must get the lines.
      await this.#forget(chain);
    }
    for (const oldest of this.#open.keys()) {
      if (this.#open.size < OPEN_FILES) break;
      await this.#forget(oldest);
    }
    const flags = constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
    const file = await open(tenantFile(this.#folder, chain.tenant), flags, 0o600);
    this.#open.set(chain, file);
    if (known !== undefined) goOnAt(chain, (await file.stat()).size);
    return file;
  }

  async #forget(chain: TenantChain): Promise<void> {
    const file = this.#open.get(chain);
    this.#open.delete(chain);
    chain.pending.release();
    await file?.close().catch(() => undefined);
  }

  async #syncFolder(): Promise<boolean> {
    if (process.platform === 'win32') return true;
    try {
      await using folder = await open(this.#folder, 'r');
      await folder.sync();
      return true;
    } catch {
      return false;
    }
  }
}

/** The name leads to this very file. */
async function isStill(file: FileHandle, path: string): Promise<boolean> {
  try {
    const [open, named] = await Promise.all([file.stat(), stat(path)]);
    return open.ino === named.ino && open.dev === named.dev;
  } catch {
    return false;
  }
}

/** The file ends elsewhere than the chain knows: its next line goes to that end. */
function goOnAt(chain: TenantChain, size: number): void {
  chain.durableSize += size - chain.fileSize;
  chain.fileSize = size;
  chain.anchoredIn = 0;
}

async function append(chain: TenantChain, file: FileHandle, bytes: Buffer): Promise<void> {
  const { size } = await file.stat();
  // Shorter than we know it to be: an operator copied and truncated it.
  if (size < chain.fileSize) goOnAt(chain, size);
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, chain.fileSize + done);
    if (bytesWritten === 0) throw new Error('nothing could be written');
    done += bytesWritten;
  }
  chain.fileSize += bytes.length;
}
