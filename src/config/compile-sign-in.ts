// How people sign in at the server itself, from options and presets to what `login/` reads.
// Not responsible for the schema (`sign-in-schema`) or for asking a provider anything. Pure.
// Invariant: every endpoint is https (or on loopback); a subject is made of a claim that nobody can change or take over; what a file
// leaves out lets nobody in that it does not name.
import { Type } from 'typebox';
import type { Problem } from '../shared/problem.ts';
import type { AuthOptions } from './auth-schema.ts';
import { stepsOf } from './compile-auth.ts';
import { addressFaults, type Compiled, type Fault, secretRef } from './compile-oauth.ts';
import type { CompiledSignIn, CompiledSignInProvider } from './compiled-auth.ts';
import { SERVER_OWNER } from '../shared/ids.ts';
import type { Locate } from './jsonc.ts';
import { NO_QUIRKS } from './provider-presets.ts';
import { SIGN_IN_PRESETS, type SignInPreset } from './sign-in-presets.ts';
import { EmbeddedSchema, type SignInProviderOptions } from './sign-in-schema.ts';
import { FileCheck } from './validate.ts';

const ACCOUNTS_ONLY: CompiledSignIn = { accounts: true, providers: {} };
const OPENID = ['openid', 'profile', 'email'];
/** Of subjects in tokens: `client:` is the name space of clients (`auth/claims`). */
const TAKEN = 'client';
/** Whoever gets such a name later would be somebody else. */
const CHANGING: ReadonlySet<string> = new Set([
  'email',
  'preferred_username',
  'username',
  'login',
  'upn',
  'unique_name',
  'nickname',
  'name',
]);
const DIRECTORY = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

const embeddedCheck = new FileCheck(Type.Object({ auth: Type.Object({ embedded: EmbeddedSchema }) }));

/** Of the long form, checked by itself, so that a wrong one gets the problems of what was meant. */
export function embeddedProblems(file: unknown, name: string, locate: Locate): Problem[] {
  const embedded = at(at(file, 'auth'), 'embedded');
  if (typeof embedded !== 'object' || embedded === null) return [];
  const checked = embeddedCheck.check({ auth: { embedded } }, name, locate);
  return 'problems' in checked ? checked.problems : [];
}

export function compileSignIn(embedded: AuthOptions['embedded']): Compiled<CompiledSignIn> {
  if (typeof embedded !== 'object') return { value: ACCOUNTS_ONLY };
  const { accounts = true, signIn = {} } = embedded;
  const faults: Fault[] = [];
  const providers: Record<string, CompiledSignInProvider> = {};
  for (const [name, options] of Object.entries(signIn)) {
    const compiled = compileProvider(name, options);
    if ('value' in compiled) providers[name] = compiled.value;
    else faults.push(...compiled.faults.map((fault) => ({ ...fault, at: `/signIn/${name}${fault.at}` })));
  }
  if (!accounts && Object.keys(signIn).length === 0)
    faults.push({ at: '/accounts', reason: 'leaves nobody who could sign in', hint: 'add a provider to signIn' });
  return faults.length > 0 ? { faults } : { value: { accounts, providers } };
}

