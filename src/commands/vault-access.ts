// Opens the vault of an estate for one command, also while a server has it open.
// Not responsible for what is done with it.
// Invariant: closed again whatever happens; a vault that cannot be opened is one line for the operator.
import type { CompiledServer } from '../config/compiled.ts';
import { prepareDataDir } from '../config/data-dir.ts';
import { problemLine } from '../shared/problem.ts';
import { vaultExists } from '../vault/database.ts';
import { loadMasterKey } from '../vault/master-key.ts';
import { openVault, type Vault } from '../vault/vault.ts';
import { VaultError } from '../vault/vault-error.ts';
import { UserError } from './command.ts';

/** Longest waits for another process's write, on the event loop: a command has time, a server has not. */
const COMMAND_BUSY_MS = 5000;
export const SERVER_BUSY_MS = 20;

export interface VaultAccess {
  readonly vault: Vault;
  readonly masterKey: Uint8Array;
  /** Path of the key where it was made just now. */
  readonly createdKey: string | undefined;
}

export async function withVault<T>(
  config: CompiledServer,
  use: (access: VaultAccess) => T | Promise<T>,
  busyMs: number = COMMAND_BUSY_MS,
): Promise<T> {
  const access = open(config, busyMs);
  try {
    return await use(access);
  } finally {
    access.vault.close();
  }
}

function open({ dataDir, masterKey: source }: CompiledServer, busyMs: number): VaultAccess {
  const problem = prepareDataDir(dataDir);
  if (problem !== undefined) throw new UserError(problemLine(problem));
  try {
    const { key, created } = loadMasterKey(source, vaultExists(dataDir));
    return {
      vault: openVault({ dataDir, masterKey: key, busyMs }),
      masterKey: key,
      createdKey: created ? source.path : undefined,
    };
  } catch (error) {
    if (error instanceof VaultError) throw new UserError(error.message);
    throw error;
  }
}
