// Refuses callers who are not let in, has each refusal audited, and tells who is refused too often to wait.
// Not responsible for deciding. Invariant: a refusal stands even where the audit cannot be written; the exact reason goes to the
// audit, the generic text and a challenge to the caller; names of tenants that do not exist are not recorded.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Failure, failure } from '../shared/errors.ts';
import { isTenantId } from '../shared/ids.ts';
import type { Where } from '../auth/discovery.ts';
import type { AuthDenial } from '../auth/verdict.ts';
import type { HttpServerOptions } from './ports.ts';
import { DenialTrail } from './rates/denial-trail.ts';
import { RefusalGate } from './rates/refusal-gate.ts';
import { refuse } from './refusal.ts';

const TENANT_PATH = /^\/t\/([^/?]+)\//;

export class Denials {
  readonly refusals: RefusalGate;
  readonly #options: HttpServerOptions;
  readonly #trail: DenialTrail;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.refusals = new RefusalGate(options.config.rates.refusalsPerMinute);
    this.#trail = new DenialTrail((denied) => options.auditDenied(denied));
  }

  async credential(request: FastifyRequest, reply: FastifyReply, where: Where, denial: AuthDenial): Promise<void> {
    // An issuer that cannot be asked is not the caller's fault.
    const waitMs = denial.temporary === true ? 0 : this.refusals.count(request);
    await this.#audit(request, where.tenant ?? '', denial);
    if (waitMs > 0) this.tooMany(request, reply, waitMs);
    else refuse(reply, failure(denial.code), request.correlation, this.#headers(where, denial));
  }

  /** @param limit its name, where the caller may know it */
  tooMany(request: FastifyRequest, reply: FastifyReply, waitMs: number, limit?: string): void {
    const told = limit === undefined ? {} : { message: `There were more requests than the limit ${limit} allows.` };
    const of = failure('too_many_requests', { ...told, retryAfterMs: waitMs });
    refuse(reply, of, request.correlation, { 'retry-after': String(Math.ceil(waitMs / 1000)) });
  }

  /** Writes what is only counted so far. */
  close(): Promise<void> {
    return this.#trail.flush();
  }

  #headers(where: Where, denial: AuthDenial): Record<string, string> {
    if (denial.code === 'auth_unavailable') return { 'retry-after': '1' };
    let challenge: string | undefined;
    try {
      challenge = this.#options.discovery.challenge(where, denial);
    } catch {
      // Refused all the same.
    }
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
    const { tenantExists } = this.#options;
    try {
      const known = isTenantId(tenant) && tenantExists(tenant) ? tenant : undefined;
      await this.#trail.record({ tenant: known, code, reason, correlation: request.correlation, address: request.ip });
    } catch {
      // Nothing is done for this caller either way.
    }
  }
}
