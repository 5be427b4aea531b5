// The guard of one tenant: an item of its own in the OS keychain, made at the first use.
// Not responsible for which tenants have one, nor for what a guard does (`tenant-keys`).
// Invariant: a guard that was in use is never made anew: "absent" is then read as "locked". No exception leaves: a tenant whose
// guard cannot be had is refused, the others are not.
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TenantGuard } from '../tenant-keys.ts';
import { VaultError } from '../vault-error.ts';
import { MASTER_KEY_BYTES } from './key-text.ts';
import { deleteItem } from './keychain.ts';
import { keychainPlace } from './keychain-place.ts';

/** Longer than a keychain may take for the few questions of one making. */
const MAKING_MS = 60_000;

function accountOf(estate: string, tenant: string): string {
  return `tenant ${estate} ${tenant}`;
}

export interface GuardsAsked {
  readonly estate: string;
  readonly dataDir: string;
  /** Whose, and whether their keys are guarded already. */
  readonly tenants: ReadonlyMap<string, boolean>;
}

/** One after the other; where the keychain itself does not answer, nobody else is asked for. */
export function readGuards({ estate, dataDir, tenants }: GuardsAsked): Map<string, TenantGuard> {
  const guards = new Map<string, TenantGuard>();
  let silent: string | undefined;
  for (const [tenant, inUse] of tenants) {
    if (silent !== undefined) {
      guards.set(tenant, { refused: silent });
      continue;
    }
    try {
      guards.set(tenant, guardOf(accountOf(estate, tenant), inUse, dataDir));
    } catch (error) {
      if (!(error instanceof VaultError)) throw error;
      const refused = error.message.replace(/^vault: /, '');
      guards.set(tenant, { refused });
      if (error.code === 'key_unavailable') silent = refused;
    }
  }
  return guards;
}

function guardOf(account: string, inUse: boolean, dataDir: string): TenantGuard {
  const place = keychainPlace(account);
  const found = place.read('current');
  if (found !== undefined) return found;
  if (inUse) return { refused: place.absence };
  const done = making(dataDir);
  try {
    const other = place.read('current');
    if (other !== undefined) return other;
    const guard = randomBytes(MASTER_KEY_BYTES);
    place.write('current', guard);
    return guard;
  } finally {
    done();
  }
}

/** Of two processes at once only one makes an item: the other's would be lost, and what it had guarded with it. */
function making(dataDir: string): () => void {
  const lock = join(dataDir, 'keychain.lock');
  for (let tries = 0; ; tries += 1) {
    try {
      mkdirSync(lock);
      return () => rmdirSync(lock);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
        throw new VaultError('database_unusable', `${lock} cannot be made (${(cause as NodeJS.ErrnoException).code})`, { cause });
      const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (tries > 0 || Date.now() - since < MAKING_MS)
        throw new VaultError('key_invalid', 'another command makes an item in the keychain; wait for it and try again', {
          cause,
        });
      rmdirSync(lock);
    }
  }
}

/** Throws `key_unavailable`. */
export function deleteGuard(estate: string, tenant: string): void {
  deleteItem(accountOf(estate, tenant));
}
