// An OAuth application from its options and its preset: who the authorization server is and what we are to it.
// Not responsible for slots, owners or files (`compile-connection`, `load-server`), nor for asking the server anything.
// Invariant: pure; every endpoint is https (or on loopback); a client secret goes nowhere that its owner did not name.
import type { CompiledOAuth, SecretRef } from './compiled.ts';
import type { OAuth2Options } from './connection-schema.ts';
import { type Checked, isLoopback, parseOrigin } from './origin.ts';
import { NO_QUIRKS, type Preset, PRESETS } from './provider-presets.ts';

/** A problem below the place of the options: `/issuer`, or empty for the whole. */
export interface Fault {
  readonly at: string;
  readonly reason: string;
  readonly hint?: string;
}
export type Compiled<T> = { readonly value: T } | { readonly faults: readonly Fault[] };

type Application = Pick<
  OAuth2Options,
  'issuer' | 'endpoints' | 'clientId' | 'clientSecret' | 'clientAuth' | 'scopes' | 'resource' | 'origins'
>;

/** @param secretOwner whose secret the client secret is: the tenant, or the server */
export function compileOAuth(
  options: Application,
  preset: string | undefined,
  secretOwner: string,
): Compiled<{ oauth: CompiledOAuth; origins: string[] }> {
  const known = preset === undefined ? undefined : presetOf(preset);
  if (preset !== undefined && known === undefined) {
    return fault('/provider', `names no preset (there are ${Object.keys(PRESETS).join(', ')})`);
  }
  const faults = [...placeFaults(options, known)];
  const { clientId, endpoints, issuer } = options;
  if (clientId === undefined) faults.push({ at: '/clientId', reason: 'is missing' });
  const origins = compileOrigins(options.origins ?? known?.origins, faults);
  const server = issuer === undefined ? known?.issuer : issuer;
  const where = endpoints ?? known?.endpoints;
  const host = URL.parse(server ?? where?.token ?? '')?.host;
  if (faults.length > 0 || clientId === undefined || host === undefined) return { faults };
  const clientSecret = secretRef(options.clientSecret, secretOwner);
  const oauth: CompiledOAuth = {
    title: known?.title ?? host,
    issuer: server,
    endpoints: where,
    clientId,
    clientSecret,
    clientAuth: clientSecret === undefined ? 'none' : (options.clientAuth ?? known?.clientAuth ?? 'client_secret_basic'),
    scopes: [...new Set(options.scopes)],
    resource: options.resource,
    quirks: known?.quirks ?? NO_QUIRKS,
  };
  return { value: { oauth, origins } };
}

export function secretRef(given: { secret: string } | undefined, owner: string): SecretRef | undefined {
  return given === undefined ? undefined : { owner, secret: given.secret };
}

export function compileOrigins(given: readonly string[] | undefined, faults: Fault[]): string[] {
  if (given === undefined) faults.push({ at: '/origins', reason: 'is missing' });
  const origins: string[] = [];
  for (const [index, text] of (given ?? []).entries()) {
    const origin = parseOrigin(text);
    if (origin.ok) origins.push(origin.value);
    else faults.push({ at: `/origins/${index}`, reason: origin.reason });
  }
  return [...new Set(origins)];
}

function presetOf(name: string): Preset | undefined {
  return Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
}

function* placeFaults({ issuer, endpoints, resource, clientSecret, clientAuth }: Application, preset?: Preset): Generator<Fault> {
  if (preset !== undefined) {
    // Another address under a well-known name would get its client secret.
    for (const at of ['issuer', 'endpoints'] as const) {
      if ((at === 'issuer' ? issuer : endpoints) !== undefined) yield { at: `/${at}`, reason: 'is given by the preset' };
    }
  } else if (issuer === undefined && endpoints === undefined) {
    yield { at: '', reason: 'names no provider, issuer or endpoints' };
  }
  if (clientSecret === undefined && clientAuth !== undefined) yield { at: '/clientSecret', reason: 'is missing' };
  yield* addressFaults({
    '/issuer': issuer,
    '/endpoints/authorization': endpoints?.authorization,
    '/endpoints/token': endpoints?.token,
    '/endpoints/revocation': endpoints?.revocation,
    '/resource': resource,
  });
}

/** By their places. */
export function* addressFaults(addresses: { readonly [at: string]: string | undefined }): Generator<Fault> {
  for (const [at, text] of Object.entries(addresses)) {
    const checked = text === undefined ? undefined : parseEndpoint(text, at === '/issuer');
    if (checked?.ok === false) yield { at, reason: checked.reason };
  }
}

/** https, or http on loopback. @param bare no query: an issuer */
export function parseEndpoint(text: string, bare: boolean): Checked<string> {
  const url = URL.parse(text);
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
  if (url === null || !secure) return { ok: false, reason: 'must be an https URL' };
  if (url.username !== '' || url.password !== '' || url.hash !== '' || (bare && url.search !== ''))
    return { ok: false, reason: `must be a plain URL without user${bare ? ', query' : ''} or fragment` };
  return { ok: true, value: url.href };
}

export function fault(at: string, reason: string, hint?: string): { faults: Fault[] } {
  return { faults: [{ at, reason, ...(hint === undefined ? {} : { hint }) }] };
}
