// Cursors of lists: opaque, authentic, and good for one caller and one state of the list only.
// Not responsible for paging (`listing`). Invariant: a cursor of somebody else, of another list or of an older state is `undefined`,
// as is garbage; whoever shares the key (several servers behind one address) understands the others' cursors.
import { createHmac, timingSafeEqual } from 'node:crypto';

const MAC_BYTES = 16;
/** 32 bits and a spare byte: with the MAC 21 bytes, which base64url writes in exactly one way. */
const OFFSET_BYTES = 5;
const CURSOR = /^[A-Za-z0-9_-]{28}$/;

function mac(key: Uint8Array, owner: string, state: string, offset: Uint8Array): Buffer {
  const hash = createHmac('sha256', key)
    .update(JSON.stringify([owner, state]))
    .update(offset);
  return hash.digest().subarray(0, MAC_BYTES);
}

export function sealCursor(key: Uint8Array, owner: string, state: string, offset: number): string {
  const bytes = Buffer.alloc(OFFSET_BYTES);
  bytes.writeUInt32BE(offset);
  return Buffer.concat([bytes, mac(key, owner, state, bytes)]).toString('base64url');
}

export function openCursor(key: Uint8Array, owner: string, state: string, cursor: string): number | undefined {
  if (!CURSOR.test(cursor)) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  const offset = bytes.subarray(0, OFFSET_BYTES);
  if (!timingSafeEqual(bytes.subarray(OFFSET_BYTES), mac(key, owner, state, offset))) return undefined;
  return offset.readUInt32BE();
}
