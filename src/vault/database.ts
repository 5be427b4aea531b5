// The database file of a data folder: opened safely, with its schema brought up to date.
// Not responsible for what the tables mean (`token-store`, `value-store`, `tenant-keys`).
// Invariant: several processes may have it open; nobody waits longer than the busy timeout; a file of a newer version is
// refused and never changed.
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openPrivate } from './private-file.ts';
import { VaultError } from './vault-error.ts';

/** node:sqlite waits on the event loop: a server must not wait long. */
export const BUSY_MS = 20;
const OPEN_BUSY_MS = 5000;

/** Each runs once, in its own transaction, and is never changed after a release. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE vault_meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE tenant_keys (
     tenant TEXT PRIMARY KEY, key_id INTEGER NOT NULL, wrapped BLOB NOT NULL, created_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE tokens (
     hash BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, subject TEXT NOT NULL, scopes TEXT NOT NULL,
     created_at INTEGER NOT NULL, revoked_at INTEGER
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX tokens_by_tenant ON tokens (tenant, created_at);
   CREATE TABLE store_values (
     tenant TEXT NOT NULL, slot BLOB NOT NULL, sealed BLOB NOT NULL, charged INTEGER NOT NULL, expires_at INTEGER,
     UNIQUE (tenant, slot)
   ) STRICT;
   CREATE INDEX store_values_by_expiry ON store_values (expires_at) WHERE expires_at IS NOT NULL;
   CREATE TABLE store_usage (tenant TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TRIGGER store_values_added AFTER INSERT ON store_values BEGIN
     INSERT INTO store_usage VALUES (new.tenant, new.charged)
       ON CONFLICT (tenant) DO UPDATE SET bytes = bytes + excluded.bytes;
   END;
   CREATE TRIGGER store_values_changed AFTER UPDATE ON store_values BEGIN
     UPDATE store_usage SET bytes = bytes - old.charged + new.charged WHERE tenant = new.tenant;
   END;
   CREATE TRIGGER store_values_removed AFTER DELETE ON store_values BEGIN
     UPDATE store_usage SET bytes = bytes - old.charged WHERE tenant = old.tenant;
   END;`,
  `CREATE TABLE secrets (
     tenant TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sealed BLOB NOT NULL, updated_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, name)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE grants (
     tenant TEXT NOT NULL, slot BLOB NOT NULL, version TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (tenant, slot)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE refresh_locks (
     tenant TEXT NOT NULL, slot BLOB NOT NULL, holder TEXT NOT NULL, fence INTEGER NOT NULL, expires_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, slot)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE rejections (
     tenant TEXT NOT NULL, slot BLOB NOT NULL, connection TEXT NOT NULL, credential TEXT NOT NULL, failures INTEGER NOT NULL,
     until INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (tenant, slot)
   ) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE tokens ADD COLUMN expires_at INTEGER;
   ALTER TABLE tokens ADD COLUMN last_used_at INTEGER;`,
  `CREATE TABLE connect_flows (
     link BLOB PRIMARY KEY, tenant TEXT NOT NULL, place BLOB NOT NULL, state BLOB UNIQUE, version TEXT NOT NULL,
     sealed BLOB NOT NULL, expires_at INTEGER NOT NULL, UNIQUE (tenant, place)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX connect_flows_by_expiry ON connect_flows (expires_at);`,
  `CREATE TABLE usage_days (
     tenant TEXT NOT NULL, day TEXT NOT NULL, calls INTEGER NOT NULL, cpu_us INTEGER NOT NULL, egress_bytes INTEGER NOT NULL,
     PRIMARY KEY (tenant, day)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX usage_days_by_day ON usage_days (day);`,
  `CREATE TABLE users (
     name TEXT PRIMARY KEY, sealed BLOB NOT NULL, created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE memberships (
     tenant TEXT NOT NULL, subject TEXT NOT NULL, scopes TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (tenant, subject)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE login_state (
     kind TEXT NOT NULL, place BLOB NOT NULL, alias BLOB, family BLOB, account BLOB, sealed BLOB NOT NULL, spent_at INTEGER,
     expires_at INTEGER NOT NULL, PRIMARY KEY (kind, place)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX login_state_by_alias ON login_state (kind, alias) WHERE alias IS NOT NULL;
   CREATE INDEX login_state_by_family ON login_state (family) WHERE family IS NOT NULL;
   CREATE INDEX login_state_by_account ON login_state (account) WHERE account IS NOT NULL;
   CREATE INDEX login_state_by_expiry ON login_state (kind, expires_at);`,
  // Whoever writes late, a server or a command of whatever version: the database itself lets nothing of a removed tenant come back.
  `CREATE TABLE removed_tenants (tenant TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TRIGGER removed_tenant_has_no_key BEFORE INSERT ON tenant_keys
     WHEN EXISTS (SELECT 1 FROM removed_tenants WHERE tenant = new.tenant)
     BEGIN SELECT RAISE(ABORT, 'the tenant was removed'); END;
   CREATE TRIGGER removed_tenant_has_no_token BEFORE INSERT ON tokens
     WHEN EXISTS (SELECT 1 FROM removed_tenants WHERE tenant = new.tenant)
     BEGIN SELECT RAISE(ABORT, 'the tenant was removed'); END;
   CREATE TRIGGER removed_tenant_has_no_member BEFORE INSERT ON memberships
     WHEN EXISTS (SELECT 1 FROM removed_tenants WHERE tenant = new.tenant)
     BEGIN SELECT RAISE(ABORT, 'the tenant was removed'); END;
   CREATE TRIGGER removed_tenant_has_no_usage BEFORE INSERT ON usage_days
     WHEN EXISTS (SELECT 1 FROM removed_tenants WHERE tenant = new.tenant)
     BEGIN SELECT RAISE(IGNORE); END;
   ALTER TABLE tenant_keys ADD COLUMN guarded INTEGER NOT NULL DEFAULT 0;`,
];

export function databasePath(dataDir: string): string {
  return join(dataDir, 'vault.db');
}
/** Whether a vault was ever made in this data folder. */
export function vaultExists(dataDir: string): boolean {
  return existsSync(databasePath(dataDir));
}

