// What the embedded authorization server keeps: sealed rows, found by names that only the server's key can make.
// Not responsible for what they mean (`login/`).
// Invariant: neither a code, a token nor a session id can be read from the database; what is used up is used up once; every kind is
// bounded, and what has expired is never given out.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { SERVER_OWNER } from '../shared/ids.ts';
import type { ForeignChanges } from './foreign-changes.ts';
import { open, type Place, seal } from './seal.ts';
import { hiddenName, writeSealed } from './sealed-write.ts';
import type { LoginEntry, LoginNames, LoginStore } from './stores.ts';
import type { TenantKey, TenantKeys } from './tenant-keys.ts';

interface Row {
  readonly place: Uint8Array;
  readonly sealed: Uint8Array;
  readonly spent_at: number | null;
  readonly expires_at: number;
}

/** Writes between two sweeps of what has expired. */
const SWEEP = 64;
/** Names of what is known to be there. */
const CACHED = 10_000;

export class SqliteLoginStore implements LoginStore {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #now: () => number;
  readonly #find: StatementSync;
  readonly #byAlias: StatementSync;
  readonly #list: StatementSync;
  readonly #put: StatementSync;
  readonly #count: StatementSync;
  readonly #drop: StatementSync;
  readonly #spend: StatementSync;
  readonly #extend: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteFamily: StatementSync;
  readonly #deleteAccount: StatementSync;
  readonly #sweep: StatementSync;
  readonly #changes: ForeignChanges;
  /** Its end, epoch milliseconds. */
  readonly #alive = new Map<string, number>();
  #writes = 0;

  constructor(db: DatabaseSync, keys: TenantKeys, changes: ForeignChanges, now: () => number) {
    this.#changes = changes;
    changes.onChange(() => this.#alive.clear());
    this.#db = db;
    this.#keys = keys;
    this.#now = now;
    const row = 'SELECT place, sealed, spent_at, expires_at FROM login_state WHERE expires_at > ? AND kind = ?';
    this.#find = db.prepare(`${row} AND place = ?`);
    this.#byAlias = db.prepare(`${row} AND alias = ?`);
    this.#list = db.prepare(`${row} ORDER BY expires_at`);
    this.#put = db.prepare(
      `INSERT INTO login_state VALUES (?, ?, ?, ?, ?, ?, NULL, ?)
       ON CONFLICT (kind, place) DO UPDATE SET alias = excluded.alias, family = excluded.family, account = excluded.account,
         sealed = excluded.sealed, expires_at = excluded.expires_at`,
    );
    this.#count = db.prepare('SELECT count(*) AS rows FROM login_state WHERE kind = ?');
    this.#drop = db.prepare(
      `DELETE FROM login_state WHERE kind = ?1 AND place IN
         (SELECT place FROM login_state WHERE kind = ?1 ORDER BY expires_at LIMIT ?2)`,
    );
    this.#spend = db.prepare('UPDATE login_state SET spent_at = ? WHERE kind = ? AND place = ? AND spent_at IS NULL');
    this.#extend = db.prepare('UPDATE login_state SET expires_at = max(expires_at, ?) WHERE kind = ? AND place = ?');
    this.#delete = db.prepare('DELETE FROM login_state WHERE kind = ? AND place = ?');
    this.#deleteFamily = db.prepare('DELETE FROM login_state WHERE family = ?');
    this.#deleteAccount = db.prepare('DELETE FROM login_state WHERE account = ?');
    this.#sweep = db.prepare('DELETE FROM login_state WHERE expires_at <= ?');
  }

  find(kind: string, id: string, now: number): LoginEntry | undefined {
    const key = this.#keys.find(SERVER_OWNER);
    return key === undefined ? undefined : read(key, kind, this.#find.get(now, kind, nameOf(key, kind, id)));
  }

  alive(kind: string, id: string, now: number): boolean {
    this.#changes.check();
    const name = `${kind} ${id}`;
    const until = this.#alive.get(name) ?? this.find(kind, id, now)?.expiresAt;
    if (until === undefined || until <= now) return false;
    if (this.#alive.size >= CACHED) this.#alive.clear();
    this.#alive.set(name, until);
    return true;
  }

  byAlias(kind: string, alias: string, now: number): LoginEntry | undefined {
    const key = this.#keys.find(SERVER_OWNER);
    return key === undefined ? undefined : read(key, kind, this.#byAlias.get(now, kind, nameOf(key, 'alias', alias)));
  }

  list(kind: string, now: number): LoginEntry[] {
    const key = this.#keys.find(SERVER_OWNER);
    if (key === undefined) return [];
    return this.#list.all(now, kind).flatMap((row) => read(key, kind, row) ?? []);
  }

  put(
    kind: string,
    id: string,
    { value, expiresAt }: Pick<LoginEntry, 'value' | 'expiresAt'>,
    names: LoginNames,
    most: number,
  ): void {
    const now = this.#now();
    writeSealed({ db: this.#db, keys: this.#keys, tenant: SERVER_OWNER, now }, (key) => {
      const name = (what: string, text: string | undefined) => (text === undefined ? null : nameOf(key, what, text));
      const place = nameOf(key, kind, id);
      const sealed = seal(key, loginRowPlace(kind, place), Buffer.from(JSON.stringify(value)));
      const { alias, family, account } = names;
      this.#put.run(kind, place, name('alias', alias), name('family', family), name('account', account), sealed, expiresAt);
      if ((this.#writes = (this.#writes + 1) % SWEEP) === 0) this.#sweep.run(now);
      const { rows } = this.#count.get(kind) as { rows: number };
      if (rows <= most) return;
      this.#drop.run(kind, rows - most);
      this.#alive.clear();
    });
  }

  spend(kind: string, id: string, now: number): boolean {
    const key = this.#keys.find(SERVER_OWNER);
    return key !== undefined && this.#spend.run(now, kind, nameOf(key, kind, id)).changes > 0;
  }

  extend(kind: string, id: string, expiresAt: number): void {
    const key = this.#keys.find(SERVER_OWNER);
    if (key !== undefined) this.#extend.run(expiresAt, kind, nameOf(key, kind, id));
  }

  delete(kind: string, id: string): void {
    this.#alive.clear();
    const key = this.#keys.find(SERVER_OWNER);
    if (key !== undefined) this.#delete.run(kind, nameOf(key, kind, id));
  }

  deleteFamily(family: string): void {
    this.#alive.clear();
    const key = this.#keys.find(SERVER_OWNER);
    if (key !== undefined) this.#deleteFamily.run(nameOf(key, 'family', family));
  }

  deleteAccount(account: string): void {
    this.#alive.clear();
    const key = this.#keys.find(SERVER_OWNER);
    if (key !== undefined) this.#deleteAccount.run(nameOf(key, 'account', account));
  }
}

function nameOf(key: TenantKey, what: string, text: string): Uint8Array {
  return hiddenName(key, [SERVER_OWNER, 'login', what, text]);
}

export function loginRowPlace(kind: string, place: Uint8Array): Place {
  return [SERVER_OWNER, 'login', kind, Buffer.from(place).toString('base64url')];
}

function read(key: TenantKey, kind: string, found: unknown): LoginEntry | undefined {
  if (found === undefined) return undefined;
  const row = found as Row;
  const text = open(key, loginRowPlace(kind, row.place), row.sealed).toString();
  return { value: JSON.parse(text) as LoginEntry['value'], spentAt: row.spent_at ?? undefined, expiresAt: row.expires_at };
}
