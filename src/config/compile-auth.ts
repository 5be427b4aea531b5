// Who may call, from options to what `auth/` reads: claims, audiences, scope hierarchies.
// Not responsible for schemas or places in files (`load-server`, `load-tenant`). Pure.
// Invariant: what a file leaves out is the stricter choice; a token of an issuer that several tenants share says for which of them it
// is, by its audience or by a claim.
import {
  ALGORITHMS,
  type AuthOptions,
  type IntrospectionOptions,
  type IssuerOptions,
  type TenantAuthOptions,
} from './auth-schema.ts';
import { type Compiled, type Fault, parseEndpoint } from './compile-oauth.ts';
import type { CompiledAuth, CompiledClaims, CompiledIntrospection, CompiledIssuer, ScopesBy } from './compiled-auth.ts';
import { deepFreeze } from './freeze.ts';

/** Tokens minted here, and nothing else. */
export const DEFAULT_AUTH: CompiledAuth = deepFreeze({
  tokens: true,
  issuers: [],
  introspection: [],
  embedded: false,
  implied: {},
  basicScopes: [],
  claimValues: undefined,
});

const SKEW_MS = 30_000;
const INTROSPECTED_MS = 30_000;
/** HS* would make everybody who can verify able to sign. Ed25519 is EdDSA with its curve said (RFC 9864). */
const DEFAULT_ALGORITHMS = ALGORITHMS;

/** @param owner of the secrets: `SERVER_OWNER`, whose options hold for every tenant, or a tenant */
export function compileAuth(
  options: AuthOptions & Pick<TenantAuthOptions, 'claimValues'>,
  owner: AuthOwner,
  defaults: CompiledAuth = DEFAULT_AUTH,
): Compiled<CompiledAuth> {
  const faults: Fault[] = [
    ...(options.issuers ?? []).flatMap((issuer, at) => sourceFaults(issuer, owner).map(below(`/issuers/${at}`))),
    ...(options.introspection ?? []).flatMap((issuer, at) => sourceFaults(issuer, owner).map(below(`/introspection/${at}`))),
    ...twice(options.issuers ?? [], 'issuer', '/issuers'),
    ...twice(options.introspection ?? [], 'issuer', '/introspection'),
    ...twice(options.introspection ?? [], 'prefix', '/introspection'),
    ...bothWays(options, defaults),
    ...basicFaults(options),
  ];
  if (faults.length > 0) return { faults };
  const value: CompiledAuth = {
    tokens: options.tokens ?? defaults.tokens,
    issuers: options.issuers?.map(compileIssuer) ?? defaults.issuers,
    introspection: options.introspection?.map((one) => compileIntrospection(one, owner.secrets)) ?? defaults.introspection,
    embedded: isEmbedded(options.embedded) ?? defaults.embedded,
    implied: options.scopes?.implies === undefined ? defaults.implied : closure(options.scopes.implies),
    basicScopes: options.scopes?.basic ?? defaults.basicScopes,
    claimValues: options.claimValues ?? defaults.claimValues,
  };
  return { value: deepFreeze(value) };
}

/** With providers or without, it is on unless it says that only some tenants want it. */
function isEmbedded(embedded: AuthOptions['embedded']): boolean | undefined {
  return typeof embedded === 'object' ? (embedded.enabled ?? true) : embedded;
}

export interface AuthOwner {
  /** Whose secrets are meant. */
  readonly secrets: string;
  /** Whether the options hold for more than one tenant. */
  readonly shared: boolean;
}

/** `offline_access` is between a client and its authorization server (MCP 2026-07-28, authorization). */
function* basicFaults({ scopes }: AuthOptions): Generator<Fault> {
  for (const [at, scope] of (scopes?.basic ?? []).entries())
    if (scope === 'offline_access') yield { at: `/scopes/basic/${at}`, reason: 'is no scope of ours', hint: 'leave it out' };
}

type SourceOptions = IssuerOptions | IntrospectionOptions;

const below =
  (at: string) =>
  (of: Fault): Fault => ({ ...of, at: `${at}${of.at}` });

