// The tenant that a value of a tenant claim stands for: its id, or one of the names that its issuers have for it.
// Not responsible for believing the claim: whoever is found must be what the token proves to be for.
// Invariant: a value that two tenants claim stands for none; an index per state of the registry, so that a look-up is a look-up.
import { isTenantId } from '../shared/ids.ts';
import type { Tenant, TenantRegistry } from './tenant.ts';

const indexes = new WeakMap<readonly Tenant[], ReadonlyMap<string, string | undefined>>();

export function claimedTenant(registry: TenantRegistry, value: string): string | undefined {
  const tenants = registry.list();
  let index = indexes.get(tenants);
  if (index === undefined) indexes.set(tenants, (index = indexOf(tenants)));
  if (index.has(value)) return index.get(value);
  // One that names other values for itself is not found by its id.
  return isTenantId(value) && registry.get(value)?.config.auth.claimValues === undefined ? value : undefined;
}

function indexOf(tenants: readonly Tenant[]): ReadonlyMap<string, string | undefined> {
  const index = new Map<string, string | undefined>();
  for (const { id, config } of tenants)
    for (const value of config.auth.claimValues ?? []) index.set(value, index.has(value) ? undefined : id);
  return index;
}
