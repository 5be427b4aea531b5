// Which tenant a token says it is for, before it is verified: only to know against whom it must be verified.
// Not responsible for whether that is true. Invariant: a hint lets nobody in; at most one is given.
import { readBearer } from './bearer.ts';
import { tokenForm } from './token-form.ts';
import type { TokenSource } from './verdict.ts';

export function createTenantHint(sources: readonly TokenSource[]): (authorization: string | undefined) => string | undefined {
  return (authorization) => {
    const bearer = readBearer(authorization);
    if (bearer.kind !== 'token') return undefined;
    const form = tokenForm(bearer.token);
    for (const source of sources) {
      const tenant = source.hint?.(form);
      if (tenant !== undefined) return tenant;
    }
    return undefined;
  };
}
