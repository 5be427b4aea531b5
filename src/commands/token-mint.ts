// Makes one bearer token in the vault of an estate.
// Not responsible for showing it. Invariant: the audit has its record, and whoever keeps the text has it, before the token is good.
import type { CompiledServer } from '../config/compiled.ts';
import { createToken } from '../vault/access-token.ts';
import type { TokenRecord } from '../vault/stores.ts';
import { auditTokens } from './token-audit.ts';
import type { VaultAccess } from './vault-access.ts';

export interface TokenWish {
  readonly tenant: string;
  readonly subject: string;
  /** Empty: all scopes of the tenant. */
  readonly scopes: readonly string[];
  /** Absent: it does not end by itself. */
  readonly lastsMs?: number | undefined;
}

/** `keep` may throw: then there is no token. */
export async function mintToken(
  config: CompiledServer,
  { vault }: VaultAccess,
  { tenant, subject, scopes, lastsMs }: TokenWish,
  keep?: (token: string) => void,
): Promise<{ readonly token: string; readonly record: TokenRecord }> {
  const now = Date.now();
  let add = (): void => {};
  const held = { add: (record: TokenRecord, hash: string) => void (add = () => vault.tokens.add(record, hash)) };
  const expiry = lastsMs === undefined ? {} : { expiresAt: now + lastsMs };
  const made = createToken(held, { tenant, subject, scopes, now, ...expiry });
  await auditTokens(config, [{ kind: 'token.created', tenant, subject, token: made.record.id }]);
  keep?.(made.token);
  add();
  return made;
}
