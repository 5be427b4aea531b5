// The small interfaces behind which all state lives, so that a shared database can take the place of node:sqlite.
// Not responsible for sealing or files.
// Invariant: every record is keyed by tenant first; nothing can be read without naming its tenant (tokens: their hash).

export interface TokenRecord {
  readonly id: string;
  readonly tenant: string;
  readonly subject: string;
  /** Empty: all scopes of the tenant. */
  readonly scopes: readonly string[];
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly revokedAt: number | undefined;
}

export interface TokenStore {
  /** Stores the SHA-256 of the secret only. */
  add(record: TokenRecord, secretHash: Uint8Array): void;
  /** By SHA-256 of the presented secret. Revoked ones are returned with `revokedAt`, so that the audit can say why. */
  find(secretHash: Uint8Array): TokenRecord | undefined;
  list(tenant: string): TokenRecord[];
  revoke(tenant: string, id: string, now: number): boolean;
}

/** The rows behind `ctx.store`. Values are sealed. `subject` undefined: the tenant's own. */
export interface ValueStore {
  get(tenant: string, subject: string | undefined, key: string, now: number): Uint8Array | undefined;
  /** False where the quota (bytes of all values of the tenant) would be exceeded. */
  set(
    tenant: string,
    subject: string | undefined,
    key: string,
    value: Uint8Array,
    expiresAt: number | undefined,
    quotaBytes: number,
  ): boolean;
  delete(tenant: string, subject: string | undefined, key: string): void;
}
