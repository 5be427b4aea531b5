// Where a request names its tenant, as the operator allows it: path, host name, header, token.
// Not responsible for comparing the names (`tenants/resolve`) or for believing any of them.
// Invariant: a place that is not switched on is not looked at; names are taken as sent, never decoded or normalized.
import type { FastifyRequest } from 'fastify';
import type { Where } from '../auth/discovery.ts';
import { tenantInHost } from '../auth/resource.ts';
import type { CompiledServer } from '../config/compiled.ts';
import type { CompiledRouting } from '../config/compiled-auth.ts';
import { candidate, type Named } from '../tenants/resolve.ts';

const PATH = '/t/:tenant/mcp';
const SHARED = '/mcp';

/** Paths of the MCP endpoint, as Fastify writes them. */
export function endpointPaths({ path, host, header, claim }: CompiledRouting): string[] {
  return [...(path ? [PATH] : []), ...(host !== undefined || header !== undefined || claim ? [SHARED] : [])];
}

export interface Read {
  /** `tenant` is the empty text where the path names what no tenant can be called. */
  readonly where: Where;
  readonly named: Named;
}

export class NameReader {
  readonly #routing: CompiledRouting;
  readonly #hint: (authorization: string | undefined) => string | undefined;
  /** That of the server itself names nobody, also where a tenant could be called so. */
  readonly #ownName: string | undefined;

  constructor(
    { routing, publicUrl }: Pick<CompiledServer, 'routing' | 'publicUrl'>,
    hint: (authorization: string | undefined) => string | undefined,
  ) {
    this.#routing = routing;
    this.#hint = hint;
    this.#ownName = publicUrl === undefined ? undefined : new URL(publicUrl).hostname;
  }

  read({ params, raw }: FastifyRequest): Read {
    const path = pathName(params, raw.url ?? '');
    const host = this.host(raw.headers.host);
    const header = this.#header(raw.headers);
    const before = candidate({ path, host, header });
    // What a token says of itself is only asked for where nothing else names a tenant: verifying it says the same with more weight.
    const named = before.kind === 'none' && this.#routing.claim ? this.#byToken(raw.headers.authorization) : before;
    const tenant = named.kind === 'none' ? undefined : named.tenant;
    return { where: { place: path !== undefined ? 'path' : host !== undefined ? 'host' : 'shared', tenant }, named };
  }

  /** The tenant that a Host header names. */
  host(value: string | undefined): string | undefined {
    const { host } = this.#routing;
    const name = host === undefined ? undefined : value?.replace(/:\d+$/, '');
    if (host === undefined || name === undefined || name.toLowerCase() === this.#ownName) return undefined;
    return tenantInHost(name, host);
  }

  #header(headers: FastifyRequest['raw']['headers']): string | undefined {
    const value = this.#routing.header === undefined ? undefined : headers[this.#routing.header];
    return Array.isArray(value) ? value.join() : value;
  }

  #byToken(authorization: string | undefined): Named {
    let token: string | undefined;
    try {
      token = this.#hint(authorization);
    } catch {
      return { kind: 'none' };
    }
    return candidate({ path: undefined, token });
  }
}

/** As sent: the router decodes %xx, and a tenant id needs none. Undefined at the shared endpoint. */
function pathName(params: unknown, url: string): string | undefined {
  const { tenant } = params as { readonly tenant?: string };
  if (tenant === undefined) return undefined;
  return url.startsWith(`/t/${tenant}/mcp`) ? tenant : '';
}
