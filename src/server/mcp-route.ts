// The MCP endpoint of a tenant: who calls is settled before a byte of the body is read; then the protocol takes over.
// Not responsible for verifying credentials (handed in) or for anything in the body.
// Invariant: the tenant is the one that the credential was verified for; an unknown tenant and a foreign token look alike;
// whatever goes wrong in here is a refusal.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Where } from '../auth/discovery.ts';
import type { Principal } from '../auth/principal.ts';
import { type AuthDenial, isDenial, tokenRefused, type Verdict } from '../auth/verdict.ts';
import type { Answer } from '../mcp/answer.ts';
import type { Inbound } from '../mcp/inbound.ts';
import type { Protocol } from '../mcp/protocol.ts';
import { failure } from '../shared/errors.ts';
import { disagreement } from '../tenants/resolve.ts';
import { accepts } from './accept.ts';
import type { Denials } from './denials.ts';
import type { Exchanges } from './exchanges.ts';
import { HttpAnswer } from './http-answer.ts';
import { endpointPaths, NameReader, type Read } from './names.ts';
import type { HttpServerOptions } from './ports.ts';
import { SubjectGate } from './rates/subject-gate.ts';
import type { Turns } from './rates/turns.ts';
import { refuse } from './refusal.ts';

declare module 'fastify' {
  interface FastifyRequest {
    correlation: string;
    principal: Principal | undefined;
    /** The endpoint that it went to, and the tenant that it names. */
    where: Where | undefined;
  }
}
type McpRequest = FastifyRequest<{ Body: Buffer | undefined }>;
/** Only in the shared endpoint's audit: there is no tenant to tell of. */
const NOBODY: AuthDenial = { code: 'unauthenticated', reason: 'there is no bearer token' };
const NOWHERE = tokenRefused('nothing in the request names a tenant');

export interface McpRoutePorts {
  readonly options: HttpServerOptions;
  readonly protocol: Protocol;
  readonly exchanges: Exchanges;
  readonly denials: Denials;
  readonly turns: Turns;
  readonly stallMs: number;
}

const NOTHING = Buffer.alloc(0);
/** After which to come again where a tenant has sent more than can wait. */
const FULL_MS = 1000;
const FAILED = tokenRefused('authentication failed with an error');

/** What a verified caller must be besides, whatever the authenticator said. */
function misplaced(principal: Principal, tenant: string, exists: (tenant: string) => boolean): AuthDenial | undefined {
  const reason = disagreement(tenant, principal);
  if (reason !== undefined) return tokenRefused(reason);
  return exists(tenant) ? undefined : tokenRefused('the token outlived its tenant');
}

