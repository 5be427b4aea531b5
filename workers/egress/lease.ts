// A credential for one request: taken once, good until either clock says no, and cut out of whatever comes back.
// Not responsible for getting one or for deciding who may have it (supervisor).
// Invariant: a lease id is taken once in a thread; nothing of a lease is kept after its request.
import type { Lease } from '../../src/boundary/egress.ts';

/** Lease ids remembered as taken, per thread. Ids are random and short-lived, so older ones need no memory. */
const REMEMBERED = 4096;

export class LeaseBook {
  #taken = new Set<string>();

  /** Undefined where the lease was taken before. Call on arrival: its time begins now. */
  take(lease: Lease): TakenLease | undefined {
    if (this.#taken.has(lease.id)) return undefined;
    this.#taken.add(lease.id);
    if (this.#taken.size > REMEMBERED) {
      const oldest = this.#taken.values().next();
      if (!oldest.done) this.#taken.delete(oldest.value);
    }
    return new TakenLease(lease);
  }
}

export class TakenLease {
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  #monotonicEnd: number;
  #wallEnd: number;
  #secrets: readonly string[];

  constructor(lease: Lease) {
    this.headers = lease.headers;
    this.query = lease.query ?? {};
    this.#monotonicEnd = performance.now() + lease.expiresInMs;
    this.#wallEnd = Date.now() + lease.expiresInMs;
    this.#secrets = [...Object.values(this.headers), ...Object.values(this.query)].flatMap(formsOf);
  }

  /** A suspended machine stops the monotonic clock; a set-back wall clock lies the other way. */
  isGood(): boolean {
    return performance.now() < this.#monotonicEnd && Date.now() < this.#wallEnd;
  }

  redactText(text: string): string {
    let clean = text;
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, REDACTED);
    return clean;
  }

  /** Works on bytes, so that it holds for any content type whose text is ASCII-compatible. */
  redactBytes(body: Uint8Array): Uint8Array {
    let clean = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    for (const secret of this.#secrets) if (clean.includes(secret)) clean = cut(clean, secret);
    return clean;
  }
}

const REDACTED = '[redacted]';
/** Shorter values would cut pieces out of ordinary text. */
const SHORTEST_SECRET = 8;

/** A header's value and the credential after its scheme, as an upstream might print them: plain, in a URL, in JSON, in base64. */
function formsOf(value: string): string[] {
  const space = value.indexOf(' ');
  const plain = space === -1 ? [value] : [value, value.slice(space + 1)];
  if (/^basic /i.test(value)) {
    const pair = Buffer.from(value.slice(space + 1), 'base64').toString();
    plain.push(pair, pair.slice(pair.indexOf(':') + 1));
  }
  const forms = plain.flatMap((text) => [
    text,
    encodeURIComponent(text),
    JSON.stringify(text).slice(1, -1),
    Buffer.from(text).toString('base64'),
  ]);
  return [...new Set(forms)].filter((form) => form.length >= SHORTEST_SECRET).sort((a, b) => b.length - a.length);
}

function cut(body: Buffer<ArrayBuffer | SharedArrayBuffer>, secret: string): Buffer<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = body.indexOf(secret); at !== -1; at = body.indexOf(secret, from)) {
    parts.push(body.subarray(from, at), Buffer.from(REDACTED));
    from = at + Buffer.byteLength(secret);
  }
  parts.push(body.subarray(from));
  return Buffer.concat(parts);
}
