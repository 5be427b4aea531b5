// The tokens of the demo estate: derived from its master key, so that a client configured once works after a restart.
// Not responsible for any other estate: these cannot be renewed.
// Invariant: a new one is audited before it exists.
import type { CompiledServer } from '../config/compiled.ts';
import { listTenants } from '../config/load-tenant.ts';
import { newCorrelationId } from '../shared/ids.ts';
import { deriveDemoToken, hashToken } from '../vault/access-token.ts';
import { auditTokens } from './token-audit.ts';
import type { VaultAccess } from './vault-access.ts';

const SUBJECT = 'demo';

/** By tenant. */
export async function demoTokens(
  config: CompiledServer,
  { vault: { tokens }, masterKey }: VaultAccess,
): Promise<Map<string, string>> {
  const shown = new Map(listTenants(config.estate).ids.map((tenant) => [tenant, deriveDemoToken(masterKey, tenant)]));
  const added = [...shown].filter(([, token]) => tokens.find(hashToken(token)) === undefined);
  const records = added.map(([tenant, token]) => ({ tenant, hash: hashToken(token), id: newCorrelationId() }));
  await auditTokens(
    config,
    records.map(({ tenant, id }) => ({ kind: 'token.created', tenant, subject: SUBJECT, token: id })),
  );
  for (const { tenant, hash, id } of records) {
    tokens.add({ id, tenant, subject: SUBJECT, scopes: [], createdAt: Date.now(), revokedAt: undefined }, hash);
  }
  return shown;
}
