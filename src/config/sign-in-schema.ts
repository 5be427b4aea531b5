// How people sign in at the server itself, as leasehold.json gives it: accounts of its own, and providers that vouch for people: schemas.
// Not responsible for what they mean together (`compile-sign-in`).
// Invariant: a secret has no place to stand in: only its name, `{ "secret": "name" }`.
import { type Static, Type } from 'typebox';
import { TENANT_ID_PATTERN } from '../shared/ids.ts';
import { Scopes, SecretRef } from './connection-schema.ts';
import { SIGN_IN_PRESETS } from './sign-in-presets.ts';

const strict = { additionalProperties: false } as const;
const Url = Type.String({ maxLength: 2048 });
const Word = Type.String({ minLength: 1, maxLength: 256 });

const EndpointsSchema = Type.Object(
  {
    authorization: Url,
    token: Url,
    userinfo: Type.Optional(Url),
    jwks: Type.Optional(Type.String({ maxLength: 2048, description: 'Where the keys of the issuer are.' })),
  },
  { ...strict, description: 'Of a provider without a metadata document. Without an issuer, userinfo says who somebody is.' },
);

const AllowSchema = Type.Object(
  {
    emailDomains: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$' }), {
        minItems: 1,
        maxItems: 100,
        description: 'The e-mail address is of one of these domains (lower case), and the provider says that it is verified.',
      }),
    ),
    claims: Type.Optional(
      Type.Record(Word, Type.Array(Word, { minItems: 1, maxItems: 100 }), {
        minProperties: 1,
        maxProperties: 20,
        description: 'Each of these claims has one of its values: { "hd": ["example.com"] }. A path is written with slashes.',
      }),
    ),
  },
  {
    ...strict,
    minProperties: 1,
    description: 'Who of the provider may sign in: all of it must hold; what cannot be checked does not. Default: everybody.',
  },
);

const SignInProviderSchema = Type.Object(
  {
    preset: Type.Optional(Type.Enum(Object.keys(SIGN_IN_PRESETS), { description: 'A provider that is known here.' })),
    directory: Type.Optional(
      Type.String({ maxLength: 64, description: 'entra: the id of the directory (tenant) whose people these are.' }),
    ),
    issuer: Type.Optional(Type.String({ maxLength: 2048, description: 'OpenID Connect: compared as text with `iss`.' })),
    endpoints: Type.Optional(EndpointsSchema),
    clientId: Type.String({ minLength: 1, maxLength: 512 }),
    clientSecret: SecretRef,
    clientAuth: Type.Optional(Type.Enum(['client_secret_basic', 'client_secret_post'])),
    scopes: Type.Optional(Scopes),
    title: Type.Optional(
      Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f]{1,64}$', description: 'What people call it: "Continue with <title>".' }),
    ),
    subject: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'The claim that says for ever who somebody is. Default: sub, or what the preset says.',
      }),
    ),
    allow: Type.Optional(AllowSchema),
    tenants: Type.Optional(
      Type.Array(Type.String({ pattern: TENANT_ID_PATTERN }), {
        minItems: 1,
        maxItems: 100_000,
        description: 'For which tenants its people count, and to whose clients it is shown. Default: all.',
      }),
    ),
  },
  strict,
);
export type SignInProviderOptions = Static<typeof SignInProviderSchema>;

export const EmbeddedSchema = Type.Object(
  {
    enabled: Type.Optional(
      Type.Boolean({ description: 'For tenants that do not say it themselves ("embedded": true). Default true.' }),
    ),
    accounts: Type.Optional(
      Type.Boolean({ description: 'Whether people of `leasehold user add` sign in, with their passwords. Default true.' }),
    ),
    signIn: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$' }), SignInProviderSchema, {
        ...strict,
        maxProperties: 20,
        description: 'Providers that say who somebody is. The name is the first part of their subjects: google:1234.',
      }),
    ),
  },
  { ...strict, description: 'The embedded authorization server: people sign in here, and clients get their tokens here.' },
);
export type EmbeddedOptions = Static<typeof EmbeddedSchema>;
