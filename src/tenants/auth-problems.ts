// What is wrong with who may call, beyond the form of the files: secrets that are not set, issuers that will not be asked, nobody at all;
// and the same of the providers that people sign in with.
// Not responsible for schemas (`config/`) or for asking an issuer. Invariant: pure but for the names of secrets; problems, never refusals.
import type { CompiledServer, SecretRef } from '../config/compiled.ts';
import type { CompiledAuth } from '../config/compiled-auth.ts';
import { SERVER_OWNER } from '../shared/ids.ts';
import type { Problem } from '../shared/problem.ts';
import type { SecretStore } from '../vault/stores.ts';

type Origins = Pick<CompiledServer, 'privateOrigins'>;
type Secrets = Pick<SecretStore, 'list'>;

/** @param file which the words stand in: leasehold.json, or a tenant.json */
export function authProblems(
  { issuers, introspection, tokens, embedded }: CompiledAuth,
  file: string,
  server: Origins,
  secrets: Secrets,
): Problem[] {
  const addresses = [
    ...issuers.map(({ issuer, jwksUri }, at) => [`/auth/issuers/${at}`, jwksUri ?? issuer] as const),
    ...introspection.map(({ issuer, endpoint }, at) => [`/auth/introspection/${at}`, endpoint ?? issuer] as const),
  ];
  const problems = [
    ...addresses.flatMap(([pointer, address]) => plainHttp(pointer, address, server)),
    ...introspection.flatMap(({ clientSecret }, at) => notSet(`/auth/introspection/${at}`, clientSecret, secrets)),
  ].map((problem) => ({ file, ...problem }));
  if (!tokens && !embedded && addresses.length === 0)
    problems.push({ file, reason: '/auth lets nobody in: no tokens, no issuers, no introspection' });
  return problems;
}

/** Of the providers that people sign in with. */
export function signInProblems(server: Origins & Pick<CompiledServer, 'signIn'>, secrets: Secrets): Problem[] {
  const problems = Object.values(server.signIn.providers).flatMap(({ name, oauth, openid, userinfo }) => {
    const pointer = `/auth/embedded/signIn/${name}`;
    const { issuer, endpoints, clientSecret } = oauth;
    const addresses = [
      endpoints?.authorization,
      endpoints?.token,
      userinfo,
      openid?.jwksUri,
      endpoints === undefined ? issuer : undefined,
    ];
    const refused = addresses.flatMap((address) => (address === undefined ? [] : plainHttp(pointer, address, server)));
    return [...refused.slice(0, 1), ...(clientSecret === undefined ? [] : notSet(pointer, clientSecret, secrets))];
  });
  return problems.map((problem) => ({ file: 'leasehold.json', ...problem }));
}

type Found = Omit<Problem, 'file'>;

function plainHttp(pointer: string, address: string, { privateOrigins }: Origins): Found[] {
  const url = new URL(address);
  if (url.protocol !== 'http:' || privateOrigins.includes(url.origin)) return [];
  const hint = `the operator may allow it: "egress": { "privateOrigins": ["${url.origin}"] } in leasehold.json`;
  return [{ reason: `${pointer} is http, so it is not asked`, hint }];
}

function notSet(pointer: string, { owner, secret }: SecretRef, secrets: Secrets): Found[] {
  if (secrets.list(owner).some(({ name }) => name === secret)) return [];
  const hint = `leasehold secret set ${owner === SERVER_OWNER ? '--server' : owner} ${secret}`;
  return [{ reason: `${pointer} needs the secret "${secret}", which is not set`, hint }];
}
