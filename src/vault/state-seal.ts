// Seals what a client carries for the server between two requests (MCP `requestState`), so that it can neither read nor change it.
// Not responsible for what is in it, how long it is good for, or what a place is made of.
// Invariant: the key comes from the master key alone, so a state outlives a restart; what was sealed for one place opens for no other.
import { createSecretKey } from 'node:crypto';
import { deriveKey } from './master-wrap.ts';
import { open, type Place, seal, type SealKey } from './seal.ts';
import type { StateSeal } from './stores.ts';
import { VaultError } from './vault-error.ts';

export interface FollowingStateSeal extends StateSeal {
  /** The master key was changed: what was sealed before still opens in this process. */
  follow(master: Uint8Array): void;
}

export function createStateSeal(master: Uint8Array): FollowingStateSeal {
  let key = stateKey(master);
  let before: SealKey | undefined;
  return {
    seal: (tenant, path, plain) => seal(key, placeOf(tenant, path), plain),
    open(tenant, path, sealed) {
      return tryOpen(key, placeOf(tenant, path), sealed) ?? (before && tryOpen(before, placeOf(tenant, path), sealed));
    },
    follow(next) {
      before = key;
      key = stateKey(next);
    },
  };
}

function stateKey(master: Uint8Array): SealKey {
  return {
    id: deriveKey(master, 'request-state-id/v1').readUInt32BE(0),
    key: createSecretKey(deriveKey(master, 'request-state/v1')),
  };
}

function placeOf(tenant: string, path: readonly string[]): Place {
  return [tenant, 'request-state', ...path];
}

function tryOpen(key: SealKey, place: Place, sealed: Uint8Array): Buffer | undefined {
  try {
    return open(key, place, sealed);
  } catch (error) {
    if (error instanceof VaultError) return undefined;
    throw error;
  }
}
