// W3C Trace Context of a request: the client's where it is well formed, else one begun here.
// Not responsible for exporting spans. Invariant: what leaves here is valid, whatever a client sent.
import { randomFillSync } from 'node:crypto';

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;
const BYTES = 24;
const pool = Buffer.alloc(BYTES * 128);
let used = pool.length;

export function traceparentOf(candidate: string | undefined): string {
  if (candidate !== undefined && TRACEPARENT.test(candidate)) return candidate;
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const hex = pool.toString('hex', used, used + BYTES);
  used += BYTES;
  // Not sampled: nobody decided to record this trace.
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`;
}

/** Only beside a valid traceparent (W3C Trace Context, 3.3). */
export function tracestateOf(candidate: string | undefined, traceparent: string | undefined): string | undefined {
  if (candidate === undefined || traceparent === undefined || !TRACEPARENT.test(traceparent)) return undefined;
  return TRACESTATE.test(candidate) ? candidate : undefined;
}
