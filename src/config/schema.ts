// The files of an estate as TypeBox schemas: the source of their types, of their checks and of the JSON Schemas for editors.
// Not responsible for reading them (`load-server`, `load-tenant`) or for defaults that need the environment.
// Invariant: unknown keys are refused everywhere; durations end in `Ms`, sizes in `Bytes`.
import { type Static, Type } from 'typebox';
import { TENANT_ID_PATTERN } from '../shared/ids.ts';
import { LimitsSchema } from '../shared/limits.ts';
import { AuthSchema, RatesSchema, RoutingSchema, TenantAuthSchema } from './auth-schema.ts';
import { ConnectionsSchema, ProvidersSchema } from './connection-schema.ts';

const strict = { additionalProperties: false } as const;
const Schema$ = Type.Optional(Type.String({ description: 'JSON Schema of this file, for editors.' }));
const Strings = Type.Array(Type.String({ minLength: 1, maxLength: 2048 }), { maxItems: 1000 });
/** Limits as a file gives them: any of them. */
const PartialLimits = Type.Partial(LimitsSchema, strict);

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export const OS_WALLS = ['off', 'auto', 'required'] as const;
export const AUDIT_MODES = ['strict', 'grouped', 'relaxed'] as const;
const LogLevel = Type.Enum([...LOG_LEVELS]);

/** leasehold.json */
export const ServerOptionsSchema = Type.Object(
  {
    $schema: Schema$,
    listen: Type.Optional(Type.String({ description: 'host:port, or a port on 127.0.0.1. Default 127.0.0.1:8741.' })),
    adminListen: Type.Optional(
      Type.String({ description: 'host:port of the operator: /metrics, /healthz, /readyz, without a token. Default: none.' }),
    ),
    publicUrl: Type.Optional(
      Type.String({ description: 'Base of all public URLs (https, or http on loopback). Default: the listen address.' }),
    ),
    allowedHosts: Type.Optional(Strings),
    allowedOrigins: Type.Optional(Strings),
    trustedProxies: Type.Optional(Strings),
    dataDir: Type.Optional(Type.String({ minLength: 1, description: 'Relative to this file. Default ./.leasehold.' })),
    drainMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 600_000, description: 'Time for running calls at the end.' })),
    bodyBytes: Type.Optional(Type.Integer({ minimum: 1024, maximum: 67_108_864, description: 'Largest request body.' })),
    masterKey: Type.Optional(
      Type.Union(
        [
          Type.Object({ source: Type.Literal('file'), path: Type.Optional(Type.String({ minLength: 1 })) }, strict),
          Type.Object(
            { source: Type.Literal('keychain'), account: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })) },
            strict,
          ),
          Type.Object(
            {
              source: Type.Literal('systemd-credential'),
              name: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_.-]{1,100}$' })),
            },
            strict,
          ),
        ],
        { description: 'Where the master key is. Default: a file in the data folder.' },
      ),
    ),
    audit: Type.Optional(Type.Object({ mode: Type.Optional(Type.Enum([...AUDIT_MODES])) }, strict)),
    egress: Type.Optional(
      Type.Object(
        {
          privateOrigins: Type.Optional(
            Type.Array(Type.String(), {
              description: 'Origins of connections that may resolve to private addresses.',
              maxItems: 1000,
            }),
          ),
          proxy: Type.Optional(
            Type.String({ description: 'Origin of the HTTP proxy that all but private origins are reached through.' }),
          ),
          ca: Type.Optional(
            Type.String({ minLength: 1, description: 'PEM file with further certificate authorities, relative to this file.' }),
          ),
          nameServers: Type.Optional(
            Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
              minItems: 1,
              maxItems: 8,
              description: 'address or address:port. Default: those of the system.',
            }),
          ),
        },
        strict,
      ),
    ),
    providers: Type.Optional(ProvidersSchema),
    auth: Type.Optional(AuthSchema),
    routing: Type.Optional(RoutingSchema),
    rates: Type.Optional(RatesSchema),
    concurrentCalls: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 100_000,
        description: 'Calls of all tenants under way at once. Default: 64 per core.',
      }),
    ),
    spares: Type.Optional(Type.Integer({ minimum: 0, maximum: 16, description: 'Warm spare pools kept ready.' })),
    osWall: Type.Optional(
      Type.Union([Type.Boolean(), Type.Enum([...OS_WALLS])], {
        description:
          'Linux: walls of the operating system around host processes. "auto" (or true): those that the machine allows; "required": all of them, or no start. Default "off".',
      }),
    ),
    logLevel: Type.Optional(LogLevel),
    watch: Type.Optional(Type.Boolean({ description: 'Whether changed tenants are loaded while the server runs.' })),
    limits: Type.Optional(PartialLimits),
    unsafeHttpPublicUrl: Type.Optional(
      Type.Boolean({ description: 'Unsafe: lets publicUrl be http on a host other than loopback; tokens then travel in clear.' }),
    ),
  },
  { ...strict, title: 'leasehold.json' },
);
export type ServerOptions = Static<typeof ServerOptionsSchema>;

/** tenant.json */
export const TenantOptionsSchema = Type.Object(
  {
    $schema: Schema$,
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    vars: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'Plain settings for tools (ctx.vars), never secrets.' }),
    ),
    auth: Type.Optional(TenantAuthSchema),
    connections: Type.Optional(ConnectionsSchema),
    limits: Type.Optional(PartialLimits),
    builtins: Type.Optional(
      Type.Object(
        {
          connections: Type.Optional(Type.Boolean({ description: 'The tool my_connections: what the caller is connected to.' })),
        },
        { ...strict, description: 'Tools of the server itself. Default: none.' },
      ),
    ),
    keychain: Type.Optional(
      Type.Boolean({
        description:
          "Whether the tenant's key is kept in the OS keychain, too, in an item of its own. For a desktop. Read at the start.",
      }),
    ),
    cordon: Type.Optional(
      Type.String({
        pattern: TENANT_ID_PATTERN,
        description: 'Tenants of one cordon share host processes; "own" shares them with nobody. Default: "shared".',
      }),
    ),
    runtime: Type.Optional(
      Type.Enum(['sandbox', 'node'], {
        description:
          '"node": code of this tenant gets Node built-ins, native packages and the network, with the rights of its host. Trusts that code; needs "cordon": "own". Default: "sandbox".',
      }),
    ),
    isolation: Type.Optional(
      Type.Enum(['thread', 'call'], {
        description:
          '"call": every call of a code tool runs in a fresh thread, so that nothing of it is left for the next one. Default: "thread".',
      }),
    ),
  },
  { ...strict, title: 'tenant.json' },
);
export type TenantOptions = Static<typeof TenantOptionsSchema>;
