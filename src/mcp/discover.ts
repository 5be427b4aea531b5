// `server/discover` (2026-07-28): versions, capabilities, instructions of the caller's toolset.
// Not responsible for the 2025 era's `initialize`. Invariant: answered from memory, without waking a pool.
import type { ToolsetView } from './ports.ts';
import { MODERN_VERSIONS } from './versions.ts';

/** How long a client may keep it: a changed toolset may change the instructions. */
const TTL_MS = 60_000;
const made = new WeakMap<ToolsetView, string>();

function members(instructions: string | undefined): string {
  const fixed = `"supportedVersions":${JSON.stringify(MODERN_VERSIONS)},"capabilities":{"tools":{"listChanged":true},"logging":{}},"ttlMs":${TTL_MS},"cacheScope":"private"`;
  return instructions === undefined ? fixed : `${fixed},"instructions":${JSON.stringify(instructions)}`;
}
const BARE = members(undefined);

/** The members of a DiscoverResult, without braces. */
export function discover(view: ToolsetView | undefined): string {
  if (view?.instructions === undefined) return BARE;
  let text = made.get(view);
  if (text === undefined) {
    text = members(view.instructions);
    made.set(view, text);
  }
  return text;
}
