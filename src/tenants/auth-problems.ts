// What is wrong with who may call, beyond the form of the files: secrets that are not set, issuers that will not be asked, nobody at all.
// Not responsible for schemas (`config/`) or for asking an issuer. Invariant: pure but for the names of secrets; problems, never refusals.
import type { CompiledServer } from '../config/compiled.ts';
import type { CompiledAuth } from '../config/compiled-auth.ts';
import { SERVER_OWNER } from '../shared/ids.ts';
import type { Problem } from '../shared/problem.ts';
import type { SecretStore } from '../vault/stores.ts';

/** @param file which the words stand in: leasehold.json, or a tenant.json */
export function authProblems(
  { issuers, introspection, tokens, embedded }: CompiledAuth,
  file: string,
  { privateOrigins }: Pick<CompiledServer, 'privateOrigins'>,
  secrets: Pick<SecretStore, 'list'>,
): Problem[] {
  const problems: Problem[] = [];
  const addresses = [
    ...issuers.map(({ issuer, jwksUri }, at) => [`/auth/issuers/${at}`, issuer, jwksUri] as const),
    ...introspection.map(({ issuer, endpoint }, at) => [`/auth/introspection/${at}`, issuer, endpoint] as const),
  ];
  for (const [pointer, issuer, endpoint] of addresses) {
    const url = new URL(endpoint ?? issuer);
    if (url.protocol === 'http:' && !privateOrigins.includes(url.origin)) {
      problems.push({
        file,
        reason: `${pointer} is http, so it is not asked`,
        hint: `the operator may allow it: "egress": { "privateOrigins": ["${url.origin}"] } in leasehold.json`,
      });
    }
  }
  for (const [at, { clientSecret }] of introspection.entries()) {
    const { owner, secret } = clientSecret;
    if (secrets.list(owner).some(({ name }) => name === secret)) continue;
    const whose = owner === SERVER_OWNER ? '--server' : owner;
    problems.push({
      file,
      reason: `/auth/introspection/${at} needs the secret "${secret}", which is not set`,
      hint: `leasehold secret set ${whose} ${secret}`,
    });
  }
  if (!tokens && !embedded && addresses.length === 0)
    problems.push({ file, reason: '/auth lets nobody in: no tokens, no issuers, no introspection' });
  return problems;
}
