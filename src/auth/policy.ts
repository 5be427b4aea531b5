// What a principal may use. Pure.
// Not responsible for who the principal is (`authenticate`) or for what its tenant may reach.
// Invariant: a scope that is not held is never implied; what names no scope is open to everyone of its tenant.
import type { Principal } from './principal.ts';

/** Held by a token that was minted without scopes: all of its tenant. */
export const ALL_SCOPES = '*';

/** Whether the principal may see and call what needs these scopes. */
export function mayUse(principal: Principal, needed: readonly string[] | undefined): boolean {
  if (needed === undefined || needed.length === 0 || principal.scopes.has(ALL_SCOPES)) return true;
  return needed.every((scope) => principal.scopes.has(scope));
}
