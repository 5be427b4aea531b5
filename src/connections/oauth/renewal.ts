// Renews the access token of a grant: once at a time, in this process and over all processes, durable before anybody uses it.
// Not responsible for when that is needed (`oauth-credentials`) or for what a caller is told.
// Invariant: the refresh token is spent only by who holds the grant's lock and has noted it on disk; a new one is on disk
// before it is used; only the server's own word ends a grant. A process may be killed between any two lines: what the server
// still honours is found again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditLog, AuditSubject } from '../../audit/record.ts';
import type { OAuth2Connection } from '../../config/compiled.ts';
import { newCorrelationId } from '../../shared/ids.ts';
import { isBusy } from '../../vault/busy.ts';
import type { Grant, GrantKey, GrantStore, RefreshLocks, StoredGrant } from '../../vault/stores.ts';
import { grantBinding, newGrant, renewedBy, tokenVersion } from './grant-facts.ts';
import { REQUEST_MS } from './guarded-fetch.ts';
import type { TokenAnswer, TokenProblem } from './token-answer.ts';
import type { TokenClient, TokenEndpoint } from './token-endpoint.ts';

/** Longer than a token request and the writes around it can take. */
const LOCK_MS = 60_000;
const POLL_MS = 40;
const WRITE_MS = 20_000;

/** What is to be renewed, and for whom the records are. */
export interface Renewing {
  readonly key: GrantKey;
  readonly connection: OAuth2Connection;
  readonly client: TokenClient;
  /** The token that is not good any more; undefined where there is none. */
  readonly spent: string | undefined;
  readonly subject: Omit<AuditSubject, 'id' | 'tenant'>;
}
/** `ended`: there is no grant that could be renewed, with why. */
export type Renewed = StoredGrant | TokenProblem | { readonly ended: string } | 'audit_unavailable';

export interface RenewalPorts {
  readonly grants: GrantStore;
  readonly locks: RefreshLocks;
  readonly endpoint: Pick<TokenEndpoint, 'refresh' | 'clientCredentials'>;
  readonly audit: AuditLog;
  readonly now: () => number;
  /** Shorter in tests. */
  readonly lockMs?: number;
}

export class Renewal {
  readonly #ports: RenewalPorts;
  readonly #holder = newCorrelationId();
  readonly #flights = new Map<string, Promise<Renewed>>();

  constructor(ports: RenewalPorts) {
    this.#ports = ports;
  }

  /** All callers of one grant share one run; it goes on when they stop waiting. Rejects only for a broken store. */
  renew(renewing: Renewing): Promise<Renewed> {
    const id = JSON.stringify([renewing.key, renewing.spent]);
    const known = this.#flights.get(id);
    if (known !== undefined) return known;
    const flight = this.#run(renewing).finally(() => this.#flights.delete(id));
    this.#flights.set(id, flight);
    return flight;
  }

