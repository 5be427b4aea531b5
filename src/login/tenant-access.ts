// For which tenant a resource stands, what there is to ask for, and what a member may have of it.
// Not responsible for tokens or pages. Pure but for asking the store.
// Invariant: nobody has a scope of a tenant that the membership does not give; what is asked of a tenant that does not exist is answered
// as for one that a person is no member of.
import { canonicalCase, type Resources } from '../auth/resource.ts';
import { withImplied } from '../auth/scopes.ts';
import type { CompiledAuth } from '../config/compiled-auth.ts';
import type { Membership, MembershipStore } from '../vault/stores.ts';
import type { Subjects } from './subjects.ts';

/** Stands for the endpoint itself, so that a token without any other scope can be asked for and given. */
export const ENDPOINT_SCOPE = 'mcp';

export interface TenantAccessOptions {
  readonly resources: () => Resources;
  /** As if it said nothing of its own, where it does not exist. */
  readonly authOf: (tenant: string) => CompiledAuth;
  /** That its tools, prompts and resources name. */
  readonly scopesOf: (tenant: string) => readonly string[];
  readonly memberships: Pick<MembershipStore, 'find'>;
  readonly subjects: Pick<Subjects, 'counts'>;
}

export class TenantAccess {
  readonly #options: TenantAccessOptions;

  constructor(options: TenantAccessOptions) {
    this.#options = options;
  }

  /** Undefined: not ours, or signing in here is not its way in. */
  tenantOf(resource: unknown): string | undefined {
    const tenant = typeof resource === 'string' ? this.#options.resources().tenantOf(canonicalCase(resource)) : undefined;
    return tenant !== undefined && this.#options.authOf(tenant).embedded ? tenant : undefined;
  }

  /** All that there is to ask for. */
  scopesOf(tenant: string): string[] {
    const { implied, basicScopes } = this.#options.authOf(tenant);
    return [
      ...new Set([
        ENDPOINT_SCOPE,
        ...this.#options.scopesOf(tenant),
        ...basicScopes,
        ...Object.keys(implied),
        ...Object.values(implied).flat(),
      ]),
    ];
  }

  memberOf(tenant: string, subject: string): Membership | undefined {
    const { memberships, subjects } = this.#options;
    return subjects.counts(subject, tenant) ? memberships.find(tenant, subject) : undefined;
  }

  /** Those of the asked ones that the member may have, in their order. */
  allowed({ tenant, scopes }: Membership, asked: Iterable<string>): string[] {
    const known = new Set(this.scopesOf(tenant));
    const held = scopes.length === 0 ? known : withImplied([ENDPOINT_SCOPE, ...scopes], this.#options.authOf(tenant).implied);
    return [...asked].filter((scope) => known.has(scope) && held.has(scope));
  }
}

/** Whether what was issued then was issued to a member who has gone since. @param issuedAt epoch seconds; undefined: nobody knows */
export function isOlder(issuedAt: number | undefined, { since }: Membership): boolean {
  return issuedAt === undefined || (issuedAt + 1) * 1000 <= since;
}
