// The addresses of MCP endpoints as OAuth resources (RFC 8707, RFC 9728), for each way in which a request names its tenant. Pure.
// Not responsible for routing requests (`tenants/resolve`) or for who may call.
// Invariant: canonical (MCP 2026-07-28, authorization): lower-case scheme and host, no fragment, no trailing slash; one address stands for
// one tenant, but for the shared one, which stands for none.
import type { CompiledRouting } from '../config/compiled-auth.ts';
import { isTenantId } from '../shared/ids.ts';

/** `path`: /t/<tenant>/mcp. `host`: /mcp at the tenant's host name. `shared`: /mcp for all, the tenant is named elsewhere. */
export type Place = 'path' | 'host' | 'shared';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

export class Resources {
  readonly #base: string;
  readonly #routing: CompiledRouting;

  /** @param base public URL of the server, without a trailing slash */
  constructor(base: string, routing: CompiledRouting) {
    this.#base = base;
    this.#routing = routing;
  }

  at(place: Place, tenant: string): string {
    switch (place) {
      case 'path':
        return `${this.#base}/t/${tenant}/mcp`;
      case 'host':
        return `${this.#hostBase(tenant)}/mcp`;
      case 'shared':
        return `${this.#base}/mcp`;
      default:
        return place satisfies never;
    }
  }

  /** Those that stand for exactly this tenant. */
  of(tenant: string): string[] {
    const { path, host } = this.#routing;
    return [...(path ? [this.at('path', tenant)] : []), ...(host === undefined ? [] : [this.at('host', tenant)])];
  }

  get shared(): string | undefined {
    return this.#routing.header !== undefined || this.#routing.claim ? this.at('shared', '') : undefined;
  }

  /** The tenant that the address stands for, where it is one of ours at all. */
  tenantOf(uri: string): string | undefined {
    const [, inPath] = /\/t\/([^/]+)\/mcp$/.exec(uri) ?? [];
    if (inPath !== undefined && isTenantId(inPath) && this.#routing.path && uri === this.at('path', inPath)) return inPath;
    const { host } = this.#routing;
    const name = host === undefined ? undefined : URL.parse(uri)?.hostname;
    if (host === undefined || name === undefined || name === new URL(this.#base).hostname) return undefined;
    const inHost = tenantInHost(name, host);
    return inHost !== undefined && isTenantId(inHost) && uri === this.at('host', inHost) ? inHost : undefined;
  }

  #hostBase(tenant: string): string {
    const url = new URL(this.#base);
    const { before = '', after = '' } = this.#routing.host ?? {};
    url.hostname = `${before}${tenant}${after}`;
    return url.href.replace(/\/+$/, '');
  }
}

/** The tenant in a host name (no port), as sent: its letters are not made small ones. */
export function tenantInHost(name: string, { before, after }: NonNullable<CompiledRouting['host']>): string | undefined {
  const lower = name.toLowerCase();
  if (name.length <= before.length + after.length || !lower.startsWith(before) || !lower.endsWith(after)) return undefined;
  return name.slice(before.length, name.length - after.length);
}

/** RFC 9728, section 3.1: between the host and the path of the resource. */
export function metadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}${WELL_KNOWN}${pathname}`;
}

/** Scheme and host in any case (RFC 3986, section 6.2.2.1); everything else as it stands. */
export function canonicalCase(uri: string): string {
  const [authority] = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/.exec(uri) ?? [];
  return authority === undefined ? uri : authority.toLowerCase() + uri.slice(authority.length);
}