  /** Waits for its turn; meanwhile another process may do the work. */
  async #run(renewing: Renewing): Promise<Renewed> {
    const { locks, now, lockMs = LOCK_MS } = this.#ports;
    const { key } = renewing;
    const giveUp = performance.now() + 2 * lockMs + REQUEST_MS;
    for (;;) {
      const settled = this.#settled(renewing, await this.#read(renewing));
      if (settled !== undefined) return settled;
      const fence = locks.take(key, this.#holder, now(), lockMs);
      if (fence !== undefined) {
        try {
          return await this.#renewLocked(renewing);
        } finally {
          // What was renewed is stored; a lock that cannot be given back ends by itself.
          await whenFree(() => locks.release(key, this.#holder, fence)).catch(() => undefined);
        }
      }
      if (performance.now() > giveUp) return { ok: false, kind: 'lost', reason: 'another process holds the grant', sent: false };
      await sleep(POLL_MS);
    }
  }

  /** A grant of another authorization server or client is none. */
  async #read({ key, client }: Renewing): Promise<StoredGrant | undefined> {
    const grant = await whenFree(() => this.#ports.grants.read(key));
    return grant?.binding === grantBinding(client.oauth) ? grant : undefined;
  }

  /** The result where there is nothing to do (any more). */
  #settled({ connection, spent }: Renewing, grant: StoredGrant | undefined): Renewed | undefined {
    const machine = connection.grant === 'client_credentials';
    if (grant === undefined) return machine ? undefined : { ended: 'not connected' };
    if (grant.state === 'active' && tokenVersion(grant) !== spent) return grant;
    if (machine) return undefined;
    if (grant.state === 'reauthorize') return { ended: grant.reason ?? 'ended' };
    return grant.refreshToken === undefined ? { ended: 'no refresh token' } : undefined;
  }

  async #renewLocked(renewing: Renewing): Promise<Renewed> {
    const { endpoint } = this.#ports;
    const { key, connection, client } = renewing;
    const before = await this.#read(renewing);
    const settled = this.#settled(renewing, before);
    if (settled !== undefined) return settled;
    const id = before?.id ?? newCorrelationId();
    if (!(await this.#record(renewing, id, { kind: 'grant.refresh' }))) return 'audit_unavailable';
    let answer: TokenAnswer;
    let result: Renewed;
    if (connection.grant === 'client_credentials') {
      answer = await endpoint.clientCredentials(client);
      result = answer.ok ? await this.#storeMachine(renewing, id, answer, before) : answer;
    } else if (before?.refreshToken === undefined) {
      return { ended: 'no refresh token' };
    } else {
      const noted = await this.#note(key, before);
      if (noted === undefined) return { ok: false, kind: 'lost', reason: 'the grant changed meanwhile', sent: false };
      answer = await endpoint.refresh(client, before.refreshToken);
      result = await this.#store(key, noted, answer, before.refreshBegan !== undefined);
    }
    const outcome = answer.ok ? 'ok' : answer.kind === 'lost' ? 'lost' : 'refused';
    await this.#record(renewing, id, { kind: 'grant.refreshed', outcome, ...(answer.ok ? {} : { reason: answer.reason }) });
    return result;
  }

  /** Write-ahead: whoever finds this note knows that the refresh token may be spent, and its answer lost. */
  #note(key: GrantKey, { version, ...grant }: StoredGrant): Promise<StoredGrant | undefined> {
    return whenFree(() => this.#ports.grants.replace(key, { ...grant, refreshBegan: this.#ports.now() }, version));
  }

  async #store(key: GrantKey, noted: StoredGrant, answer: TokenAnswer, unsure: boolean): Promise<Renewed> {
    if (answer.ok) {
      const stored = await this.#replace(key, noted, renewedBy(answer.tokens, noted, this.#ports.now()));
      return stored ?? { ok: false, kind: 'lost', reason: 'the grant changed meanwhile', sent: true };
    }
    if (answer.kind === 'gone') {
      const reason = unsure ? `${answer.reason} after an answer that was lost` : answer.reason;
      await this.#replace(key, noted, { ...noted, state: 'reauthorize', reason });
      return { ended: reason };
    }
    if (answer.kind === 'refused' || !answer.sent) {
      // The refresh token was not spent. What an earlier run noted stays true.
      const { refreshBegan: _, ...clean } = noted;
      if (!unsure) await this.#replace(key, noted, clean);
    }
    return answer;
  }

  /**
   * Over what was noted. Where that changed meanwhile (our lock ran out): tokens that came late save a grant which was given up
   * for lost, and never overwrite newer ones, which are the result then.
   */
  async #replace(key: GrantKey, noted: StoredGrant, next: Grant & { version?: string }): Promise<StoredGrant | undefined> {
    const { grants } = this.#ports;
    const { version: _, ...grant } = next;
    for (let { version } = noted; ; ) {
      const stored = await whenFree(() => grants.replace(key, grant, version));
      if (stored !== undefined) return stored;
      const latest = await whenFree(() => grants.read(key));
      if (latest === undefined || latest.id !== noted.id) return undefined;
      if (latest.serial !== noted.serial) return latest.state === 'active' ? latest : undefined;
      if (grant.state !== 'active' || grant.serial === noted.serial) return undefined;
      ({ version } = latest);
    }
  }

  async #storeMachine({ key, client }: Renewing, id: string, answer: TokenAnswer, before: Grant | undefined): Promise<Renewed> {
    if (!answer.ok) return answer;
    const now = this.#ports.now();
    const first = newGrant(id, client.oauth, answer.tokens, now);
    const grant = before === undefined ? first : { ...first, serial: before.serial + 1, connectedAt: before.connectedAt };
    return whenFree(() => this.#ports.grants.put(key, grant));
  }

  async #record(
    { key, connection, subject }: Renewing,
    grant: string,
    event: { kind: 'grant.refresh' | 'grant.refreshed'; outcome?: 'ok' | 'refused' | 'lost'; reason?: string },
  ): Promise<boolean> {
    const { tenant } = key;
    try {
      await this.#ports.audit.append({
        ...subject,
        ...event,
        tenant,
        id: newCorrelationId(),
        connection: connection.slot,
        grant,
      });
      return true;
    } catch {
      return false;
    }
  }
}

/** Does work of the store that another process keeps from being done: soon again, and not for ever. */
export async function whenFree<T>(work: () => T): Promise<T> {
  for (const giveUp = performance.now() + WRITE_MS; ; await sleep(POLL_MS)) {
    try {
      return work();
    } catch (cause) {
      if (!isBusy(cause) || performance.now() > giveUp) throw cause;
    }
  }
}