function compileProvider(name: string, options: SignInProviderOptions): Compiled<CompiledSignInProvider> {
  const preset = options.preset === undefined ? undefined : placed(SIGN_IN_PRESETS[options.preset], options.directory);
  const faults = [...(name === TAKEN ? [{ at: '', reason: 'needs another name' }] : []), ...providerFaults(options, preset)];
  const issuer = options.issuer ?? preset?.issuer;
  const endpoints = options.endpoints ?? preset?.endpoints;
  const host = URL.parse(issuer ?? endpoints?.authorization ?? '')?.host;
  if (faults.length > 0 || host === undefined) return { faults };
  const { clientId, allow = {} } = options;
  const value: CompiledSignInProvider = {
    name,
    oauth: {
      title: options.title ?? preset?.title ?? host,
      issuer,
      endpoints: endpoints === undefined ? undefined : { authorization: endpoints.authorization, token: endpoints.token },
      clientId,
      // Needed: a code that reaches another provider by mistake is of no use to that one (RFC 9700, section 4.4).
      clientSecret: secretRef(options.clientSecret, SERVER_OWNER),
      clientAuth: options.clientAuth ?? preset?.clientAuth ?? 'client_secret_basic',
      scopes: [...new Set(options.scopes ?? preset?.scopes ?? (issuer === undefined ? [] : OPENID))],
      resource: undefined,
      quirks: NO_QUIRKS,
    },
    openid: issuer === undefined ? undefined : { issuer, jwksUri: endpoints?.jwks },
    userinfo: endpoints?.userinfo,
    subject: stepsOf(options.subject ?? preset?.subject ?? 'sub'),
    again: preset?.again ?? (issuer === undefined ? undefined : 'login'),
    allow: {
      emailDomains: allow.emailDomains,
      claims: Object.entries(allow.claims ?? {}).map(([claim, values]) => ({ path: stepsOf(claim), values })),
    },
    tenants: options.tenants,
  };
  return { value };
}

function* providerFaults(options: SignInProviderOptions, preset: SignInPreset | undefined): Generator<Fault> {
  const { issuer, endpoints, directory, scopes, subject } = options;
  if (preset !== undefined) {
    // Another address under a well-known name would get its client secret.
    for (const [place, given] of Object.entries({ '/issuer': issuer, '/endpoints': endpoints }))
      if (given !== undefined) yield { at: place, reason: 'is given by the preset' };
  } else if (issuer === undefined && endpoints === undefined) {
    yield { at: '', reason: 'names no preset, issuer or endpoints' };
  } else if (issuer === undefined && endpoints?.userinfo === undefined) {
    yield { at: '/endpoints/userinfo', reason: 'is missing', hint: 'without an issuer only user info says who somebody is' };
  }
  const wanted = options.preset !== undefined && JSON.stringify(SIGN_IN_PRESETS[options.preset]).includes('{directory}');
  if (wanted && !DIRECTORY.test(directory ?? ''))
    yield { at: '/directory', reason: 'must be the id of one directory, 8-4-4-4-12 hexadecimal digits in lower case' };
  if (!wanted && directory !== undefined) yield { at: '/directory', reason: 'goes with the preset entra' };
  if ((issuer ?? preset?.issuer) !== undefined && scopes?.includes('openid') === false)
    yield { at: '/scopes', reason: 'must name openid', hint: 'without it there is no ID token' };
  if (scopes?.includes('offline_access') === true)
    yield { at: '/scopes', reason: 'must not name offline_access', hint: 'nothing of the provider is kept' };
  if (subject !== undefined && CHANGING.has(stepsOf(subject).at(-1) ?? ''))
    yield {
      at: '/subject',
      reason: 'can be changed, and be of somebody else then',
      hint: 'leave it out: the default never changes',
    };
  for (const path of [subject ?? '', ...Object.keys(options.allow?.claims ?? {})])
    if (path.startsWith('/') && stepsOf(path).includes(''))
      yield { at: path === subject ? '/subject' : '/allow/claims', reason: 'has an empty step' };
  yield* addressFaults({
    '/issuer': issuer,
    '/endpoints/authorization': endpoints?.authorization,
    '/endpoints/token': endpoints?.token,
    '/endpoints/userinfo': endpoints?.userinfo,
    '/endpoints/jwks': endpoints?.jwks,
  });
}

/** With the directory in its addresses. */
function placed(preset: SignInPreset | undefined, given = ''): SignInPreset | undefined {
  const directory = DIRECTORY.test(given) ? given : '';
  return preset === undefined
    ? undefined
    : (JSON.parse(JSON.stringify(preset).replaceAll('{directory}', directory)) as SignInPreset);
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as { readonly [key: string]: unknown })[key] : undefined;
}
