// Where a connection may go, as the order of an egress thread says it.
// Not responsible for enforcing it: the egress thread compares, resolves and connects.
// Invariant: an origin is private-capable only where tenant and operator both name it, exactly.
import type { OriginPolicy } from '../boundary/egress.ts';
import type { CompiledConnection } from '../config/compiled.ts';

export function originPolicy(
  connection: CompiledConnection,
  privateOrigins: readonly string[],
  maxResponseBytes: number,
): OriginPolicy {
  return {
    origins: [...connection.origins],
    privateOrigins: connection.origins.filter((origin) => privateOrigins.includes(origin)),
    maxResponseBytes,
  };
}

/** Origin of an absolute URL, or of a path against the connection's first origin; undefined where it is no http(s) URL. */
export function targetOrigin(url: string, connection: CompiledConnection): string | undefined {
  const parsed = URL.parse(url, connection.origins[0]);
  return parsed?.protocol === 'https:' || parsed?.protocol === 'http:' ? parsed.origin : undefined;
}
