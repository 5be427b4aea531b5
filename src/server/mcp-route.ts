// The MCP endpoint of a tenant: who calls is settled before a byte of the body is read; then the protocol takes over.
// Not responsible for verifying credentials (handed in) or for anything in the body.
// Invariant: the tenant is the one that the credential was verified for; an unknown tenant and a foreign token look alike;
// whatever goes wrong in here is a refusal.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { tokenRefused } from '../auth/challenge.ts';
import type { Principal } from '../auth/principal.ts';
import type { Answer } from '../mcp/answer.ts';
import type { Inbound } from '../mcp/inbound.ts';
import type { Protocol } from '../mcp/protocol.ts';
import { failure } from '../shared/errors.ts';
import { candidate, disagreement } from '../tenants/resolve.ts';
import { accepts } from './accept.ts';
import type { Denials } from './denials.ts';
import type { Exchanges } from './exchanges.ts';
import { HttpAnswer } from './http-answer.ts';
import { type AuthDenial, type HttpServerOptions, isDenial } from './ports.ts';
import { refuse } from './refusal.ts';

declare module 'fastify' {
  interface FastifyRequest {
    correlation: string;
    principal: Principal | undefined;
  }
}

interface Params {
  tenant: string;
}
type McpRequest = FastifyRequest<{ Params: Params; Body: Buffer | undefined }>;

export interface McpRoutePorts {
  readonly options: HttpServerOptions;
  readonly protocol: Protocol;
  readonly exchanges: Exchanges;
  readonly denials: Denials;
  readonly stallMs: number;
}

const NOTHING = Buffer.alloc(0);
const FAILED = 'authentication failed with an error';

/** As every other refusal of a token looks from outside. */
function refusal(tenant: string, reason: string): AuthDenial {
  return { code: 'token_invalid', reason, challenge: tokenRefused(tenant) };
}

/** What a verified caller must be besides, whatever the authenticator said. */
function misplaced(principal: Principal, tenant: string, exists: (tenant: string) => boolean): AuthDenial | undefined {
  const reason = disagreement(tenant, principal);
  if (reason !== undefined) return refusal(tenant, reason);
  return exists(tenant) ? undefined : refusal(tenant, 'the token outlived its tenant');
}

export function mcpRoute(app: FastifyInstance, ports: McpRoutePorts): void {
  const { denials, exchanges, options, protocol, stallMs } = ports;

  /** Runs before the body is read. */
  function admit(request: McpRequest, reply: FastifyReply, next: () => void): void {
    const { tenant } = request.params;
    // The router decodes %xx; a tenant id is matched as sent.
    if (candidate({ path: tenant }) === undefined || !request.url.startsWith(`/t/${tenant}/mcp`)) {
      refuse(reply, failure('not_found'), request.correlation);
      return;
    }
    if (exchanges.draining) {
      refuse(reply, failure('draining'), request.correlation, { connection: 'close', 'retry-after': '1' });
      return;
    }
    let verdict: Principal | AuthDenial | Promise<Principal | AuthDenial>;
    try {
      verdict = options.authenticate(request.headers.authorization, tenant);
    } catch {
      verdict = refusal(tenant, FAILED);
    }
    if (verdict instanceof Promise)
      void verdict.catch(() => refusal(tenant, FAILED)).then((settled) => settle(request, reply, settled, next));
    else settle(request, reply, verdict, next);
  }

  function settle(request: McpRequest, reply: FastifyReply, verdict: Principal | AuthDenial, next: () => void): void {
    const { tenant } = request.params;
    const denial = isDenial(verdict) ? verdict : misplaced(verdict, tenant, options.tenantExists);
    if (denial !== undefined) {
      void denials.credential(request, reply, tenant, denial);
      return;
    }
    request.principal = verdict as Principal;
    next();
  }

  function take(request: McpRequest, reply: FastifyReply, act: (inbound: Inbound, answer: Answer) => void): void {
    const { principal, correlation, headers } = request;
    const accepted = accepts(headers.accept);
    if (principal === undefined) refuse(reply, failure('unauthenticated'), correlation);
    else if (!accepted.json && !accepted.stream) refuse(reply, failure('not_acceptable'), correlation);
    else {
      reply.hijack();
      const answer = new HttpAnswer(reply.raw, correlation, accepted, exchanges, stallMs);
      act(
        { principal, correlation, headers: mcpHeaders(request), allowed: () => allowed(headers.authorization, principal) },
        answer,
      );
    }
  }

  /** The same answer as at the start, for the same subject. */
  function allowed(authorization: string | undefined, { issuer, subject, tenant }: Principal): boolean | Promise<boolean> {
    const same = (verdict: Principal | AuthDenial): boolean =>
      !isDenial(verdict) &&
      verdict.subject === subject &&
      verdict.issuer === issuer &&
      misplaced(verdict, tenant, options.tenantExists) === undefined;
    try {
      const verdict = options.authenticate(authorization, tenant);
      return verdict instanceof Promise ? verdict.then(same, () => false) : same(verdict);
    } catch {
      return false;
    }
  }

  const url = '/t/:tenant/mcp';
  app.post<{ Params: Params; Body: Buffer | undefined }>(url, { onRequest: admit }, (request, reply) =>
    take(request, reply, (inbound, answer) => protocol.post(inbound, request.body ?? NOTHING, answer)),
  );
  app.get<{ Params: Params; Body: undefined }>(url, { onRequest: admit }, (request, reply) =>
    take(request, reply, (inbound, answer) => protocol.get(inbound, answer)),
  );
  app.delete<{ Params: Params; Body: undefined }>(url, { onRequest: admit }, (request, reply) =>
    take(request, reply, (inbound, answer) => protocol.delete(inbound, answer)),
  );
}

function mcpHeaders({ headers }: McpRequest): Inbound['headers'] {
  return {
    protocolVersion: single(headers['mcp-protocol-version']),
    method: single(headers['mcp-method']),
    name: single(headers['mcp-name']),
    session: single(headers['mcp-session-id']),
    traceparent: single(headers['traceparent']),
    tracestate: single(headers['tracestate']),
    baggage: single(headers['baggage']),
    lastEventId: single(headers['last-event-id']),
    param: (name) => single(headers[`mcp-param-${name}`]),
  };
}

/** The guard let none of ours pass that stands twice; of the others a joined value fails its own check. */
function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
