// What the journal still holds after a crash, per tenant: which of it the tenant's file has, and which is yet to be written.
// Not responsible for writing it: the chains it returns carry the rest as pending lines.
// Invariant: no whole record of the journal is lost and none is doubled; of a tenant's file only bytes that the journal
// contradicts are cut (a torn write), never bytes that it does not know of.
import { closeSync, constants, existsSync, fstatSync, openSync, readSync, truncateSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FIRST_PREV, hashLine, TenantChain } from './chain.ts';
import { listSegments } from './journal.ts';
import { parseSegment, type Segment, segmentName } from './journal-format.ts';
import { EMPTY_HEAD, readHead, seqOf } from './tenant-tail.ts';
import { tenantFile } from './tenant-files.ts';
import { AuditRefused } from './unavailable.ts';

interface Replay {
  /** Offset of the first line in the tenant's file. */
  readonly offset: number;
  /** False where a later anchor contradicts the first: the file was rotated meanwhile. */
  placed: boolean;
  readonly lines: string[];
  bytes: number;
}

export interface Recovered {
  readonly chains: readonly TenantChain[];
  readonly last: { readonly number: number; readonly end: number };
}

/** Throws `AuditRefused` where the journal is damaged in its middle. */
export async function recover(folder: string, journalFolder: string): Promise<Recovered> {
  const numbers = await listSegments(journalFolder);
  const segments: Segment[] = [];
  let last = { number: 0, end: 0 };
  for (const number of numbers) {
    const segment = parseSegment(await readFile(join(journalFolder, segmentName(number))));
    last = { number, end: segment?.batches.at(-1)?.end ?? 0 };
    if (segment !== undefined) segments.push(segment);
  }
  const replays = new Map<string, Replay>();
  for (const [index, segment] of segments.entries()) {
    const next = segments[index + 1];
    const end = next?.number === segment.number + 1 ? next.previousEnd : Number.POSITIVE_INFINITY;
    if (segment.damagedAt !== undefined && segment.damagedAt < end) {
      throw new AuditRefused(
        `${join(journalFolder, segmentName(segment.number))} is damaged at byte ${segment.damagedAt}; move it away to start without its records`,
      );
    }
    for (const batch of segment.batches) if (batch.end <= end) collect(replays, batch.lines);
  }
  return { chains: [...replays].map(([tenant, replay]) => seed(folder, tenant, replay)), last };
}

function collect(replays: Map<string, Replay>, text: string): void {
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line.startsWith('@')) {
      const [tenant = '', at] = line.slice(1).split(' ');
      const offset = Number(at);
      const known = replays.get(tenant);
      if (known === undefined) replays.set(tenant, { offset, placed: true, lines: [], bytes: 0 });
      else if (known.offset + known.bytes !== offset) known.placed = false;
      continue;
    }
    const { event } = JSON.parse(line) as { event: { tenant: string } };
    const replay = replays.get(event.tenant);
    if (replay === undefined) throw new AuditRefused(`the journal has a record of ${event.tenant} without its place`);
    replay.lines.push(line);
    replay.bytes += line.length + 1;
  }
}

function seed(folder: string, tenant: string, replay: Replay): TenantChain {
  const path = tenantFile(folder, tenant);
  const text = replay.lines.map((line) => `${line}\n`).join('');
  const lastLine = replay.lines.at(-1);
  const head = lastLine === undefined ? EMPTY_HEAD : { seq: seqOf(lastLine) ?? 0, prev: hashLine(lastLine) };
  let size = replay.offset;
  let pending = text;
  let blocked = false;
  try {
    const found = replay.placed ? place(path, replay.offset, text) : undefined;
    const at = found ?? afterSeq(path, replay.lines);
    size = at.size;
    pending = at.pending;
  } catch {
    blocked = true;
  }
  const known = lastLine === undefined ? { seq: 0, prev: FIRST_PREV } : head;
  const chain = new TenantChain(tenant, { ...known, size });
  chain.pending.addText(pending);
  chain.durableSize = size + pending.length;
  chain.blocked = blocked;
  return chain;
}

/** Compares the file from `offset` on with what the journal says it must hold. Undefined where the file is too short. */
function place(path: string, offset: number, text: string): { size: number; pending: string } | undefined {
  const file = readTail(path, offset);
  if (file === undefined) return undefined;
  const bytes = Buffer.from(text, 'latin1');
  const common = Math.min(file.length, bytes.length);
  const same = commonPrefix(file, bytes, common);
  if (same < common) truncateSync(path, offset + same);
  // Beyond what the journal knows there are foreign bytes: they stay, `verify` will name them.
  const size = same === bytes.length ? offset + file.length : offset + same;
  return { size, pending: text.slice(same) };
}

function commonPrefix(a: Buffer, b: Buffer, length: number): number {
  if (a.compare(b, 0, length, 0, length) === 0) return length;
  let same = 0;
  while (same < length && a[same] === b[same]) same += 1;
  return same;
}

function readTail(path: string, offset: number): Buffer | undefined {
  if (!existsSync(path)) return offset === 0 ? Buffer.alloc(0) : undefined;
  const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const { size } = fstatSync(fd);
    if (size < offset) return undefined;
    const bytes = Buffer.allocUnsafe(size - offset);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset));
  } finally {
    closeSync(fd);
  }
}

/** The file was rotated: what follows its last record is what is missing. */
function afterSeq(path: string, lines: readonly string[]): { size: number; pending: string } {
  const head = readHead(path);
  const missing = lines.filter((line) => head.size === 0 || (seqOf(line) ?? 0) > head.seq);
  return { size: head.size, pending: missing.map((line) => `${line}\n`).join('') };
}
