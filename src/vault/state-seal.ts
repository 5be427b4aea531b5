// Seals what a client carries for the server between two requests (MCP `requestState`), so that it can neither read nor change it.
// Not responsible for what is in it, how long it is good for, or what a place is made of.
// Invariant: the key comes from the master key alone, so a state outlives a restart; what was sealed for one place opens for no other.
import { createSecretKey } from 'node:crypto';
import { deriveKey } from './master-wrap.ts';
import { open, seal, type SealKey } from './seal.ts';
import type { StateSeal } from './stores.ts';
import { VaultError } from './vault-error.ts';

export function createStateSeal(master: Uint8Array): StateSeal {
  const key: SealKey = {
    id: deriveKey(master, 'request-state-id/v1').readUInt32BE(0),
    key: createSecretKey(deriveKey(master, 'request-state/v1')),
  };
  return {
    seal: (tenant, path, plain) => seal(key, [tenant, 'request-state', ...path], plain),
    open(tenant, path, sealed) {
      try {
        return open(key, [tenant, 'request-state', ...path], sealed);
      } catch (error) {
        if (error instanceof VaultError) return undefined;
        throw error;
      }
    },
  };
}
