// The metadata documents of the MCP endpoints (RFC 9728), at the well-known address with the path of the endpoint and at the root.
// Not responsible for what they say (`auth/discovery`). Invariant: needs no credential, and tells of a tenant that does not exist what it
// tells of one without words of its own.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Where } from '../auth/discovery.ts';
import { failure } from '../shared/errors.ts';
import { isTenantId } from '../shared/ids.ts';
import { endpointPaths, NameReader } from './names.ts';
import type { HttpServerOptions } from './ports.ts';
import { refuse } from './refusal.ts';
import { JSON_HEADER_OBJECT } from './response-headers.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

export function metadataRoutes(app: FastifyInstance, options: HttpServerOptions): void {
  const { routing, publicUrl } = options.config;
  const reader = new NameReader(options.config, () => undefined);

  function answer(request: FastifyRequest, reply: FastifyReply): void {
    const where = asked(request);
    const metadata = where === undefined ? undefined : options.discovery.metadata(where);
    if (metadata === undefined) refuse(reply, failure('not_found'), request.correlation);
    else void reply.headers(JSON_HEADER_OBJECT).send(JSON.stringify(metadata));
  }

  function asked({ params, raw }: FastifyRequest): Where | undefined {
    const { tenant } = params as { readonly tenant?: string };
    if (tenant !== undefined) {
      const asSent = isTenantId(tenant) && (raw.url ?? '').endsWith(`/t/${tenant}/mcp`);
      return asSent ? { place: 'path', tenant } : undefined;
    }
    const host = reader.host(raw.headers.host);
    if (host !== undefined) return isTenantId(host) ? { place: 'host', tenant: host } : undefined;
    return routing.header !== undefined || routing.claim ? { place: 'shared', tenant: undefined } : undefined;
  }

  const below = publicUrl === undefined ? '' : new URL(publicUrl).pathname.replace(/\/+$/, '');
  // A proxy may hand on the whole path, or without what the public URL has before it.
  for (const base of new Set(['', below]))
    for (const path of ['', ...endpointPaths(routing)]) app.get(`${WELL_KNOWN}${base}${path}`, answer);
}
