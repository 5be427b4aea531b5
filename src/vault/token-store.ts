// Inbound bearer tokens: their hashes, and whom they stand for.
// Not responsible for making or presenting tokens (`access-token`), nor for deciding by them (`auth/`).
// Invariant: no token is stored, only its SHA-256; as long as nothing changed, `find` gives the same object for the same
// hash (callers may key by it); what another process changes counts within STALE_MS; a use is noted without a write per request.
import { transact } from './database.ts';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ForeignChanges } from './foreign-changes.ts';
import type { TokenRecord, TokenStore } from './stores.ts';

/** Tokens that exist only: unknown hashes are looked up each time (some microseconds) and take no memory. */
const CACHED = 10_000;

interface Row {
  readonly id: string;
  readonly tenant: string;
  readonly subject: string;
  readonly scopes: string;
  readonly created_at: number;
  readonly revoked_at: number | null;
  readonly expires_at: number | null;
  readonly last_used_at: number | null;
}

/** Uses closer together than this are one use. */
const USE_MS = 60_000;
/** From a use to its write: with those of other tokens, in one transaction. */
const WRITE_MS = 5000;

function recordOf(row: Row): TokenRecord {
  return Object.freeze({
    id: row.id,
    tenant: row.tenant,
    subject: row.subject,
    scopes: Object.freeze(JSON.parse(row.scopes) as string[]),
    createdAt: row.created_at,
    revokedAt: row.revoked_at ?? undefined,
    expiresAt: row.expires_at ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
  });
}

export class SqliteTokenStore implements TokenStore {
  readonly #changes: ForeignChanges;
  readonly #cache = new Map<string, TokenRecord>();
  readonly #insert: StatementSync;
  readonly #select: StatementSync;
  readonly #list: StatementSync;
  readonly #revoke: StatementSync;
  readonly #use: StatementSync;
  readonly #db: DatabaseSync;
  /** Last noted use per record, and those that are not written yet, by id. */
  readonly #noted = new WeakMap<TokenRecord, number>();
  readonly #unwritten = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: DatabaseSync, changes: ForeignChanges) {
    const columns = 'id, tenant, subject, scopes, created_at, revoked_at, expires_at, last_used_at';
    this.#db = db;
    this.#insert = db.prepare(`INSERT INTO tokens (hash, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#use = db.prepare('UPDATE tokens SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)');
    this.#select = db.prepare(`SELECT ${columns} FROM tokens WHERE hash = ?`);
    this.#list = db.prepare(`SELECT ${columns} FROM tokens WHERE tenant = ? ORDER BY created_at, id`);
    this.#revoke = db.prepare('UPDATE tokens SET revoked_at = ? WHERE tenant = ? AND id = ? AND revoked_at IS NULL');
    this.#changes = changes;
    changes.onChange(() => this.forget());
  }

  add(record: TokenRecord, secretHash: string): void {
    const { id, tenant, subject, scopes, createdAt, revokedAt, expiresAt, lastUsedAt } = record;
    const times = [createdAt, revokedAt ?? null, expiresAt ?? null, lastUsedAt ?? null];
    this.#insert.run(Buffer.from(secretHash, 'hex'), id, tenant, subject, JSON.stringify(scopes), ...times);
  }

  find(secretHash: string): TokenRecord | undefined {
    this.#changes.check();
    const cached = this.#cache.get(secretHash);
    if (cached !== undefined) return cached;
    const row = this.#select.get(Buffer.from(secretHash, 'hex')) as Row | undefined;
    if (row === undefined) return undefined;
    const record = recordOf(row);
    if (this.#cache.size >= CACHED) this.forget();
    this.#cache.set(secretHash, record);
    return record;
  }

  used(record: TokenRecord, now: number): void {
    if (now - (this.#noted.get(record) ?? record.lastUsedAt ?? Number.NEGATIVE_INFINITY) < USE_MS) return;
    this.#noted.set(record, now);
    this.#unwritten.set(record.id, now);
    this.#timer ??= setTimeout(() => this.writeUses(), WRITE_MS).unref();
  }

  /** A busy database is tried again later: a use that is not written costs nobody anything. */
  writeUses(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unwritten.size === 0) return;
    try {
      transact(this.#db, () => {
        for (const [id, at] of this.#unwritten) this.#use.run(at, id, at);
      });
      this.#unwritten.clear();
    } catch {
      if (this.#unwritten.size > CACHED) this.#unwritten.clear();
      this.#timer = setTimeout(() => this.writeUses(), WRITE_MS).unref();
    }
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  list(tenant: string): TokenRecord[] {
    return (this.#list.all(tenant) as unknown as Row[]).map(recordOf);
  }

  revoke(tenant: string, id: string, now: number): boolean {
    const revoked = this.#revoke.run(now, tenant, id).changes > 0;
    this.forget();
    return revoked;
  }

  forget(): void {
    this.#cache.clear();
  }
}
