// `server/discover` (2026-07-28): versions, capabilities, instructions of the caller's toolset.
// Not responsible for the 2025 era's `initialize`. Invariant: answered from memory, without waking a pool.
import { capabilitiesOf } from './capabilities.ts';
import type { ToolsetView } from './ports.ts';
import { MODERN_VERSIONS } from './versions.ts';

/** How long a client may keep it: a changed toolset may change it. */
const TTL_MS = 60_000;
const made = new WeakMap<ToolsetView, string>();

function members(view: ToolsetView | undefined): string {
  const capabilities = JSON.stringify(capabilitiesOf(view));
  const fixed = `"supportedVersions":${JSON.stringify(MODERN_VERSIONS)},"capabilities":${capabilities},"ttlMs":${TTL_MS},"cacheScope":"private"`;
  return view?.instructions === undefined ? fixed : `${fixed},"instructions":${JSON.stringify(view.instructions)}`;
}
const BARE = members(undefined);

/** The members of a DiscoverResult, without braces. */
export function discover(view: ToolsetView | undefined): string {
  if (view === undefined) return BARE;
  let text = made.get(view);
  if (text === undefined) {
    text = members(view);
    made.set(view, text);
  }
  return text;
}
