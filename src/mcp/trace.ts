// W3C Trace Context and Baggage of a request: the client's where they are well formed, else a trace begun here.
// Not responsible for exporting spans. Invariant: what leaves here is valid, whatever a client sent.
import { randomFillSync } from 'node:crypto';
import { textAt } from './body.ts';
import type { Envelope } from './envelope.ts';
import type { McpHeaders } from './inbound.ts';
import type { Caller } from './ports.ts';

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;
/** W3C Baggage, 3.3.2: this much must be passed on. */
const BAGGAGE = /^[\x20-\x7e]{1,8192}$/;
const BYTES = 24;
const pool = Buffer.alloc(BYTES * 128);
let used = pool.length;

/** `params._meta` goes before the headers, and what belongs together is taken from the same place. */
export function traceOf({ body, meta }: Envelope, headers: McpHeaders): Pick<Caller, 'traceparent' | 'tracestate' | 'baggage'> {
  const inMeta = textAt(body, meta?.get('traceparent'));
  const traceparent = inMeta ?? headers.traceparent;
  const tracestate = tracestateOf(inMeta === undefined ? headers.tracestate : textAt(body, meta?.get('tracestate')), traceparent);
  const baggage = textAt(body, meta?.get('baggage')) ?? headers.baggage;
  return {
    traceparent: traceparentOf(traceparent),
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(baggage === undefined || !BAGGAGE.test(baggage) ? {} : { baggage }),
  };
}

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