/** Throws a `VaultError`. The caller closes. */
export function openDatabase(dataDir: string, busyMs: number = BUSY_MS): DatabaseSync {
  const path = databasePath(dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  ensurePrivate(path);
  let db: DatabaseSync | undefined;
  try {
    // SQLite gives its WAL and shared-memory files the mode of the database.
    db = new DatabaseSync(path, { timeout: OPEN_BUSY_MS });
    enterWal(db);
    db.exec('PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON');
    migrate(db);
    db.exec(`PRAGMA busy_timeout = ${Math.trunc(busyMs)}`);
    return db;
  } catch (cause) {
    db?.close();
    if (cause instanceof VaultError) throw cause;
    throw new VaultError('database_unusable', `${path} cannot be used (${cause instanceof Error ? cause.message : 'unknown'})`, {
      cause,
    });
  }
}

/** SQLite does not wait for its busy timeout here: several processes may make the same file at once. */
function enterWal(db: DatabaseSync): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (const until = performance.now() + OPEN_BUSY_MS; ; Atomics.wait(pause, 0, 0, 10)) {
    try {
      db.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (cause) {
      if (performance.now() > until || !(cause instanceof Error) || !/locked|busy/i.test(cause.message)) throw cause;
    }
  }
}

function ensurePrivate(path: string): void {
  const fd = openPrivate(path);
  if (fd !== undefined) return closeSync(fd);
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new VaultError('database_unusable', `${path} cannot be made (${(cause as NodeJS.ErrnoException).code})`, { cause });
    }
  }
}

/** Runs `work` in one write transaction. */
export function transact<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const value = work();
    db.exec('COMMIT');
    return value;
  } catch (cause) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw cause;
  }
}

function versionOf(db: DatabaseSync): number {
  return (db.prepare('SELECT coalesce(max(version), 0) AS version FROM schema_migrations').get() as { version: number }).version;
}

function migrate(db: DatabaseSync): void {
  transact(db, () => {
    db.exec('CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT');
    const version = versionOf(db);
    if (version > MIGRATIONS.length) {
      throw new VaultError(
        'database_newer',
        `the database is of a newer Leasehold (schema ${version}, this one knows ${MIGRATIONS.length})`,
      );
    }
    for (const [index, sql] of MIGRATIONS.entries()) {
      if (index < version) continue;
      db.exec(sql);
      db.prepare('INSERT INTO schema_migrations VALUES (?, ?)').run(index + 1, Date.now());
    }
  });
}
