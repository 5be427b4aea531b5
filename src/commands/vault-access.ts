// Opens the vault of an estate for one command, also while a server has it open.
// Not responsible for what is done with it.
// Invariant: closed again whatever happens; a vault that cannot be opened is one line for the operator.
import type { CompiledServer } from '../config/compiled.ts';
import { prepareDataDir } from '../config/data-dir.ts';
import { problemLine } from '../shared/problem.ts';
import { vaultExists } from '../vault/database.ts';
import type { KeyPlace } from '../vault/keys/key-place.ts';
import { loadMasterKey } from '../vault/keys/master-key.ts';
import { openVault, type Vault, type VaultOptions } from '../vault/vault.ts';
import { isOfRemovedTenant } from '../vault/removed-tenants.ts';
import { VaultError } from '../vault/vault-error.ts';
import { UserError } from './command.ts';
import { type GuardsOf, loadTenantGuards } from './tenant-guards.ts';

/** Longest waits for another process's write, on the event loop: a command has time, a server has not. */
const COMMAND_BUSY_MS = 5000;
export const SERVER_BUSY_MS = 20;

export interface VaultAccess {
  readonly vault: Vault;
  readonly masterKey: Uint8Array;
  /** Where the master key is. */
  readonly place: KeyPlace;
  /** The same, in words, where it was made just now. */
  readonly createdKey: string | undefined;
}

export interface AccessOptions {
  /** @default 5000 */
  readonly busyMs?: number;
  /** Whose sealed records are needed: only their items in the keychain are read. @default nobody's */
  readonly guardsOf?: GuardsOf;
}

/** What the operator is told of a key that was made just now. */
export function keyMadeNotice(where: string): string {
  return `a master key was made, ${where}: back it up, the vault cannot be opened without it\n`;
}

export async function withVault<T>(
  config: CompiledServer,
  use: (access: VaultAccess) => T | Promise<T>,
  { busyMs = COMMAND_BUSY_MS, guardsOf = [] }: AccessOptions = {},
): Promise<T> {
  const access = open(config, busyMs, guardsOf);
  try {
    return await use(access);
  } catch (error) {
    if (error instanceof VaultError) throw new UserError(error.message);
    if (isOfRemovedTenant(error)) throw new UserError("the tenant was removed; 'leasehold tenant add' begins it anew");
    throw error;
  } finally {
    access.vault.close();
  }
}

function open(config: CompiledServer, busyMs: number, guardsOf: GuardsOf): VaultAccess {
  const { dataDir, masterKey: source } = config;
  const problem = prepareDataDir(dataDir);
  if (problem !== undefined) throw new UserError(problemLine(problem));
  try {
    const { key, place, created } = loadMasterKey(source, vaultExists(dataDir));
    // A server lives long enough for the key to change under it.
    const follow = busyMs === SERVER_BUSY_MS;
    const guards = loadTenantGuards(config, guardsOf);
    const opened = openWith({ dataDir, busyMs, follow, guards }, key, place);
    return { ...opened, place, createdKey: created ? place.where : undefined };
  } catch (error) {
    if (error instanceof VaultError) throw new UserError(error.message);
    throw error;
  }
}

/** A change of keys that was interrupted after the vault had taken the new one is finished here. */
function openWith(
  options: Omit<VaultOptions, 'masterKey'>,
  key: Uint8Array,
  place: KeyPlace,
): { vault: Vault; masterKey: Uint8Array } {
  try {
    return { vault: openVault({ ...options, masterKey: key }), masterKey: key };
  } catch (error) {
    const next = error instanceof VaultError && error.code === 'key_wrong' ? place.read('next') : undefined;
    if (next === undefined) throw error;
    const vault = openVault({ ...options, masterKey: next });
    place.promote();
    return { vault, masterKey: next };
  }
}
