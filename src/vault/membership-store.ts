// Who of those who sign in here may use which tenant, with which scopes at most.
// Not responsible for who they are (`user-store`) or for deciding by it (`login/`).
// Invariant: as long as nothing changed, `find` gives the same object and costs one look into a map; what another process changes
// counts within STALE_MS.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ForeignChanges } from './foreign-changes.ts';
import type { Membership, MembershipStore } from './stores.ts';

const CACHED = 10_000;

interface Row {
  readonly tenant: string;
  readonly subject: string;
  readonly scopes: string;
  readonly since: number;
}

export class SqliteMembershipStore implements MembershipStore {
  readonly #changes: ForeignChanges;
  readonly #cache = new Map<string, Membership>();
  readonly #find: StatementSync;
  readonly #grant: StatementSync;
  readonly #revoke: StatementSync;
  readonly #of: StatementSync;
  readonly #list: StatementSync;
  readonly #subjects: StatementSync;

  constructor(db: DatabaseSync, changes: ForeignChanges) {
    const row = 'SELECT tenant, subject, scopes, since FROM memberships WHERE';
    this.#find = db.prepare(`${row} tenant = ? AND subject = ?`);
    this.#grant = db.prepare(
      `INSERT INTO memberships VALUES (?, ?, ?, ?) ON CONFLICT (tenant, subject) DO UPDATE SET scopes = excluded.scopes`,
    );
    this.#revoke = db.prepare('DELETE FROM memberships WHERE tenant = ? AND subject = ?');
    this.#of = db.prepare(`${row} subject = ? ORDER BY tenant`);
    this.#list = db.prepare(`${row} tenant = ? ORDER BY subject`);
    this.#subjects = db.prepare('SELECT DISTINCT subject FROM memberships ORDER BY subject');
    this.#changes = changes;
    changes.onChange(() => this.forget());
  }

  find(tenant: string, subject: string): Membership | undefined {
    this.#changes.check();
    const key = `${tenant}/${subject}`;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#find.get(tenant, subject) as Row | undefined;
    if (row === undefined) return undefined;
    const membership = membershipOf(row);
    if (this.#cache.size >= CACHED) this.forget();
    this.#cache.set(key, membership);
    return membership;
  }

  grant(tenant: string, subject: string, scopes: readonly string[], now: number): void {
    this.#grant.run(tenant, subject, JSON.stringify(scopes), now);
    this.forget();
  }

  revoke(tenant: string, subject: string): boolean {
    const revoked = this.#revoke.run(tenant, subject).changes > 0;
    this.forget();
    return revoked;
  }

  of(subject: string): Membership[] {
    return (this.#of.all(subject) as unknown as Row[]).map(membershipOf);
  }

  list(tenant: string): Membership[] {
    return (this.#list.all(tenant) as unknown as Row[]).map(membershipOf);
  }

  subjects(): string[] {
    return (this.#subjects.all() as { subject: string }[]).map(({ subject }) => subject);
  }

  forget(): void {
    this.#cache.clear();
  }
}

function membershipOf({ tenant, subject, scopes, since }: Row): Membership {
  return Object.freeze({ tenant, subject, scopes: Object.freeze(JSON.parse(scopes) as string[]), since });
}
