// The audit log of one supervisor: append, group commit, fail closed, recover.
// Not responsible for the form of a record (`encode`, `chain`) or for its files (`journal`, `tenant-files`).
// Invariant: a promise of `append` resolves only after the journal has the record on disk; while it cannot be written every
// append is refused, and the first records after that say how many were.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isTenantId, newCorrelationId } from '../shared/ids.ts';
import { Batch } from './batch.ts';
import { TenantChain } from './chain.ts';
import { encodeEvent, quote } from './encode.ts';
import { Journal } from './journal.ts';
import { lockFolder } from './lock.ts';
import { type AuditEvent, type AuditLog, NO_TENANT } from './record.ts';
import { recover } from './recover.ts';
import { readHead } from './tenant-tail.ts';
import { TenantFiles, tenantFile } from './tenant-files.ts';
import { AuditUnavailable } from './unavailable.ts';

/** A commit that takes longer counts as failed. */
const COMMIT_MS = 2000;
/** Records that may wait for a commit; more are refused. */
const QUEUE_RECORDS = 16_384;
const QUEUE_BYTES = 16 * 1024 * 1024;
/**
 * A commit costs about 60 µs of CPU whatever is in it. Whoever waited for the last one, or already for the next while it was written,
 * soon has another record (the outcome of the call, the next call): so the next one waits for as many records, or for this long.
 */
const GATHER_MS = 1;
/** With fewer callers the wait would be felt, and spare little. */
const GATHER_FROM = 4;
/** All who wait for a commit go on in one turn of the loop: of more, the last would wait for the work of too many others. */
const GATHER_MOST = 32;
/** How long a durable record may be in the journal only. */
const FAN_OUT_MS = 50;
const BLOCKED_MS = 1000;
const PROBE_MS = 250;
/** What `relaxed` may lose, at most about twice this. */
const RELAXED_MS = 200;
const TELL_AGAIN_MS = 10_000;

export type AuditMode = 'strict' | 'grouped' | 'relaxed';
export interface AuditOptions {
  readonly dataDir: string;
  /**
   * `strict`: a commit begins with the first record that waits. `grouped`: it gathers the records of one turn of the event
   * loop, with several callers of up to a millisecond. Both resolve after the commit. `relaxed`: resolves at once, and may lose up to
   * a second of records in a crash.
   */
  readonly mode: AuditMode;
  readonly supervisorId: string;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  readonly segmentBytes?: number;
  /** Told of refusals, at most one in ten seconds per tenant: the caller learns nothing exact, so the operator must. */
  readonly onRefused?: (tenant: string, reason: string) => void;
}

export interface AuditTrail extends AuditLog {
  /** Folder of the `<tenant>.jsonl` files. */
  readonly folder: string;
  /** Resolves when every record appended so far is committed and, where it can be, in its tenant's file. */
  flush(): Promise<void>;
}

/** Replays what a crash left in the journal. Throws `AuditRefused` where the folder has another writer or is damaged. */
export async function createAuditLog(options: AuditOptions): Promise<AuditTrail> {
  const folder = join(options.dataDir, 'audit');
  const journalFolder = join(folder, 'journal');
  mkdirSync(journalFolder, { recursive: true, mode: 0o700 });
  const lock = lockFolder(folder, options.supervisorId);
  try {
    const { chains, last } = await recover(folder, journalFolder);
    const log = new GroupCommit(options, folder, new Journal(journalFolder, last, options.segmentBytes), chains, lock.release);
    await log.start();
    return log;
  } catch (cause) {
    lock.release();
    throw cause;
  }
}

const DONE = Promise.resolve();
const BUSY = 'the audit could not take more records';

class GroupCommit implements AuditTrail {
  readonly folder: string;
  readonly #mode: AuditMode;
  readonly #now: () => number;
  readonly #supervisor: string;
  readonly #journal: Journal;
  readonly #files: TenantFiles;
  readonly #release: () => void;
  readonly #chains = new Map<string, TenantChain>();
  /** Tenants with refused records that no gap record tells of yet. */
  readonly #gapped = new Set<TenantChain>();
  #open = new Batch();
  #flying: Batch | undefined;
  #scheduled = false;
  #gather: NodeJS.Timeout | undefined;
  /** Records that the next commit may wait for. */
  #expected = 0;
  #fault: AuditUnavailable | undefined;
  #closed = false;
  #watchdog: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  #fanOut: NodeJS.Timeout | undefined;
  /** Segments before this one may go as soon as all files are settled. */
  #retire = 0;
  #time = Number.NaN;
  #prefix = '';
  readonly #onRefused: AuditOptions['onRefused'];
  /** When the operator was last told of a tenant. Tenant ids only: as bounded as the chains. */
  readonly #told = new Map<string, number>();

