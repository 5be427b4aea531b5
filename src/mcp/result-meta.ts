// The author's `_meta` of a result, without the keys that are not an author's to set.
// Not responsible for the shape of a result (the codecs). Invariant: reserved keys come from this server or not at all.

/** Key in the `_meta` of every result: the tenant that the caller was verified for. */
export const TENANT_META = 'leasehold/tenant';

const LABELS = /^([^/]*)\//;

/** Reserved by MCP: a prefix whose second label is `modelcontextprotocol` or `mcp`. Reserved here: `leasehold/`. */
export function isReservedKey(key: string): boolean {
  const prefix = LABELS.exec(key)?.[1];
  if (prefix === undefined) return false;
  const second = prefix.split('.')[1];
  return prefix === 'leasehold' || second === 'modelcontextprotocol' || second === 'mcp';
}

export function authorMeta(meta: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  if (meta === undefined) return undefined;
  const kept = Object.entries(meta).filter(([key]) => !isReservedKey(key));
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}
