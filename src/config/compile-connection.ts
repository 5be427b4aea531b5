// One connection of a tenant, from its options to what running parts read.
// Not responsible for schemas or places in files (`load-tenant`).
// Invariant: pure; what a provider of leasehold.json fixes (where its secret and tokens go) no tenant can change.
import { isRuntimeHeader } from '../shared/http-headers.ts';
import type { CompiledConnection, CompiledProviders, OAuth2Connection } from './compiled.ts';
import { type Compiled, compileOAuth, compileOrigins, type Fault, fault } from './compile-oauth.ts';
import type { ConnectionOptions, OAuth2Options } from './connection-schema.ts';
import { secretsIn } from './secret-tripwire.ts';

export interface ConnectionPlace {
  readonly tenant: string;
  readonly slot: string;
  readonly providers: CompiledProviders;
}

export function compileConnection(options: ConnectionOptions, place: ConnectionPlace): Compiled<CompiledConnection> {
  if (isOAuth2(options)) return compileOAuth2(options, place);
  const { tenant, slot } = place;
  const faults: Fault[] = [];
  const base = { slot, origins: compileOrigins(options.origins, faults) };
  const compiled = (value: CompiledConnection): Compiled<CompiledConnection> => (faults.length > 0 ? { faults } : { value });
  const owned = (given: string | { secret: string }) =>
    typeof given === 'string' ? given : { owner: tenant, secret: given.secret };
  switch (options.type) {
    case 'none':
      return compiled({ ...base, type: 'none' });
    case 'api_key': {
      const { in: where, name, prefix = '', key } = options;
      if (where === 'header' && isRuntimeHeader(name)) faults.push({ at: '/name', reason: 'is a header of the runtime' });
      return compiled({ ...base, type: 'api_key', in: where, name, prefix, key: { owner: tenant, secret: key.secret } });
    }
    case 'basic': {
      const { username, password } = options;
      // RFC 7617: the first colon ends the user name.
      if (typeof username === 'string' && username.includes(':'))
        faults.push({ at: '/username', reason: 'must not hold a colon' });
      return compiled({
        ...base,
        type: 'basic',
        username: owned(username),
        password: { owner: tenant, secret: password.secret },
      });
    }
    case 'headers': {
      const headers = Object.entries(options.headers).map(([name, value]) => [name.toLowerCase(), owned(value)] as const);
      faults.push(...headerFaults(options.headers));
      return compiled({ ...base, type: 'headers', headers: Object.fromEntries(headers) });
    }
    default:
      return options satisfies never;
  }
}

function isOAuth2(options: ConnectionOptions): options is OAuth2Options {
  return options.type === undefined || options.type === 'oauth2';
}

function* headerFaults(headers: { readonly [name: string]: string | { secret: string } }): Generator<Fault> {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    const at = `/headers/${name.replaceAll('~', '~0')}`;
    if (isRuntimeHeader(name)) yield { at, reason: 'is a header of the runtime' };
    if (seen.has(name.toLowerCase())) yield { at, reason: 'stands there twice' };
    seen.add(name.toLowerCase());
    if (typeof value !== 'string') continue;
    if (/^authorization$|^cookie$/i.test(name) || secretsIn({ [name]: value }, '').length > 0)
      yield { at, reason: 'looks like a secret', hint: 'use { "secret": "name" }' };
  }
}

function compileOAuth2(options: OAuth2Options, place: ConnectionPlace): Compiled<OAuth2Connection> {
  const { grant = 'authorization_code' } = options;
  const { owner = grant === 'client_credentials' ? 'tenant' : 'user' } = options;
  const application = applicationOf(options, place);
  if ('faults' in application) return application;
  const { oauth, origins } = application.value;
  const faults: Fault[] = [];
  if (grant === 'client_credentials') {
    if (owner === 'user') faults.push({ at: '/owner', reason: 'must be "tenant": client_credentials knows no user' });
    if (oauth.clientSecret === undefined) faults.push({ at: '/clientSecret', reason: 'is missing' });
  } else if (oauth.endpoints !== undefined && oauth.endpoints.authorization === undefined) {
    faults.push({ at: '/endpoints/authorization', reason: 'is missing' });
  }
  if (faults.length > 0) return { faults };
  return { value: { slot: place.slot, origins, type: 'oauth2', oauth, owner, grant } };
}

/** An own `clientId` asks for the preset of that name; without one the name is a provider of leasehold.json. */
function applicationOf(options: OAuth2Options, { tenant, providers }: ConnectionPlace): ReturnType<typeof compileOAuth> {
  const { provider: name, clientId, origins: narrowed } = options;
  if (name === undefined || clientId !== undefined) return compileOAuth(options, name, tenant);
  const provider = Object.hasOwn(providers, name) ? providers[name] : undefined;
  if (provider === undefined || !provider.tenants.includes(tenant)) {
    return fault(
      '/provider',
      'names no provider of leasehold.json that this tenant may use',
      'add the tenant there, or give a clientId of its own',
    );
  }
  for (const key of ['issuer', 'endpoints', 'clientSecret', 'clientAuth', 'resource'] as const) {
    if (options[key] !== undefined) return fault(`/${key}`, 'is given by the provider');
  }
  const faults: Fault[] = [];
  const origins = narrowed === undefined ? [...provider.origins] : compileOrigins(narrowed, faults);
  const outside = origins.findIndex((origin) => !provider.origins.includes(origin));
  if (outside !== -1) faults.push({ at: `/origins/${outside}`, reason: 'is not one of the provider' });
  if (faults.length > 0) return { faults };
  const scopes = options.scopes === undefined ? provider.oauth.scopes : [...new Set(options.scopes)];
  return { value: { oauth: { ...provider.oauth, scopes }, origins } };
}
