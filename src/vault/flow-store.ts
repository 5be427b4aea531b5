// Connect flows: sealed rows, found by the digest of a link or of a state. At most one per key, asker and scopes.
// Not responsible for the steps of a flow (`connections/connect`).
// Invariant: neither link nor state can be read from the database; a row is changed and ended only by who read its newest version.
import { createHash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { newCorrelationId } from '../shared/ids.ts';
import { open, type Place, seal } from './seal.ts';
import { hiddenName, writeSealed } from './sealed-write.ts';
import type { ConnectFlow, FlowStore, StoredFlow } from './stores.ts';
import type { TenantKey, TenantKeys } from './tenant-keys.ts';

interface Row {
  readonly link: Uint8Array;
  readonly tenant: string;
  readonly version: string;
  readonly sealed: Uint8Array;
  readonly expires_at: number;
}
type Same = Pick<ConnectFlow, 'key' | 'asker' | 'scopes'>;

export class SqliteFlowStore implements FlowStore {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #now: () => number;
  readonly #insert: StatementSync;
  readonly #byPlace: StatementSync;
  readonly #byLink: StatementSync;
  readonly #byState: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #clear: StatementSync;

  constructor(db: DatabaseSync, keys: TenantKeys, now: () => number) {
    this.#db = db;
    this.#keys = keys;
    this.#now = now;
    const row = 'SELECT link, tenant, version, sealed, expires_at FROM connect_flows WHERE expires_at > ? AND';
    this.#insert = db.prepare('INSERT INTO connect_flows VALUES (?, ?, ?, NULL, ?, ?, ?)');
    this.#byPlace = db.prepare(`${row} tenant = ? AND place = ?`);
    this.#byLink = db.prepare(`${row} link = ?`);
    this.#byState = db.prepare(`${row} state = ?`);
    this.#update = db.prepare(
      'UPDATE connect_flows SET state = ?, version = ?, sealed = ?, expires_at = ? WHERE link = ? AND version = ?',
    );
    this.#delete = db.prepare('DELETE FROM connect_flows WHERE link = ? AND version = ?');
    this.#clear = db.prepare('DELETE FROM connect_flows WHERE expires_at <= ? OR (tenant = ? AND place = ?)');
  }

  same(flow: Same, now: number): StoredFlow | undefined {
    const { tenant } = flow.key;
    const key = this.#keys.find(tenant);
    return key === undefined ? undefined : this.#read(this.#byPlace.get(now, tenant, hiddenName(key, placeOf(flow))));
  }

  put(flow: ConnectFlow, expiresAt: number, now: number): void {
    const { tenant } = flow.key;
    writeSealed({ db: this.#db, keys: this.#keys, tenant, now: this.#now() }, (key) => {
      const place = hiddenName(key, placeOf(flow));
      const link = digest(flow.link);
      const version = newCorrelationId(now);
      this.#clear.run(now, tenant, place);
      this.#insert.run(link, tenant, place, version, sealFlow(key, flow, link, version), expiresAt);
    });
  }

  byLink(link: string, now: number): StoredFlow | undefined {
    return this.#read(this.#byLink.get(now, digest(link)));
  }

  byState(state: string, now: number): StoredFlow | undefined {
    return this.#read(this.#byState.get(now, digest(state)));
  }

  replace(flow: ConnectFlow, version: string, expiresAt: number): boolean {
    const now = this.#now();
    const link = digest(flow.link);
    const state = flow.sent === undefined ? null : digest(flow.sent.state);
    return writeSealed({ db: this.#db, keys: this.#keys, tenant: flow.key.tenant, now }, (key) => {
      const next = newCorrelationId(now);
      return this.#update.run(state, next, sealFlow(key, flow, link, next), expiresAt, link, version).changes > 0;
    });
  }

  end(flow: ConnectFlow, version: string): boolean {
    return this.#delete.run(digest(flow.link), version).changes > 0;
  }

  #read(found: unknown): StoredFlow | undefined {
    if (found === undefined) return undefined;
    const { link, tenant, version, sealed, expires_at: expiresAt } = found as Row;
    const key = this.#keys.find(tenant);
    if (key === undefined) return undefined;
    const flow = JSON.parse(open(key, flowRowPlace(tenant, link, version), sealed).toString()) as ConnectFlow;
    return { flow, version, expiresAt };
  }
}

function digest(secret: string): Uint8Array {
  return createHash('sha256').update(secret).digest();
}

function placeOf({ key, asker, scopes }: Same): Place {
  const owner = key.owner === undefined ? ['tenant'] : ['subject', key.owner.issuer, key.owner.subject];
  return [key.tenant, 'connect-flow', key.slot, asker.issuer, asker.subject, ...owner, ...[...scopes].toSorted()];
}

/** Link and version are part of the place: a flow does not open in another row, nor as another version. */
export function flowRowPlace(tenant: string, link: Uint8Array, version: string): Place {
  return [tenant, 'connect-flow', Buffer.from(link).toString('base64url'), version];
}

function sealFlow(key: TenantKey, flow: ConnectFlow, link: Uint8Array, version: string): Buffer {
  return seal(key, flowRowPlace(flow.key.tenant, link, version), Buffer.from(JSON.stringify(flow)));
}
