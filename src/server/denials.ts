// Refuses callers who are not let in, and has each refusal audited.
// Not responsible for deciding. Invariant: a refusal stands even where the audit cannot be written; the exact reason goes to the
// audit, the generic text and a challenge to the caller; names of tenants that do not exist are not recorded.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Failure, failure } from '../shared/errors.ts';
import { isTenantId } from '../shared/ids.ts';
import type { Where } from '../auth/discovery.ts';
import type { AuthDenial } from '../auth/verdict.ts';
import type { HttpServerOptions } from './ports.ts';
import { refuse } from './refusal.ts';

const TENANT_PATH = /^\/t\/([^/?]+)\//;

export class Denials {
  readonly #options: HttpServerOptions;

  constructor(options: HttpServerOptions) {
    this.#options = options;
  }

  async credential(request: FastifyRequest, reply: FastifyReply, where: Where, denial: AuthDenial): Promise<void> {
    await this.#audit(request, where.tenant ?? '', denial);
    refuse(reply, failure(denial.code), request.correlation, this.#headers(where, denial));
  }

  #headers(where: Where, denial: AuthDenial): Record<string, string> {
    if (denial.code === 'auth_unavailable') return { 'retry-after': '1' };
    const challenge = this.#options.discovery.challenge(where, denial);
    return challenge === undefined ? {} : { 'www-authenticate': challenge };
  }

  /** A refusal by the guard: Host, Origin, headers. */
  async edge(request: FastifyRequest, reply: FastifyReply, of: Failure): Promise<void> {
    if (of.code === 'host_forbidden' || of.code === 'origin_forbidden') {
      const tenant = TENANT_PATH.exec(request.url)?.[1] ?? '';
      await this.#audit(request, tenant, {
        code: of.code,
        reason: of.code === 'host_forbidden' ? 'foreign Host' : 'foreign Origin',
      });
    }
    refuse(reply, of, request.correlation);
  }

  async #audit(request: FastifyRequest, tenant: string, { code, reason }: Pick<AuthDenial, 'code' | 'reason'>): Promise<void> {
    const { auditDenied, tenantExists } = this.#options;
    try {
      const known = isTenantId(tenant) && tenantExists(tenant) ? tenant : undefined;
      await auditDenied({ tenant: known, code, reason, correlation: request.correlation, address: request.ip });
    } catch {
      // Nothing is done for this caller either way.
    }
  }
}
