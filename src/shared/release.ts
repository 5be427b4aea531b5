// Gives memory of large bodies back when it is known to be done with, instead of at some later collection.
// Not responsible for knowing that: who calls owns the bytes, and no write of them is under way.
// Invariant: nothing is freed that shares its memory with other bytes; released bytes read as empty, never as somebody else's.

/** Below this size the collector is cheaper. */
const RELEASE_FROM_BYTES = 16_384;
/** What a view may lack of its memory and still own it: the brace that is cut off a result (`mcp/result-body`). */
const CUT_BYTES = 1;

/**
 * 5 MB that pass in pieces of 64 KiB otherwise let V8 collect the whole heap every few calls, for the memory outside of it: that
 * was more than half of what such a call cost.
 */
export function release(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (byteLength < RELEASE_FROM_BYTES || byteLength + CUT_BYTES < buffer.byteLength || !(buffer instanceof ArrayBuffer)) return;
  buffer.transfer(0);
}
