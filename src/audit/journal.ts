// The one file that makes records durable: batches appended to numbered segments, one write at a time.
// Not responsible for when to commit (`log`), for what lines say (`chain`), or for reading back (`recover`).
// Invariant: `write` calls back without error only after the bytes are on the disk; after an error nothing more is written
// to that segment, and the next one records where it ends.
import { close, constants, fdatasync, open as openFd, writev } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FRAME_BYTES, frameBatch, segmentHead, segmentName, segmentNumber } from './journal-format.ts';

/** A segment that is longer than this is followed by a new one. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
const FIRST_BUFFER = 64 * 1024;
/**
 * Zeros are written ahead of the batches, as many as there are bytes already, within these bounds: a synced write into
 * space that exists costs a quarter less than one that makes the file longer.
 */
const AHEAD_LEAST = 16 * 1024;
const AHEAD_MOST = 1024 * 1024;
const ZEROS = Buffer.alloc(AHEAD_MOST);

// With O_DSYNC one write is write + fdatasync, in one trip to the thread pool. Elsewhere (macOS needs F_FULLFSYNC, which
// libuv does in fdatasync) the two are separate.
const DSYNC = process.platform === 'linux' ? constants.O_DSYNC : 0;

async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export async function listSegments(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
}

type Done = (error: Error | null) => void;

export class Journal {
  readonly #folder: string;
  readonly #segmentBytes: number;
  #number: number;
  #fd = -1;
  #end = 0;
  #buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER);
  #headEnd = 0;
  #allocated = 0;
  #abandoned = false;
  /** A write that was begun has not come back yet. */
  busy = false;

  /** `last`: the number and the valid end of the newest segment that exists, to be followed. */
  constructor(folder: string, last: { number: number; end: number }, segmentBytes: number = SEGMENT_BYTES) {
    this.#folder = folder;
    this.#number = last.number;
    this.#end = last.end;
    this.#segmentBytes = segmentBytes;
  }

  get segment(): number {
    return this.#number;
  }
  get full(): boolean {
    return this.#end >= this.#segmentBytes;
  }
  /** No batch is in the current segment: after a failed write the next one takes its place. */
  get empty(): boolean {
    return this.#fd !== -1 && this.#end === this.#headEnd;
  }

  /** The write under way counts as failed, however it ends: its bytes are not part of the journal. */
  abandon(): void {
    this.#abandoned = this.busy;
  }

  /** Begins a new segment. Only while no write is under way. Rejects, with all as before, where it cannot. */
  async rotate(): Promise<void> {
    this.busy = true;
    try {
      await this.#rotate();
    } finally {
      this.busy = false;
      this.#abandoned = false;
    }
  }

  async #rotate(): Promise<void> {
    const number = this.#number + 1;
    const path = join(this.#folder, segmentName(number));
    const head = Buffer.from(segmentHead(number, this.#end), 'latin1');
    const fd = await openSegment(path);
    try {
      await writeAll(fd, head);
      await syncFolder(this.#folder);
    } catch (cause) {
      close(fd, () => undefined);
      await rm(path, { force: true });
      throw cause;
    }
    if (this.#fd !== -1) close(this.#fd, () => undefined);
    this.#fd = fd;
    this.#number = number;
    this.#end = this.#headEnd = this.#allocated = head.length;
  }

  /** ASCII lines, durable when `done` is called without an error. `done` is not called after `abandon`. */
  write(lines: string, done: Done): void {
    const needed = lines.length + FRAME_BYTES;
    if (this.#buffer.length < needed) this.#buffer = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(needed)));
    const length = frameBatch(this.#buffer, 0, lines);
    const batch = this.#buffer.subarray(0, length);
    const after = this.#end + length;
    const grows = after > this.#allocated;
    const ahead = Math.min(Math.max(after, AHEAD_LEAST), AHEAD_MOST);
    this.busy = true;
    writeDurably(this.#fd, grows ? [batch, ZEROS.subarray(0, ahead)] : [batch], this.#end, (error) => {
      this.busy = false;
      if (this.#abandoned) {
        this.#abandoned = false;
        return;
      }
      if (error === null) {
        this.#end = after;
        if (grows) this.#allocated = after + ahead;
      }
      done(error);
    });
  }

  /** Removes the segments before `number`: all their lines are durable elsewhere. */
  async dropBefore(number: number): Promise<void> {
    for (const old of await listSegments(this.#folder)) {
      if (old < number) await rm(join(this.#folder, segmentName(old)), { force: true });
    }
  }

  close(): void {
    if (this.#fd !== -1) close(this.#fd, () => undefined);
    this.#fd = -1;
  }
}

function openSegment(path: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  openFd(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | DSYNC, 0o600, (error, fd) =>
    error === null ? resolve(fd) : reject(error),
  );
  return promise;
}

function writeAll(fd: number, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  writeDurably(fd, [bytes], 0, (error) => (error === null ? resolve() : reject(error)));
  return promise;
}

function writeDurably(fd: number, parts: readonly Buffer[], position: number, done: Done): void {
  writev(fd, parts, position, (error, written) => {
    if (error !== null) return done(error);
    // A short write is how a disk begins to be full.
    const wanted = parts.reduce((sum, part) => sum + part.length, 0);
    if (written !== wanted) return done(new Error(`only ${written} of ${wanted} bytes could be written`));
    if (DSYNC !== 0) return done(null);
    return fdatasync(fd, done);
  });
}
