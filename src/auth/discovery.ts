// How a client that may not call finds out how it may: challenges, and the metadata of a tenant's endpoint (RFC 9728).
// Not responsible for HTTP, nor for verifying. Pure but for asking which tenants there are.
// Invariant: what is said of a tenant that does not exist is what is said of one without words of its own; `resource` is the address
// that was asked about, never a header of the client.
import { type ChallengeFacts, credentialsNeeded, scopesNeeded, tokenNotValid } from './challenge.ts';
import { metadataUrl, type Place, type Resources } from './resource.ts';
import type { AuthDenial, AuthTenant, TokenSource } from './verdict.ts';

/** Which endpoint a request went to. `tenant` undefined: it named none. */
export interface Where {
  readonly place: Place;
  readonly tenant: string | undefined;
}

export interface ProtectedResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly bearer_methods_supported: readonly ['header'];
}

export interface Discovery {
  /** Undefined where there is no authorization server to name: then the document must not exist (it needs one). */
  metadata(where: Where): ProtectedResourceMetadata | undefined;
  /** The `WWW-Authenticate` of a denial; undefined where the status is neither 401 nor 403. */
  challenge(where: Where, denial: AuthDenial): string | undefined;
  /** That of a 403 which names all scopes of an operation. */
  stepUp(where: Where, scopes: readonly string[]): string;
}

export interface DiscoveryOptions {
  readonly sources: readonly TokenSource[];
  readonly resources: () => Resources;
  /** As if it existed, with the defaults of the server, where it does not. */
  readonly tenantOf: (id: string) => AuthTenant;
}

export function createDiscovery({ sources, resources, tenantOf }: DiscoveryOptions): Discovery {
  function serversOf({ place, tenant }: Where): readonly string[] {
    // Whoever asks at the shared address may be of any tenant: only what holds for all is told.
    const known = tenantOf(place === 'shared' ? '' : (tenant ?? ''));
    return [...new Set(sources.flatMap((source) => source.servers(known)))];
  }
  function facts(where: Where): ChallengeFacts {
    const { place, tenant } = where;
    const named = place === 'shared' ? '' : (tenant ?? '');
    const metadata = serversOf(where).length === 0 ? undefined : metadataUrl(resources().at(place, named));
    return { realm: named === '' ? 'mcp' : named, metadata, basicScopes: tenantOf(named).auth.basicScopes };
  }
  return {
    metadata(where) {
      const servers = serversOf(where);
      if (servers.length === 0) return undefined;
      const named = where.place === 'shared' ? '' : (where.tenant ?? '');
      const { basicScopes } = tenantOf(named).auth;
      return {
        resource: resources().at(where.place, named),
        authorization_servers: servers,
        ...(basicScopes.length === 0 ? {} : { scopes_supported: basicScopes }),
        bearer_methods_supported: ['header'],
      };
    },
    challenge(where, { code }) {
      if (code === 'unauthenticated') return credentialsNeeded(facts(where));
      return code === 'token_invalid' ? tokenNotValid(facts(where)) : undefined;
    },
    stepUp: (where, scopes) => scopesNeeded(facts(where), scopes),
  };
}
