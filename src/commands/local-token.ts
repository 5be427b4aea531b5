// The token with which `leasehold call` calls a server of its own machine: derived from the master key, stored nowhere.
// Not responsible for the tokens that users are given (`token create`).
// Invariant: only who can read the master key can derive it, and that one may mint any token anyway; each (tenant, subject)
// has one row in the vault (as hash), made at the first call and audited, so that thousands of calls leave one token behind.
// Revoking it works: the next call derives another one.
import { createHmac } from 'node:crypto';
import type { CompiledServer } from '../config/compiled.ts';
import { newCorrelationId } from '../shared/ids.ts';
import { hashToken } from '../vault/access-token.ts';
import { deriveKey } from '../vault/master-wrap.ts';
import { UserError } from './command.ts';
import { auditTokens } from './token-audit.ts';
import { withVault } from './vault-access.ts';

const MOST_REVOKED = 1000;

export function localToken(config: CompiledServer, tenant: string, subject: string): Promise<string> {
  return withVault(config, async ({ vault, masterKey }) => {
    const key = deriveKey(masterKey, 'cli-token/v1');
    for (let generation = 0; generation < MOST_REVOKED; generation += 1) {
      const secret = createHmac('sha256', key)
        .update(JSON.stringify([tenant, subject, generation]))
        .digest('base64url');
      const token = `lh_${tenant}_${secret}`;
      const known = vault.tokens.find(hashToken(token));
      if (known?.revokedAt !== undefined) continue;
      if (known === undefined) {
        const id = newCorrelationId();
        await auditTokens(config, [{ kind: 'token.created', tenant, subject, token: id }]);
        vault.tokens.add({ id, tenant, subject, scopes: [], createdAt: Date.now(), revokedAt: undefined }, hashToken(token));
      }
      return token;
    }
    throw new UserError(`the CLI's tokens of ${subject} were revoked too often; make one: leasehold token create ${tenant}`);
  });
}
