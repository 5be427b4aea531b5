// Which tenants have an item of their own in the keychain, and the reading of those items before the vault is opened.
// Not responsible for one item (`vault/keys/tenant-guard`).
// Invariant: what the database says is guarded counts, whatever tenant.json says by now; nobody is asked for who has no part in it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CompiledServer } from '../config/compiled.ts';
import { listTenants, loadTenantConfig, TENANT_FILE, TENANTS_FOLDER } from '../config/load-tenant.ts';
import { guardedTenants } from '../vault/guarded-tenants.ts';
import { readGuards } from '../vault/keys/tenant-guard.ts';
import type { TenantGuards } from '../vault/tenant-keys.ts';

export type GuardsOf = 'all' | readonly string[];

export function loadTenantGuards(config: CompiledServer, of: GuardsOf): TenantGuards {
  if (of.length === 0) return new Map();
  const { estate, dataDir } = config;
  const guarded = guardedTenants(dataDir);
  const ids = of === 'all' ? [...new Set([...listTenants(estate).ids, ...guarded])] : of;
  const wanted = ids.filter((id) => guarded.has(id) || wantsGuard(config, id));
  return readGuards({ estate, dataDir, tenants: new Map(wanted.map((id) => [id, guarded.has(id)])) });
}

/** There may be thousands of tenants: few name it, and only their files are understood here. */
function wantsGuard({ estate, limits, providers, auth }: CompiledServer, id: string): boolean {
  try {
    if (!readFileSync(join(estate, TENANTS_FOLDER, id, TENANT_FILE), 'utf8').includes('keychain')) return false;
  } catch {
    return false;
  }
  return loadTenantConfig(estate, id, limits, providers, auth).value?.keychain === true;
}
