// Takes a tenant apart: its grants end at their services, its folder and its log go, its key is destroyed. Its audit trail stays.
// Not responsible for what the vault does for that, nor for a server, which stops serving a tenant without a folder.
// Invariant: on record first; it may be interrupted anywhere and run again, also where the folder is gone; the key goes last but one,
// so that what could not be done before is still there to be done.
import { existsSync, lstatSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { CompiledConnection, CompiledServer } from '../config/compiled.ts';
import { loadTenantConfig, TENANTS_FOLDER } from '../config/load-tenant.ts';
import { createRevocation, type RevokedUpstream } from '../connections/oauth/revocation.ts';
import { authorLogFile } from '../tenants/author-log.ts';
import { vaultExists } from '../vault/database.ts';
import { guardedTenants } from '../vault/guarded-tenants.ts';
import { deleteGuard } from '../vault/keys/tenant-guard.ts';
import type { Vault } from '../vault/vault.ts';
import { VaultError } from '../vault/vault-error.ts';
import { auditCommand, withCommandAudit } from './command-audit.ts';
import { type Io, UserError } from './command.ts';
import type { LocatedEstate } from './locate.ts';
import { withVault } from './vault-access.ts';

export interface Removal {
  readonly io: Io;
  readonly estate: LocatedEstate;
  readonly tenant: string;
  readonly yes: boolean;
  /** Move the folder aside. */
  readonly keepFiles: boolean;
  readonly json: boolean;
}

/** What there is of it, found before anything is changed. */
interface Found {
  readonly folder: string | undefined;
  readonly logs: readonly string[];
  readonly rows: ReadonlyMap<string, number>;
  readonly guarded: boolean;
  readonly connections: ReadonlyMap<string, CompiledConnection>;
}
interface Ended {
  readonly grant: string;
  readonly upstream: RevokedUpstream;
}

/** From a change of files until a server that watches them has taken it up, with room to spare. */
const FOLLOW_MS = 2000;

export function removeTenant(removal: Removal): Promise<number> {
  const { config } = removal.estate;
  // No vault is made in order to remove something from it.
  if (!vaultExists(config.dataDir)) return remove(removal, undefined);
  return withVault(config, ({ vault }) => remove(removal, vault), { guardsOf: [removal.tenant] });
}

async function remove(removal: Removal, vault: Vault | undefined): Promise<number> {
  const { io, tenant, yes, keepFiles, json } = removal;
  const { config, running } = removal.estate;
  const found = find(config, tenant, vault);
  if (found.folder === undefined && found.logs.length === 0 && found.rows.size === 0)
    throw new UserError(`there is nothing of a tenant '${tenant}' in ${config.estate}`);
  if (!yes) {
    if (json) io.stdout.write(`${JSON.stringify({ wouldRemove: tenant, ...shown(found) })}\n`);
    else io.stderr.write(preview(removal, found));
    return 1;
  }
  const files = found.folder === undefined ? 'none' : keepFiles ? 'kept' : 'deleted';
  await auditCommand(config, [{ kind: 'tenant.removed', tenant, files }]);
  const ended = vault === undefined ? [] : await endGrants(removal, vault, found);
  const kept = found.folder === undefined ? undefined : takeAway(config, tenant, found.folder, keepFiles);
  if (running !== undefined && found.folder !== undefined) {
    if (!json) io.stderr.write('waiting for the server that runs to stop serving it\n');
    await wait(FOLLOW_MS);
    // What was connected meanwhile.
    if (vault !== undefined) ended.push(...(await endGrants(removal, vault, found)));
  }
  for (const file of logFiles(config.dataDir, tenant)) rmSync(file, { force: true });
  vault?.shredTenant(tenant);
  if (found.guarded) forgetGuard(removal);
  if (json) {
    const folder = kept === undefined ? {} : { folder: kept };
    io.stdout.write(`${JSON.stringify({ removed: tenant, files, ...folder, ...shown(found), revoked: ended })}\n`);
    return 0;
  }
  if (kept !== undefined) io.stderr.write(`its files are in ${kept}\n`);
  io.stderr.write(`removed ${tenant}; its audit trail stays\n`);
  if (found.rows.has('tenant_keys') && !found.guarded)
    io.stderr.write(
      "backups of the whole database still open with the master key: 'leasehold vault rotate-key' ends that, too\n",
    );
  if (running !== undefined && !config.watch) io.stderr.write('the server that runs does not watch its files: restart it\n');
  return 0;
}

function find({ estate, dataDir, limits, providers, auth }: CompiledServer, tenant: string, vault: Vault | undefined): Found {
  const folder = join(estate, TENANTS_FOLDER, tenant);
  const config = loadTenantConfig(estate, tenant, limits, providers, auth).value;
  return {
    folder: lstatSync(folder, { throwIfNoEntry: false }) === undefined ? undefined : folder,
    logs: logFiles(dataDir, tenant).filter((file) => existsSync(file)),
    rows: vault?.holdings(tenant) ?? new Map(),
    guarded: config?.keychain === true || guardedTenants(dataDir).has(tenant),
    connections: config?.connections ?? new Map(),
  };
}

function logFiles(dataDir: string, tenant: string): string[] {
  const log = authorLogFile(dataDir, tenant);
  return [log, `${log}.1`];
}

function shown({ logs, rows, guarded }: Found) {
  return { rows: Object.fromEntries(rows), log: logs.length > 0, keychain: guarded };
}

function preview({ tenant, keepFiles }: Removal, { folder, logs, rows, guarded }: Found): string {
  const rest = [...rows].filter(([table]) => table !== 'tenant_keys');
  const steps = [
    ...(rows.has('grants') ? [`end ${rows.get('grants')} grants, at their services too where those can be asked`] : []),
    ...(folder === undefined ? [] : [`${keepFiles ? 'move aside' : 'delete'} ${folder}`]),
    ...(logs.length === 0 ? [] : ['delete what its tools logged']),
    ...(rest.length === 0 ? [] : [`delete ${rest.map(([table, count]) => `${count} ${table.replaceAll('_', ' ')}`).join(', ')}`]),
    ...(rows.has('tenant_keys') ? ['destroy its key, and with it all that is sealed for it'] : []),
    ...(guarded ? ['delete its item of the keychain'] : []),
  ];
  return `remove ${tenant} would\n${steps.map((step) => `  ${step}\n`).join('')}Its audit trail stays. Add --yes to do it.\n`;
}

/** One after the other: each is on record before its server is asked. What does not open is destroyed with the key. */
async function endGrants({ io, estate: { config }, tenant, json }: Removal, vault: Vault, found: Found): Promise<Ended[]> {
  const ended: Ended[] = [];
  const grants = readGrants(vault, tenant);
  if (typeof grants === 'string') {
    io.stderr.write(`its grants were not ended at their services: ${grants}\n`);
    return ended;
  }
  if (grants.length === 0) return ended;
  await withCommandAudit(config, async (audit) => {
    const revocation = createRevocation({ ...vault, audit, privateOrigins: config.privateOrigins, net: config.net });
    try {
      for (const { key, grant } of grants) {
        const connection = found.connections.get(key.slot);
        const oauth = connection?.type === 'oauth2' ? connection.oauth : undefined;
        const upstream = await revocation.revoke(key, oauth);
        if (upstream === undefined) continue;
        ended.push({ grant: grant.id, upstream });
        if (json) continue;
        const manage = oauth?.quirks.manageUrl;
        const there =
          upstream === 'ok' ? 'its service, too' : `not confirmed by its service${manage === undefined ? '' : `: see ${manage}`}`;
        io.stderr.write(`ended ${grant.id} of ${key.owner?.subject ?? 'the tenant'} at ${key.slot}, ${there}\n`);
      }
    } finally {
      await revocation.close();
    }
  });
  return ended;
}

function readGrants(vault: Vault, tenant: string): ReturnType<Vault['grants']['list']> | string {
  try {
    return vault.grants.list(tenant);
  } catch (error) {
    if (error instanceof VaultError) return error.message;
    throw error;
  }
}

/** Gone for a server at once, whatever its size. Gives where the files are, if they are kept. A link is removed, never followed. */
function takeAway({ estate }: CompiledServer, tenant: string, folder: string, keep: boolean): string | undefined {
  const aside = mkdtempSync(join(estate, TENANTS_FOLDER, keep ? `_removed-${tenant}-` : '.removing-'));
  const moved = join(aside, tenant);
  renameSync(folder, moved);
  if (keep) return moved;
  rmSync(aside, { recursive: true, force: true });
  return undefined;
}

function forgetGuard({ io, estate: { config }, tenant }: Removal): void {
  try {
    deleteGuard(config.estate, tenant);
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    io.stderr.write(`its item of the keychain is of no use any more, and could not be deleted: ${error.message}\n`);
  }
}
