// Scope hierarchies: what a scope brings with it is held, too. Pure.
// Not responsible for what a scope allows (`policy`). Invariant: only what the operator wrote is implied, followed to the end at compile time.
import type { ScopesBy } from '../config/compiled-auth.ts';

export function withImplied(scopes: Iterable<string>, implied: ScopesBy): ReadonlySet<string> {
  const own = [...scopes];
  return new Set([...own, ...own.flatMap((scope) => valueOf(implied, scope))]);
}

/** The scopes that a name brings; names come from tokens, so none may find what every object has. */
export function valueOf(by: ScopesBy, name: string): readonly string[] {
  return Object.hasOwn(by, name) ? (by[name] ?? []) : [];
}
