// The sessions of all tenants: made, found by their owner only, bounded, ended when idle.
// Not responsible for what happens in one (`session`, `handlers`).
// Invariant: an unknown id and another owner's id are the same to whoever asks; ids are 192 random bits.
import { randomBytes } from 'node:crypto';
import type { LegacyLimits } from './limits.ts';
import type { Session } from './session.ts';

const SWEEPS = 10;

export class Sessions {
  readonly #limits: LegacyLimits;
  readonly #byId = new Map<string, Session>();
  /** In order of creation. */
  readonly #byOwner = new Map<string, Set<Session>>();
  readonly #byTenant = new Map<string, Set<Session>>();
  readonly #sweep: NodeJS.Timeout;

  constructor(limits: LegacyLimits) {
    this.#limits = limits;
    this.#sweep = setInterval(() => this.#endIdle(), Math.max(50, limits.idleMs / SWEEPS));
    this.#sweep.unref();
  }

  /** Makes room within the subject's own bound by ending its longest idle session; false where there is none to give. */
  admit(tenant: string, owner: string): boolean {
    const own = this.#byOwner.get(owner);
    const full = (own?.size ?? 0) >= this.#limits.sessionsPerSubject;
    if (!full && this.count(tenant) < this.#limits.sessionsPerTenant) return true;
    let oldest: Session | undefined;
    for (const session of own ?? []) {
      if (!session.busy && (oldest === undefined || session.usedAt < oldest.usedAt)) oldest = session;
    }
    if (oldest === undefined) return false;
    this.end(oldest);
    return true;
  }

  newId(): string {
    return randomBytes(24).toString('base64url');
  }

  add(session: Session): void {
    this.#byId.set(session.id, session);
    put(this.#byOwner, session.owner, session);
    put(this.#byTenant, session.tenant, session);
  }

  find(id: string, owner: string): Session | undefined {
    const session = this.#byId.get(id);
    if (session === undefined || session.owner !== owner) return undefined;
    session.usedAt = performance.now();
    return session;
  }

  all(): Iterable<Session> {
    return this.#byId.values();
  }

  of(tenant: string): Iterable<Session> {
    return this.#byTenant.get(tenant) ?? [];
  }

  count(tenant?: string): number {
    return tenant === undefined ? this.#byId.size : (this.#byTenant.get(tenant)?.size ?? 0);
  }

  end(session: Session): void {
    if (!this.#byId.delete(session.id)) return;
    take(this.#byOwner, session.owner, session);
    take(this.#byTenant, session.tenant, session);
    session.close();
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const session of this.#byId.values()) this.end(session);
  }

  #endIdle(): void {
    const before = performance.now() - this.#limits.idleMs;
    for (const session of this.#byId.values()) if (session.usedAt < before && !session.busy) this.end(session);
  }
}

function put(index: Map<string, Set<Session>>, key: string, session: Session): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([session]));
  else set.add(session);
}

function take(index: Map<string, Set<Session>>, key: string, session: Session): void {
  const set = index.get(key);
  set?.delete(session);
  if (set?.size === 0) index.delete(key);
}
