// The scopes that a toolset knows: those that something in it needs.
// Not responsible for who has them. Pure.
import type { Toolset } from '../tenant.ts';

const known = new WeakMap<Toolset, readonly string[]>();

/** In order of their names. */
export function neededScopes(toolset: Toolset | undefined): readonly string[] {
  if (toolset === undefined) return [];
  let scopes = known.get(toolset);
  if (scopes === undefined) {
    const all = [...toolset.tools.values(), ...toolset.prompts.values(), ...toolset.resources.all];
    scopes = [...new Set(all.flatMap((one) => one.scopes ?? []))].toSorted();
    known.set(toolset, scopes);
  }
  return scopes;
}