export function mcpRoute(app: FastifyInstance, ports: McpRoutePorts): void {
  const { denials, exchanges, options, protocol, stallMs, turns } = ports;
  const { routing } = options.config;
  const subjects = new SubjectGate();
  const reader = new NameReader(options.config, options.tenantHint);

  /** Runs before the body is read. */
  function admit(request: McpRequest, reply: FastifyReply, next: () => void): void {
    const read = namesIn(request);
    if (read === undefined) {
      void denials.credential(request, reply, { place: 'shared', tenant: undefined }, FAILED);
      return;
    }
    const { where, named } = read;
    request.where = where;
    if (named.kind === 'refused') {
      // A path that cannot be a tenant's is no endpoint.
      if (where.place === 'path' && where.tenant === '') refuse(reply, failure('not_found'), request.correlation);
      else void denials.credential(request, reply, where, { code: 'tenant_mismatch', reason: named.reason });
      return;
    }
    if (exchanges.draining) {
      refuse(reply, failure('draining'), request.correlation, { connection: 'close', 'retry-after': '1' });
      return;
    }
    const { authorization } = request.headers;
    if (named.kind === 'none') {
      void denials.credential(request, reply, where, authorization === undefined ? NOBODY : NOWHERE);
      return;
    }
    const verdict = verify(authorization, named.tenant, denials.refusals.wait(request) === 0);
    if (verdict instanceof Promise) void verdict.then((settled) => settle(request, reply, named.tenant, settled, next));
    else settle(request, reply, named.tenant, verdict, next);
  }

  function namesIn(request: McpRequest): Read | undefined {
    try {
      return reader.read(request);
    } catch {
      return undefined;
    }
  }

  function verify(authorization: string | undefined, tenant: string, asking: boolean): Verdict | Promise<Verdict> {
    try {
      const verdict = options.authenticate(authorization, tenant, asking);
      return verdict instanceof Promise ? verdict.catch(() => FAILED) : verdict;
    } catch {
      return FAILED;
    }
  }

  function settle(request: McpRequest, reply: FastifyReply, tenant: string, verdict: Verdict, next: () => void): void {
    const denial = isDenial(verdict) ? verdict : placed(verdict, tenant);
    if (denial !== undefined) {
      void denials.credential(request, reply, { place: request.where?.place ?? 'shared', tenant }, denial);
      return;
    }
    const principal = verdict as Principal;
    const waitMs = tooSoon(principal);
    if (waitMs > 0) {
      denials.tooMany(request, reply, waitMs, 'subjectRequestsPerSecond');
      return;
    }
    request.principal = principal;
    const isTaken = turns.begin(tenant, () => {
      // A client that went away while it waited has nobody to answer to.
      if (!request.raw.destroyed) next();
    });
    if (!isTaken) denials.tooMany(request, reply, FULL_MS);
  }

  function placed(principal: Principal, tenant: string): AuthDenial | undefined {
    try {
      return misplaced(principal, tenant, options.tenantExists);
    } catch {
      return FAILED;
    }
  }

  /** A limit that cannot be found out is none that lets through. */
  function tooSoon(principal: Principal): number {
    try {
      return subjects.take(principal, options.subjectRate(principal.tenant));
    } catch {
      return 1000;
    }
  }

  function take(request: McpRequest, reply: FastifyReply, act: (inbound: Inbound, answer: Answer) => void): void {
    const { principal, correlation, headers, where } = request;
    const accepted = accepts(headers.accept);
    if (principal === undefined) refuse(reply, failure('unauthenticated'), correlation);
    else if (!accepted.json && !accepted.stream) refuse(reply, failure('not_acceptable'), correlation);
    else {
      reply.hijack();
      const answer = new HttpAnswer(reply.raw, correlation, accepted, exchanges, stallMs);
      act(
        {
          principal,
          correlation,
          headers: mcpHeaders(request),
          allowed: () => allowed(headers.authorization, principal),
          scopeChallenge: (scopes) =>
            options.discovery.stepUp({ place: where?.place ?? 'shared', tenant: principal.tenant }, scopes),
        },
        answer,
      );
    }
  }

  /** The same answer as at the start, for the same subject. */
  function allowed(authorization: string | undefined, { issuer, subject, tenant }: Principal): boolean | Promise<boolean> {
    const same = (verdict: Verdict): boolean =>
      !isDenial(verdict) && verdict.subject === subject && verdict.issuer === issuer && placed(verdict, tenant) === undefined;
    const verdict = verify(authorization, tenant, true);
    return verdict instanceof Promise ? verdict.then(same) : same(verdict);
  }

  for (const url of endpointPaths(routing)) {
    app.post<{ Body: Buffer | undefined }>(url, { onRequest: admit }, (request, reply) =>
      take(request, reply, (inbound, answer) => protocol.post(inbound, request.body ?? NOTHING, answer)),
    );
    app.get<{ Body: undefined }>(url, { onRequest: admit }, (request, reply) =>
      take(request, reply, (inbound, answer) => protocol.get(inbound, answer)),
    );
    app.delete<{ Body: undefined }>(url, { onRequest: admit }, (request, reply) =>
      take(request, reply, (inbound, answer) => protocol.delete(inbound, answer)),
    );
    // Before identity and body: the same for every tenant, whether it exists or not.
    const notAllowed = (request: FastifyRequest, reply: FastifyReply): void =>
      refuse(reply, failure('method_not_allowed'), request.correlation, { allow: 'GET, POST, DELETE' });
    app.route({ method: ['PUT', 'PATCH'], url, onRequest: notAllowed, handler: notAllowed });
  }
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
