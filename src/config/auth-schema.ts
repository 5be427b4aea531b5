// Who may call and how it is proved, as leasehold.json (for all tenants) and tenant.json (instead of it, member by member) give
// it; and the ways in which a request names its tenant: schemas.
// Not responsible for what they mean together (`compile-auth`, `compile-routing`).
// Invariant: a secret has no place to stand in: only its name, `{ "secret": "name" }`.
import { type Static, Type } from 'typebox';
import { Scopes, SecretRef } from './connection-schema.ts';
import { EmbeddedSchema } from './sign-in-schema.ts';

const strict = { additionalProperties: false } as const;
const Url = Type.String({ maxLength: 2048 });
const Word = Type.String({ minLength: 1, maxLength: 256 });
const ScopesBy = (description: string) => Type.Record(Word, Scopes, { description, maxProperties: 1000 });

/** Signature algorithms that a public key verifies (RFC 7518, RFC 8037, RFC 9864). */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

const ClaimsSchema = Type.Object(
  {
    subject: Type.Optional(Word),
    tenant: Type.Optional(Word),
    scopes: Type.Optional(Word),
    roles: Type.Optional(Word),
    groups: Type.Optional(Word),
  },
  {
    ...strict,
    description:
      'Names of claims; a path into an object is written with slashes: /realm_access/roles. Defaults: sub, none, scope (or scp), roles, groups.',
  },
);

/** What an issuer of JWTs and one of opaque tokens have in common. */
const source = {
  audience: Type.Optional(
    Type.Union([Word, Type.Array(Word, { minItems: 1, maxItems: 20 })], {
      description: 'What `aud` must name. Default: the address of the MCP endpoint of the tenant.',
    }),
  ),
  claims: Type.Optional(ClaimsSchema),
  roleScopes: Type.Optional(ScopesBy('Scopes that a role brings; "*" stands for all.')),
  groupScopes: Type.Optional(ScopesBy('Scopes that a group brings; "*" stands for all.')),
};

const IssuerSchema = Type.Object(
  {
    issuer: Url,
    jwksUri: Type.Optional(
      Type.String({ maxLength: 2048, description: 'Where its keys are. Default: as its metadata document says.' }),
    ),
    algorithms: Type.Optional(Type.Array(Type.Enum([...ALGORITHMS]), { minItems: 1 })),
    typ: Type.Optional(
      Type.Enum(['at+jwt', 'any'], {
        description: 'at+jwt (RFC 9068), or any for an issuer that does not mark its access tokens; ID tokens stay refused.',
      }),
    ),
    skewMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 300_000, description: 'Clocks may differ by this much. Default 30000.' }),
    ),
    ...source,
  },
  strict,
);

const IntrospectionSchema = Type.Object(
  {
    issuer: Url,
    endpoint: Type.Optional(
      Type.String({ maxLength: 2048, description: 'RFC 7662. Default: as the metadata document of the issuer says.' }),
    ),
    clientId: Type.String({ minLength: 1, maxLength: 512 }),
    clientSecret: SecretRef,
    clientAuth: Type.Optional(Type.Enum(['client_secret_basic', 'client_secret_post'])),
    prefix: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'How its tokens begin: needed where there are several.' }),
    ),
    cacheMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 300_000, description: 'How long an answer counts. Default 30000.' }),
    ),
    ...source,
  },
  strict,
);

const ScopeRulesSchema = Type.Object(
  {
    implies: Type.Optional(ScopesBy('Scopes that one scope brings with it: {"issues:write": ["issues:read"]}')),
    basic: Type.Optional(Scopes),
  },
  { ...strict, description: 'basic: what a client without a token is told to ask for.' },
);

const Embedded = Type.Boolean({
  description: 'Whether people sign in at this server itself, and clients get their tokens here.',
});

export const AuthSchema = Type.Object(
  {
    tokens: Type.Optional(
      Type.Boolean({ description: 'Whether tokens of `leasehold token create` are good here. Default true.' }),
    ),
    issuers: Type.Optional(Type.Array(IssuerSchema, { maxItems: 20, description: 'Whose signed access tokens (JWT) are good.' })),
    introspection: Type.Optional(
      Type.Array(IntrospectionSchema, { maxItems: 20, description: 'Whose opaque access tokens are good.' }),
    ),
    embedded: Type.Optional(
      Type.Union([Embedded, EmbeddedSchema], {
        description: 'Whether and how people sign in at this server itself, and clients get their tokens here. Default false.',
      }),
    ),
    scopes: Type.Optional(ScopeRulesSchema),
  },
  { ...strict, description: 'Who may call, and how it is proved.' },
);
export type AuthOptions = Static<typeof AuthSchema>;
export type IssuerOptions = Static<typeof IssuerSchema>;
export type IntrospectionOptions = Static<typeof IntrospectionSchema>;

/** tenant.json: the same, and the names by which issuers know the tenant. */
export const TenantAuthSchema = Type.Object(
  {
    ...AuthSchema.properties,
    embedded: Type.Optional(Embedded),
    claimValues: Type.Optional(
      Type.Array(Word, { maxItems: 20, description: 'Values of the tenant claim that stand for this tenant. Default: its id.' }),
    ),
  },
  {
    ...strict,
    description: 'Who may call this tenant, and how it is proved: instead of what leasehold.json says, member by member.',
  },
);
export type TenantAuthOptions = Static<typeof TenantAuthSchema>;

export const RatesSchema = Type.Object(
  {
    addressPerSecond: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description: 'Requests of one address in a second, before anybody is asked who they are. Default 0: no limit.',
      }),
    ),
    refusalsPerMinute: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description: 'Refused requests of one address in a minute; then it is told to wait. Default 120; 0: no limit.',
      }),
    ),
  },
  { ...strict, description: 'Limits of the HTTP edge. Those of subjects and tenants stand in limits.' },
);

export const RoutingSchema = Type.Object(
  {
    path: Type.Optional(Type.Boolean({ description: '/t/<tenant>/mcp. Default true.' })),
    host: Type.Optional(Type.String({ maxLength: 300, description: '/mcp at a host name: {tenant}.example.com' })),
    header: Type.Optional(Type.String({ maxLength: 100, description: '/mcp with the tenant in this header: x-tenant' })),
    claim: Type.Optional(Type.Boolean({ description: '/mcp with the tenant in the token. Default false.' })),
  },
  { ...strict, description: 'Where a request may name its tenant; all that do must agree.' },
);
export type RoutingOptions = Static<typeof RoutingSchema>;
