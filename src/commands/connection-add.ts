// What a new connection looks like in tenant.json, and what else must be done for it.
// Not responsible for writing it there. Pure. Invariant: what it proposes passes the check of tenant.json once filled in.
import type { CompiledServer } from '../config/compiled.ts';
import { SLOT_PATTERN } from '../config/connection-schema.ts';
import { parseEndpoint } from '../config/compile-oauth.ts';
import { PRESETS } from '../config/provider-presets.ts';
import { setCommand } from '../connections/static-credential.ts';
import { UsageError } from './command.ts';
import { listenUrl } from './local-endpoint.ts';

export interface Addition {
  readonly slot: string;
  readonly connection: Readonly<Record<string, unknown>>;
  /** Commands that set its secrets. */
  readonly commands: readonly string[];
  readonly oauth: boolean;
  /** With whom an OAuth application must be registered. */
  readonly registration?: string;
}

interface Asked {
  readonly slot: string;
  readonly tenant: string;
  readonly config: CompiledServer;
  readonly provider?: string;
  readonly issuer?: string;
  readonly type?: string;
}

/** One for the whole server; the flow is found by its state. */
export function redirectUri(config: CompiledServer): string {
  return `${config.publicUrl ?? listenUrl(config)}/connect/callback`;
}

const ORIGINS = ['https://<host of the API>'];

export function addition(asked: Asked): Addition {
  const { slot, provider, issuer, type } = asked;
  if (!new RegExp(SLOT_PATTERN).test(slot)) throw new UsageError(`'${slot}' is no name: letters, digits and underscores`);
  if ([provider, issuer, type].filter((part) => part !== undefined).length !== 1)
    throw new UsageError('add takes one of --provider, --issuer, --type');
  if (provider !== undefined) return withProvider(asked, provider);
  if (issuer !== undefined) return withIssuer(asked, issuer);
  return withType(asked, type ?? '');
}

function withProvider({ slot, tenant, config }: Asked, provider: string): Addition {
  const shared = Object.hasOwn(config.providers, provider) ? config.providers[provider] : undefined;
  if (shared?.tenants.includes(tenant) === true)
    return { slot, connection: { provider, owner: 'user' }, commands: [], oauth: true };
  const preset = Object.hasOwn(PRESETS, provider) ? PRESETS[provider] : undefined;
  if (preset === undefined) {
    throw new UsageError(
      shared === undefined
        ? `there is no provider '${provider}'; there are ${[...new Set([...Object.keys(config.providers), ...Object.keys(PRESETS)])].join(', ')}`
        : `leasehold.json does not let ${tenant} use the provider '${provider}'; add it to its tenants`,
    );
  }
  const secret = `${provider}-client-secret`;
  return {
    slot,
    connection: { provider, owner: 'user', clientId: '<client id>', clientSecret: { secret }, scopes: [] },
    commands: [setCommand({ owner: tenant, secret })],
    oauth: true,
    registration: preset.title,
  };
}

function withIssuer({ slot, tenant }: Asked, issuer: string): Addition {
  const checked = parseEndpoint(issuer, true);
  if (!checked.ok) throw new UsageError(`--issuer ${checked.reason}`);
  const secret = `${slot}-client-secret`;
  return {
    slot,
    connection: {
      type: 'oauth2',
      issuer,
      owner: 'user',
      clientId: '<client id>',
      clientSecret: { secret },
      scopes: [],
      origins: ORIGINS,
    },
    commands: [setCommand({ owner: tenant, secret })],
    oauth: true,
    registration: new URL(issuer).host,
  };
}

function withType({ slot, tenant }: Asked, type: string): Addition {
  const key = `${slot}-key`;
  const static_ = (connection: Record<string, unknown>, ...secrets: string[]): Addition => ({
    slot,
    connection: { type, origins: ORIGINS, ...connection },
    commands: secrets.map((secret) => setCommand({ owner: tenant, secret })),
    oauth: false,
  });
  switch (type) {
    case 'none':
      return static_({});
    case 'api_key':
      return static_({ in: 'header', name: 'X-Api-Key', key: { secret: key } }, key);
    case 'basic':
      return static_({ username: '<user name>', password: { secret: `${slot}-password` } }, `${slot}-password`);
    case 'headers':
      return static_({ headers: { 'X-Api-Key': { secret: key } } }, key);
    default:
      throw new UsageError(`'${type}' is none of none, api_key, basic, headers; for OAuth use --provider or --issuer`);
  }
}