function sourceFaults(options: SourceOptions, { shared }: AuthOwner): Fault[] {
  const faults: Fault[] = [];
  const addresses = [
    ['/issuer', options.issuer, true],
    ['/jwksUri', 'jwksUri' in options ? options.jwksUri : undefined, false],
    ['/endpoint', 'endpoint' in options ? options.endpoint : undefined, false],
  ] as const;
  for (const [at, text, bare] of addresses) {
    const checked = text === undefined ? undefined : parseEndpoint(text, bare);
    if (checked?.ok === false) faults.push({ at, reason: checked.reason });
  }
  for (const [name, path] of Object.entries(options.claims ?? {}))
    if (path.startsWith('/') && stepsOf(path).some((step) => step === ''))
      faults.push({ at: `/claims/${name}`, reason: 'has an empty step' });
  if (shared && options.audience !== undefined && options.claims?.tenant === undefined) {
    faults.push({
      at: '/audience',
      reason: 'would make a token of this issuer good for every tenant',
      hint: 'say in claims.tenant which claim names the tenant, or leave the audience out',
    });
  }
  return faults;
}

function* twice<K extends string>(all: readonly { readonly [k in K]?: unknown }[], key: K, at: string): Generator<Fault> {
  const seen = new Set<unknown>();
  for (const [index, one] of all.entries()) {
    const value = one[key] ?? '';
    if (seen.has(value))
      yield key === 'prefix'
        ? { at: `/${at.slice(1)}/${index}/prefix`, reason: 'must tell its tokens from those of the others' }
        : { at: `${at}/${index}/${key}`, reason: 'stands there twice' };
    seen.add(value);
  }
}

/** One issuer's tokens are either verified here or asked about: what decides must not be the form that a caller chose. */
function* bothWays(options: AuthOptions, defaults: CompiledAuth): Generator<Fault> {
  const issuers = new Set((options.issuers ?? defaults.issuers).map(({ issuer }) => issuer));
  for (const [at, { issuer }] of (options.introspection ?? []).entries())
    if (issuers.has(issuer)) yield { at: `/introspection/${at}/issuer`, reason: 'is among the issuers, too' };
}

function sourceOf(options: SourceOptions) {
  const { audience, roleScopes = {}, groupScopes = {} } = options;
  return {
    issuer: options.issuer,
    audience: typeof audience === 'string' ? [audience] : audience,
    claims: claimsOf(options.claims ?? {}),
    roleScopes,
    groupScopes,
  };
}

function compileIssuer(options: IssuerOptions): CompiledIssuer {
  return {
    ...sourceOf(options),
    jwksUri: options.jwksUri,
    algorithms: options.algorithms ?? [...DEFAULT_ALGORITHMS],
    typ: options.typ ?? 'at+jwt',
    skewMs: options.skewMs ?? SKEW_MS,
  };
}

function compileIntrospection(options: IntrospectionOptions, owner: string): CompiledIntrospection {
  return {
    ...sourceOf(options),
    endpoint: options.endpoint,
    clientId: options.clientId,
    clientSecret: { owner, secret: options.clientSecret.secret },
    clientAuth: options.clientAuth ?? 'client_secret_basic',
    prefix: options.prefix ?? '',
    cacheMs: options.cacheMs ?? INTROSPECTED_MS,
  };
}

function claimsOf(given: NonNullable<SourceOptions['claims']>): CompiledClaims {
  return {
    subject: stepsOf(given.subject ?? 'sub'),
    tenant: given.tenant === undefined ? undefined : stepsOf(given.tenant),
    scopes: given.scopes === undefined ? undefined : stepsOf(given.scopes),
    roles: stepsOf(given.roles ?? 'roles'),
    groups: stepsOf(given.groups ?? 'groups'),
  };
}

/** `/realm_access/roles` -> two steps; everything else is one name, URLs with slashes among them. */
export function stepsOf(path: string): string[] {
  return path.startsWith('/') ? path.slice(1).split('/') : [path];
}

/** Followed to the end, so that a check is one look-up. Circles are fine. */
function closure(implies: ScopesBy): ScopesBy {
  const all: Record<string, string[]> = {};
  for (const scope of Object.keys(implies)) {
    const reached = new Set<string>();
    const open = [scope];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const next of Object.hasOwn(implies, at) ? (implies[at] ?? []) : []) {
        if (reached.has(next)) continue;
        reached.add(next);
        open.push(next);
      }
    }
    reached.delete(scope);
    all[scope] = [...reached];
  }
  return all;
}
