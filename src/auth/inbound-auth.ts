// All of inbound authentication, put together: sources of tokens, the authenticator, what clients are told.
// Not responsible for any rule of its own, nor for HTTP. Invariant: one list of sources, in one order, for every use.
import type { CompiledServer, CompiledTenant } from '../config/compiled.ts';
import type { SecretStore, TokenStore } from '../vault/stores.ts';
import { AuthTenants } from './auth-tenants.ts';
import { type Authenticate, createAuthenticator } from './authenticate.ts';
import { createDiscovery, type Discovery } from './discovery.ts';
import { introspectedTokens } from './introspection.ts';
import type { IssuerKeysOptions } from './issuer-keys.ts';
import { signedTokens } from './issuers.ts';
import { mintedTokens } from './minted.ts';
import { Resources } from './resource.ts';
import { createTenantHint } from './tenant-hint.ts';
import type { TokenSource } from './verdict.ts';

export interface InboundAuthOptions extends Pick<IssuerKeysOptions, 'fetch' | 'metadata' | 'onFailure'> {
  readonly server: Pick<CompiledServer, 'auth' | 'routing'>;
  readonly configOf: (tenant: string) => CompiledTenant | undefined;
  /** Public URL without a trailing slash; known once the server listens, and not asked before. */
  readonly baseUrl: () => string;
  readonly tokens: Pick<TokenStore, 'find' | 'used'>;
  readonly secrets: Pick<SecretStore, 'get'>;
  /** The tenant that a value of a tenant claim stands for. */
  readonly tenantOfClaim: (value: string) => string | undefined;
  /** Kinds of tokens besides those of here; asked right after minted ones, in this order. */
  readonly sources?: readonly TokenSource[];
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

export interface InboundAuth {
  readonly authenticate: Authenticate;
  readonly tenantHint: (authorization: string | undefined) => string | undefined;
  readonly discovery: Discovery;
}

export function createInboundAuth(options: InboundAuthOptions): InboundAuth {
  const { server, configOf, baseUrl, tokens, secrets, tenantOfClaim, fetch, metadata, onFailure, now = Date.now } = options;
  const ports = { fetch, metadata, onFailure, now };
  let made: Resources | undefined;
  const resources = (): Resources => (made ??= new Resources(baseUrl(), server.routing));
  const tenants = new AuthTenants({ configOf, defaults: server.auth, resources });
  const sources: readonly TokenSource[] = [
    mintedTokens({ tokens, now }),
    ...(options.sources ?? []),
    signedTokens({ ...ports, shared: server.auth, tenantOfClaim }),
    introspectedTokens({ ...ports, secrets }),
  ];
  return {
    authenticate: createAuthenticator({ sources, tenantOf: (id) => tenants.get(id), now }),
    tenantHint: createTenantHint(sources),
    discovery: createDiscovery({ sources, resources, tenantOf: (id) => tenants.orDefault(id) }),
  };
}
