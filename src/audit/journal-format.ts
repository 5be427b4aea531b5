// The bytes of a journal segment: a head line, then batches, each with its length and checksum before it.
// Not responsible for files or for what a line means. Pure.
// Invariant: a batch is whole or it is not there; a segment says where the one before it ends, so that bytes which were
// refused can stay on disk and still count for nothing.
//
//   leasehold-journal 1 <number> <end of the previous segment, or 0>\n
//   #<length, 8 hex> <CRC-32, 8 hex>\n<lines>…
// A line is a record (begins with `{`) or an anchor: `@<tenant> <offset in its file at which its next record begins>`.
import { crc32 } from 'node:zlib';

const HEAD = /^leasehold-journal 1 (\d{1,15}) (\d{1,15})\n/;
const FRAME = /^#([0-9a-f]{8}) ([0-9a-f]{8})\n$/;
export const FRAME_BYTES = 19;
const HEAD_BYTES = 64;

export function segmentHead(number: number, previousEnd: number): string {
  return `leasehold-journal 1 ${number} ${previousEnd}\n`;
}
export function segmentName(number: number): string {
  return `${String(number).padStart(10, '0')}.journal`;
}
export function segmentNumber(name: string): number | undefined {
  return /^\d{10}\.journal$/.test(name) ? Number(name.slice(0, 10)) : undefined;
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** Writes a frame around ASCII `lines` at `offset` of `target`; gives its length. `target` must have room. */
export function frameBatch(target: Buffer, offset: number, lines: string): number {
  const start = offset + FRAME_BYTES;
  target.write(lines, start, 'latin1');
  const sum = crc32(target.subarray(start, start + lines.length));
  target.write(`#${hex8(lines.length)} ${hex8(sum)}\n`, offset, 'latin1');
  return FRAME_BYTES + lines.length;
}

function batchAt(bytes: Buffer, offset: number): { lines: string; end: number } | undefined {
  const frame = FRAME.exec(bytes.toString('latin1', offset, Math.min(offset + FRAME_BYTES, bytes.length)));
  if (frame === null) return undefined;
  const start = offset + FRAME_BYTES;
  const end = start + Number.parseInt(frame[1] as string, 16);
  if (end > bytes.length) return undefined;
  if (crc32(bytes.subarray(start, end)) !== Number.parseInt(frame[2] as string, 16)) return undefined;
  return { lines: bytes.toString('latin1', start, end), end };
}

export interface Segment {
  readonly number: number;
  readonly previousEnd: number;
  /** Whole batches, each with the offset at which it ends. */
  readonly batches: readonly { readonly lines: string; readonly end: number }[];
  /** Offset of a broken batch with a whole one behind it: not a torn tail, but damage. */
  readonly damagedAt: number | undefined;
}

/** Undefined where not even the head is whole: the segment was never used. */
export function parseSegment(bytes: Buffer): Segment | undefined {
  const head = HEAD.exec(bytes.toString('latin1', 0, Math.min(HEAD_BYTES, bytes.length)));
  if (head === null) return undefined;
  const batches: { lines: string; end: number }[] = [];
  let at = head[0].length;
  for (let batch = batchAt(bytes, at); batch !== undefined; batch = batchAt(bytes, at)) {
    batches.push(batch);
    at = batch.end;
  }
  const number = Number(head[1]);
  return { number, previousEnd: Number(head[2]), batches, damagedAt: goesOnAfter(bytes, at) ? at : undefined };
}

function goesOnAfter(bytes: Buffer, at: number): boolean {
  for (let next = bytes.indexOf('#', at + 1); next !== -1; next = bytes.indexOf('#', next + 1)) {
    if (batchAt(bytes, next) !== undefined) return true;
  }
  return false;
}
