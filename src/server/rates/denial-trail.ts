// Writes refusals to the audit one by one, as long as there are few; a flood of them becomes counted records.
// Not responsible for deciding or answering. Invariant: every refusal is in the audit, by itself at once or in a count within FLUSH_MS; memory, records
// per second and names are bounded, so that nobody who cannot get in can fill the trail or push records of others out of it.
import type { DeniedRequest, HttpServerOptions } from '../ports.ts';
import { Buckets } from './buckets.ts';

/** Records of single refusals per tenant. */
const PER_SECOND = 5;
const BURST = 200;
/** A count is written after this long. */
const FLUSH_MS = 5000;
/** Different refusals that are counted apart in that time. */
const KINDS = 500;
const TRAILS = 10_000;

interface Counted {
  first: DeniedRequest;
  count: number;
}

export class DenialTrail {
  readonly #write: HttpServerOptions['auditDenied'];
  readonly #buckets = new Buckets(TRAILS);
  readonly #counted = new Map<string, Counted>();
  #timer: NodeJS.Timeout | undefined;

  constructor(write: HttpServerOptions['auditDenied']) {
    this.#write = write;
  }

  /** Resolves when the record is durable, or at once where it is counted. Rejects where it cannot be written. */
  record(denied: DeniedRequest): Promise<void> {
    if (this.#buckets.take(denied.tenant ?? '', PER_SECOND, BURST) === 0) return this.#write(denied);
    this.#count(denied);
    return Promise.resolve();
  }

  #count(denied: DeniedRequest): void {
    const exact = JSON.stringify([denied.tenant, denied.code, denied.reason]);
    const known = this.#counted.has(exact) || this.#counted.size < KINDS;
    const key = known ? exact : JSON.stringify([denied.tenant, denied.code]);
    const counted = this.#counted.get(key);
    if (counted !== undefined) counted.count += 1;
    // Past KINDS there is one kind per tenant and code.
    else this.#counted.set(key, { first: known ? denied : { ...denied, reason: 'various' }, count: 1 });
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Never rejects: what the audit does not take now is lost with its count, as it would be one by one. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const all = [...this.#counted.values()];
    this.#counted.clear();
    await Promise.allSettled(all.map(({ first, count }) => this.#write({ ...first, count })));
  }
}
