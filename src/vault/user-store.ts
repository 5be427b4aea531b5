// People who sign in here: a name, and sealed what a password is compared with.
// Not responsible for hashing or comparing (`login/passwords`).
// Invariant: a changed password ends the sessions and grants of its user, in the same transaction; a removed user leaves no membership.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { SERVER_OWNER } from '../shared/ids.ts';
import { transact } from './database.ts';
import { open, type Place, seal } from './seal.ts';
import { writeSealed } from './sealed-write.ts';
import type { LoginStore, MembershipStore, UserRecord, UserStore } from './stores.ts';
import type { TenantKeys } from './tenant-keys.ts';

interface Row {
  readonly name: string;
  readonly sealed: Uint8Array;
  readonly created_at: number;
  readonly changed_at: number;
}
/** What a user has elsewhere. */
interface Belongings {
  readonly login: Pick<LoginStore, 'deleteAccount'>;
  readonly memberships: Pick<MembershipStore, 'of' | 'revoke'>;
}

export class SqliteUserStore implements UserStore {
  readonly #db: DatabaseSync;
  readonly #keys: TenantKeys;
  readonly #of: Belongings;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;

  constructor(db: DatabaseSync, keys: TenantKeys, of: Belongings) {
    this.#db = db;
    this.#keys = keys;
    this.#of = of;
    const row = 'SELECT name, sealed, created_at, changed_at FROM users';
    this.#find = db.prepare(`${row} WHERE name = ?`);
    this.#insert = db.prepare('INSERT INTO users VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING');
    this.#update = db.prepare('UPDATE users SET sealed = ?, changed_at = ? WHERE name = ?');
    this.#delete = db.prepare('DELETE FROM users WHERE name = ?');
    this.#list = db.prepare(`${row} ORDER BY name`);
  }

  find(name: string): UserRecord | undefined {
    const row = this.#find.get(name) as Row | undefined;
    const key = row === undefined ? undefined : this.#keys.find(SERVER_OWNER);
    if (row === undefined || key === undefined) return undefined;
    return { ...shown(row), password: open(key, userRowPlace(name), row.sealed).toString() };
  }

  add(name: string, password: string, now: number): boolean {
    return writeSealed({ db: this.#db, keys: this.#keys, tenant: SERVER_OWNER, now }, (key) => {
      const sealed = seal(key, userRowPlace(name), Buffer.from(password));
      return this.#insert.run(name, sealed, now, now).changes > 0;
    });
  }

  setPassword(name: string, password: string, now: number): boolean {
    return writeSealed({ db: this.#db, keys: this.#keys, tenant: SERVER_OWNER, now }, (key) => {
      const changed = this.#update.run(seal(key, userRowPlace(name), Buffer.from(password)), now, name).changes > 0;
      if (changed) this.#of.login.deleteAccount(name);
      return changed;
    });
  }

  remove(name: string): boolean {
    return transact(this.#db, () => {
      for (const { tenant } of this.#of.memberships.of(name)) this.#of.memberships.revoke(tenant, name);
      this.#of.login.deleteAccount(name);
      return this.#delete.run(name).changes > 0;
    });
  }

  list(): Omit<UserRecord, 'password'>[] {
    return (this.#list.all() as unknown as Row[]).map(shown);
  }
}

export function userRowPlace(name: string): Place {
  return [SERVER_OWNER, 'user', name];
}

function shown({ name, created_at: createdAt, changed_at: changedAt }: Row): Omit<UserRecord, 'password'> {
  return { name, createdAt, changedAt };
}
