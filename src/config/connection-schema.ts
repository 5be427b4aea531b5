// Connections as tenant.json gives them, and the OAuth providers that leasehold.json shares: schemas, one per kind.
// Not responsible for what they mean together (`compile-connection`, `compile-provider`).
// Invariant: a secret has no place to stand in: only its name, `{ "secret": "name" }`.
import { type Static, Type } from 'typebox';
import { TENANT_ID_PATTERN } from '../shared/ids.ts';

const strict = { additionalProperties: false } as const;
const MOST_ORIGINS = 100;

/** What `leasehold secret set` takes as a name. */
export const SECRET_NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';
export const SecretRef = Type.Object(
  {
    secret: Type.String({ pattern: SECRET_NAME_PATTERN, description: 'Name of a secret: leasehold secret set <tenant> <name>' }),
  },
  strict,
);
const Line = Type.String({ maxLength: 1024, pattern: '^[^\\u0000-\\u001f\\u007f]*$' });
const LineOrSecret = Type.Union([Line, SecretRef]);
const HeaderName = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$";
const Origins = Type.Array(Type.String({ maxLength: 2048 }), {
  minItems: 1,
  maxItems: MOST_ORIGINS,
  description: 'Where requests may go: scheme, host and port. The first one is the base of relative paths.',
});
/** RFC 6749, section 3.3. */
export const Scopes = Type.Array(Type.String({ pattern: '^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,512}$' }), { maxItems: 100 });

/** Adds no credential: a list of origins that tools may reach. */
const NoneSchema = Type.Object({ type: Type.Literal('none'), origins: Origins }, strict);

const ApiKeySchema = Type.Object(
  {
    type: Type.Literal('api_key'),
    origins: Origins,
    in: Type.Enum(['header', 'query']),
    name: Type.String({ pattern: HeaderName, description: 'Of the header or query parameter.' }),
    prefix: Type.Optional(Line),
    key: SecretRef,
  },
  strict,
);

/** RFC 7617. */
const BasicSchema = Type.Object(
  { type: Type.Literal('basic'), origins: Origins, username: LineOrSecret, password: SecretRef },
  strict,
);

const HeadersSchema = Type.Object(
  {
    type: Type.Literal('headers'),
    origins: Origins,
    headers: Type.Record(Type.String({ pattern: HeaderName }), LineOrSecret, { ...strict, minProperties: 1, maxProperties: 20 }),
  },
  strict,
);

const Url = Type.String({ maxLength: 2048 });
const EndpointsSchema = Type.Object(
  { authorization: Type.Optional(Url), token: Url, revocation: Type.Optional(Url) },
  { ...strict, description: 'Of an authorization server that has no metadata document.' },
);
const Resource = Type.String({ maxLength: 2048, description: 'RFC 8707: the service that tokens are asked for.' });
const ClientId = Type.String({ minLength: 1, maxLength: 512 });
const ClientAuth = Type.Enum(['client_secret_basic', 'client_secret_post'], { description: 'How the client secret is sent.' });

/** Who the authorization server is, and as what we are known there. */
const application = {
  issuer: Type.Optional(Url),
  endpoints: Type.Optional(EndpointsSchema),
  clientId: Type.Optional(ClientId),
  clientSecret: Type.Optional(SecretRef),
  clientAuth: Type.Optional(ClientAuth),
  scopes: Type.Optional(Scopes),
  resource: Type.Optional(Resource),
  origins: Type.Optional(Origins),
};

const OAuth2Schema = Type.Object(
  {
    type: Type.Optional(Type.Literal('oauth2')),
    provider: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'A provider of leasehold.json, or a preset: github, google.' }),
    ),
    owner: Type.Optional(
      Type.Enum(['user', 'tenant'], { description: 'Whose account: every user connects one, or the tenant has one.' }),
    ),
    grant: Type.Optional(Type.Enum(['authorization_code', 'client_credentials'])),
    ...application,
  },
  strict,
);

/** One schema per kind, so that a wrong file gets the problems of the kind that was meant. */
export const CONNECTION_KINDS = {
  none: NoneSchema,
  api_key: ApiKeySchema,
  basic: BasicSchema,
  headers: HeadersSchema,
  oauth2: OAuth2Schema,
} as const;
export type ConnectionKind = keyof typeof CONNECTION_KINDS;
export const ConnectionSchema = Type.Union([NoneSchema, ApiKeySchema, BasicSchema, HeadersSchema, OAuth2Schema]);
export type ConnectionOptions = Static<typeof ConnectionSchema>;
export type OAuth2Options = Static<typeof OAuth2Schema>;

export const SLOT_PATTERN = '^[A-Za-z_][A-Za-z0-9_]{0,63}$';
export const ConnectionsSchema = Type.Record(Type.String({ pattern: SLOT_PATTERN }), ConnectionSchema, strict);

/** One OAuth application of the server's operator, for the tenants that are named. */
export const ProviderSchema = Type.Object(
  {
    preset: Type.Optional(Type.String({ maxLength: 64, description: 'github, google' })),
    ...application,
    clientId: ClientId,
    tenants: Type.Array(Type.String({ pattern: TENANT_ID_PATTERN }), { maxItems: 100_000, description: 'Who may use it.' }),
  },
  strict,
);
export const ProvidersSchema = Type.Record(Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,63}$' }), ProviderSchema, strict);
export type ProviderOptions = Static<typeof ProviderSchema>;