  constructor(options: AuditOptions, folder: string, journal: Journal, chains: readonly TenantChain[], release: () => void) {
    this.folder = folder;
    this.#mode = options.mode;
    this.#now = options.now ?? Date.now;
    this.#supervisor = quote(options.supervisorId);
    this.#journal = journal;
    this.#files = new TenantFiles(folder);
    this.#release = release;
    this.#onRefused = options.onRefused;
    for (const chain of chains) {
      this.#chains.set(chain.tenant, chain);
      if (chain.pending.length > 0) this.#files.mark(chain);
      this.#files.distrust(chain);
    }
  }

  async start(): Promise<void> {
    await this.#journal.rotate();
    await this.#dropSegments(this.#journal.segment);
  }

  append(event: AuditEvent): Promise<void> {
    try {
      const chain = this.#chainOf(event.tenant);
      const refusal = this.#refusal(chain);
      if (refusal !== undefined) {
        this.#tell(event.tenant, refusal);
        chain.lost += 1;
        this.#gapped.add(chain);
        return this.#mode === 'relaxed' && !this.#closed ? DONE : Promise.reject(refusal);
      }
      const encoded = encodeEvent(event);
      if (chain.lost > 0) this.#linkGap(chain, this.#open, BUSY);
      const batch = this.#open;
      batch.add(chain, chain.link(this.#envelope(), encoded), 1);
      if (this.#gather !== undefined && this.#open.size >= this.#expected) this.#commit();
      else this.#schedule();
      return this.#mode === 'relaxed' ? DONE : batch.durable;
    } catch (cause) {
      const refusal = cause instanceof AuditUnavailable ? cause : new AuditUnavailable('the event cannot be written', { cause });
      this.#tell(event.tenant, refusal);
      return Promise.reject(refusal);
    }
  }

  #tell(tenant: string, { message }: Error): void {
    const now = performance.now();
    if (this.#onRefused === undefined || now - (this.#told.get(tenant) ?? Number.NEGATIVE_INFINITY) < TELL_AGAIN_MS) return;
    this.#told.set(tenant, now);
    this.#onRefused(tenant, message);
  }

  healthy(): boolean {
    return !this.#closed && this.#fault === undefined;
  }

  async flush(): Promise<void> {
    await this.#committedAll();
    await this.#files.flush();
  }

  async #committedAll(): Promise<void> {
    while (this.#flying !== undefined || this.#open.size > 0) {
      if (this.#flying === undefined) this.#commit();
      await (this.#flying ?? this.#open).durable.catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#committedAll();
    for (const timer of [this.#fanOut, this.#probe, this.#watchdog]) clearTimeout(timer);
    // A disk that hangs must not keep the process: the journal has everything, the next start goes on from it.
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, COMMIT_MS);
    await Promise.race([this.#finish(), late.promise]);
    clearTimeout(timer);
    this.#journal.close();
    this.#release();
  }

  async #finish(): Promise<void> {
    await this.#files.flush();
    if ((await this.#files.settle()) && !this.#journal.busy) await this.#journal.dropBefore(this.#journal.segment + 1);
    await this.#files.close();
  }

  #refusal(chain: TenantChain): AuditUnavailable | undefined {
    if (this.#closed) return new AuditUnavailable('the log is closed');
    if (this.#fault !== undefined) return this.#fault;
    if (this.#open.size >= QUEUE_RECORDS || this.#open.bytes >= QUEUE_BYTES) return new AuditUnavailable('the queue is full');
    if (!this.#files.accepts(chain)) return new AuditUnavailable(`the file of ${chain.tenant} cannot be written`);
    return undefined;
  }

  #chainOf(tenant: string): TenantChain {
    const known = this.#chains.get(tenant);
    if (known !== undefined) return known;
    // The id becomes a file name: what is no id has no file.
    if (!isTenantId(tenant) && tenant !== NO_TENANT) throw new AuditUnavailable('the event names no tenant');
    const chain = new TenantChain(tenant, readHead(tenantFile(this.folder, tenant)));
    this.#chains.set(tenant, chain);
    return chain;
  }

  #envelope(): string {
    const now = this.#now();
    if (now !== this.#time) {
      this.#time = now;
      this.#prefix = `"time":"${new Date(now).toISOString()}","supervisor":${this.#supervisor},`;
    }
    return this.#prefix;
  }

  #linkGap(chain: TenantChain, into: Batch, reason: string): void {
    const id = newCorrelationId();
    const event = encodeEvent({ kind: 'audit.gap', tenant: chain.tenant, correlation: id, id, lost: chain.lost, reason });
    into.add(chain, chain.link(this.#envelope(), event), chain.lost);
    chain.lost = 0;
    this.#gapped.delete(chain);
  }

  #schedule(): void {
    if (this.#scheduled || this.#flying !== undefined) return;
    this.#scheduled = true;
    if (this.#mode === 'strict') queueMicrotask(this.#commit);
    else if (this.#mode === 'grouped' && this.#gathering()) this.#gather = setTimeout(this.#commit, GATHER_MS);
    else if (this.#mode === 'grouped') setImmediate(this.#commit);
    else setTimeout(this.#commit, RELAXED_MS).unref();
  }

  #gathering(): boolean {
    return this.#expected >= GATHER_FROM && this.#open.size < this.#expected;
  }

  readonly #commit = (): void => {
    this.#scheduled = false;
    clearTimeout(this.#gather);
    this.#gather = undefined;
    if (this.#flying !== undefined || this.#open.size === 0) return;
    const batch = this.#open;
    this.#open = new Batch();
    this.#flying = batch;
    this.#watchdog = setTimeout(this.#overdue, COMMIT_MS);
    if (this.#journal.full) this.#rotate(batch);
    else this.#write(batch);
  };

  #rotate(batch: Batch): void {
    this.#journal.rotate().then(
      () => {
        void this.#dropSegments(this.#journal.segment);
        if (this.#flying === batch) this.#write(batch);
      },
      (cause: Error) => {
        if (this.#flying === batch) this.#fail(cause);
      },
    );
  }

  #write(batch: Batch): void {
    this.#journal.write(batch.text(this.#journal.segment), (error) =>
      error === null ? this.#committed(batch) : this.#fail(error),
    );
  }

  #committed(batch: Batch): void {
    clearTimeout(this.#watchdog);
    this.#expected = Math.min(batch.size + this.#open.size, GATHER_MOST);
    this.#flying = undefined;
    this.#fault = undefined;
    batch.succeed(this.#markDirty);
    // Refused while this was written: told even where no record of the tenant follows.
    for (const chain of this.#gapped) if (this.#files.accepts(chain)) this.#linkGap(chain, this.#open, BUSY);
    this.#fanOut ??= setTimeout(this.#move, FAN_OUT_MS).unref();
    if (this.#open.size > 0) this.#schedule();
  }
  readonly #markDirty = (chain: TenantChain): void => this.#files.mark(chain);

  readonly #overdue = (): void => this.#fail(new Error(`a commit took longer than ${COMMIT_MS} ms`));

  #fail(cause: Error): void {
    clearTimeout(this.#watchdog);
    this.#journal.abandon();
    const fault = new AuditUnavailable(`a record could not be written (${cause.message})`, { cause });
    this.#fault = fault;
    const waiting = [this.#flying, this.#open];
    this.#flying = undefined;
    this.#open = new Batch();
    for (const batch of waiting) batch?.fail(fault, (chain) => this.#gapped.add(chain));
    clearTimeout(this.#probe);
    if (!this.#closed) this.#probe = setTimeout(this.#tryAgain, PROBE_MS).unref();
  }

  /** Healthy again when the gaps are on disk: the same write that proves it says what is missing. */
  readonly #tryAgain = (): void => {
    if (this.#journal.busy) {
      this.#probe = setTimeout(this.#tryAgain, PROBE_MS).unref();
      return;
    }
    const batch = new Batch();
    for (const chain of this.#gapped) this.#linkGap(chain, batch, this.#fault?.message ?? 'unknown');
    this.#flying = batch;
    this.#watchdog = setTimeout(this.#overdue, COMMIT_MS);
    if (this.#journal.empty) this.#write(batch);
    else this.#rotate(batch);
  };

  readonly #move = (): void => void this.#moveLines();

  async #moveLines(): Promise<void> {
    await this.#files.flush();
    if (this.#retire > 0 && this.#files.idle) await this.#dropSegments(this.#retire);
    this.#fanOut = undefined;
    if (!this.#files.idle && !this.#closed)
      this.#fanOut = setTimeout(this.#move, this.#files.blocked ? BLOCKED_MS : FAN_OUT_MS).unref();
  }

  async #dropSegments(before: number): Promise<void> {
    this.#retire = before;
    if (!(await this.#files.settle())) return;
    await this.#journal.dropBefore(before).catch(() => undefined);
    if (this.#retire === before) this.#retire = 0;
  }
}
