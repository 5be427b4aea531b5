// What keeps the vault from having anything for a tenant: its item of the keychain was not read, or it was removed.
// Not responsible for reading it (the start does). Invariant: a tenant that wants a guard is never served its records without one.
import type { CompiledTenant } from '../config/compiled.ts';
import type { Problem } from '../shared/problem.ts';

export interface Kept {
  isRemoved(tenant: string): boolean;
  /** Why the tenant's key does not open. */
  wantGuard(tenant: string): string | undefined;
}

export function keptProblems({ id, keychain }: CompiledTenant, vault: Kept): Problem[] {
  const problems: Problem[] = [];
  const refused = keychain ? vault.wantGuard(id) : undefined;
  if (refused !== undefined) {
    problems.push({
      file: `tenants/${id}/tenant.json`,
      reason: `its secrets, accounts and stored values do not open: ${refused}`,
    });
  }
  if (vault.isRemoved(id)) {
    const reason = 'the tenant was removed, so nothing is kept for it: no secrets, accounts, tokens or stored values';
    problems.push({ file: `tenants/${id}`, reason, hint: `leasehold tenant add ${id} begins it anew` });
  }
  return problems;
}
