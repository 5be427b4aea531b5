// Which tenants' keys are guarded, asked before the vault is opened: their guards are needed for that.
// Not responsible for guards. Invariant: makes no vault where there is none.
import { openDatabase, vaultExists } from './database.ts';

/** Throws a `VaultError`. */
export function guardedTenants(dataDir: string): ReadonlySet<string> {
  if (!vaultExists(dataDir)) return new Set();
  const db = openDatabase(dataDir);
  try {
    const rows = db.prepare('SELECT tenant FROM tenant_keys WHERE guarded = 1').all() as unknown as { tenant: string }[];
    return new Set(rows.map(({ tenant }) => tenant));
  } finally {
    db.close();
  }
}
