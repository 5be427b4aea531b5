// The authorization server itself: oidc-provider, told what Leasehold's rules are. Loaded when it is first needed.
// Not responsible for HTTP, pages or accounts. Source: OAuth 2.1, RFC 8707, 9068, 9207, 7591, 7009, Client ID Metadata Documents.
// Invariant: code with PKCE S256 only; a token is for the endpoint of one tenant, with scopes that its membership gives; nothing is issued
// that is not recorded.
import { interactionPolicy, type AccessTokenModel, type ClientModel, type OidcContext, Provider } from 'oidc-provider';
import type { LoginStore } from '../vault/stores.ts';
import { adapterOver } from './adapter.ts';
import { clientFetch } from './client-documents.ts';
import type { Consents } from './consents.ts';
import type { LoginEvents } from './events.ts';
import { ACCESS_S, features } from './features.ts';
import { beforeIssue, beforeRevoking, existingGrant, record } from './grants.ts';
import { cookieKeys, signingKeys } from './signing-keys.ts';
import type { TenantAccess } from './tenant-access.ts';

const MINUTE_S = 60;
const DAY_S = 86_400;
const GRANT_S = 180 * DAY_S;

export interface ErrorPage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ProviderOptions {
  readonly issuer: string;
  /** Where the provider sends a browser that must answer something. */
  readonly interactionUrl: (uid: string) => string;
  readonly login: LoginStore;
  readonly access: TenantAccess;
  readonly consents: Consents;
  readonly events: LoginEvents;
  readonly userExists: (name: string) => boolean;
  /** Guarded: https, or what the operator allowed; no private addresses. */
  readonly fetch: (address: string, request: { method: string; headers: Record<string, string> }) => Promise<Response>;
  readonly errorPage: (error: string) => ErrorPage;
  readonly onFailure: (cause: unknown) => void;
  readonly now: () => number;
}

export interface MadeProvider {
  readonly provider: Provider;
  /** Epoch milliseconds: from then on another one is needed, with a new key. */
  readonly until: number;
}

export function makeProvider(options: ProviderOptions): MadeProvider {
  const { issuer, login, now } = options;
  const { jwks, until } = signingKeys(login, now);
  const secure = issuer.startsWith('https:');
  const cookie = { httpOnly: true, sameSite: 'lax', secure, signed: true } as const;
  const policy = interactionPolicy.base();
  // Whether a person on this machine is asked again is `Consents`' affair.
  policy.get('consent').checks.remove('native_client_prompt');
  const provider = new Provider(issuer, {
    adapter: adapterOver(login, now, {
      onReused: (spent) => record(Provider.ctx, 'login.reused', spent, options),
      tenantOf: (resource) => options.access.tenantOf(resource),
    }),
    jwks: { keys: jwks },
    clientDefaults: { id_token_signed_response_alg: 'ES256', grant_types: ['authorization_code', 'refresh_token'] },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    responseTypes: ['code'],
    scopes: ['offline_access'],
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (_: unknown, client: ClientModel) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    revokeGrantPolicy: (ctx: OidcContext) => beforeRevoking(ctx, options),
    allowOmittingSingleRegisteredRedirectUri: false,
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    // The guard in front has refused origins that the operator does not allow.
    clientBasedCORS: () => true,
    cookies: {
      keys: cookieKeys(login, now),
      names: { session: secure ? '__Host-lh-session' : 'lh-session', interaction: 'lh-interaction', resume: 'lh-resume' },
      long: { ...cookie, path: '/' },
      short: cookie,
    },
    routes: {
      authorization: '/oauth/authorize',
      token: '/oauth/token',
      registration: '/oauth/register',
      revocation: '/oauth/revoke',
      jwks: '/oauth/jwks',
    },
    ttl: {
      AccessToken: ACCESS_S,
      AuthorizationCode: MINUTE_S,
      Grant: GRANT_S,
      Interaction: 15 * MINUTE_S,
      RefreshToken: 30 * DAY_S,
      Session: DAY_S / 2,
    },
    interactions: {
      policy,
      url: (_: unknown, { uid }: { uid: string }) => options.interactionUrl(uid),
    },
    features: features(options),
    findAccount: (_: unknown, name: string) =>
      options.userExists(name) ? { accountId: name, claims: () => ({ sub: name }) } : undefined,
    loadExistingGrant: (ctx: OidcContext) => existingGrant(provider, ctx, options),
    extraTokenClaims: (ctx: OidcContext, token: AccessTokenModel) => beforeIssue(ctx, token, options),
    fetch: clientFetch(options.fetch),
    renderError(ctx: OidcContext, out: { error: string }) {
      const { headers, body } = options.errorPage(out.error);
      ctx.set(headers);
      ctx.body = body;
    },
  });
  provider.proxy = true;
  provider.use(plainMetadata);
  provider.use((ctx, next) => inItsBrowser(ctx, next, provider, options));
  listen(provider, options);
  return { provider, until };
}

function listen(provider: Provider, options: ProviderOptions): void {
  provider.on('registration_create.success', (ctx: OidcContext, { clientId }: ClientModel) =>
    record(ctx, 'login.registered', { clientId }, options),
  );
  provider.on('server_error', (_: OidcContext, cause: unknown) => options.onFailure(cause));
}

/**
 * What was decided at an interaction counts in the browser in which it was decided. The cookies of an interaction have a path and so no
 * `__Host-`: a sibling host could plant its own, have somebody sign in there, and go on as them.
 */
async function inItsBrowser(ctx: OidcContext, next: () => Promise<void>, provider: Provider, { events }: ProviderOptions) {
  const id = ctx.cookies.get(provider.cookieName('resume'));
  const result = id === undefined ? undefined : (await provider.Interaction.find(id))?.result;
  if (result !== undefined && result['browser'] !== events.factsOf(ctx.req).browser) delete ctx.req.headers.cookie;
  await next();
}

/** RFC 8414 only: there are no ID tokens and no user info here. */
async function plainMetadata(ctx: OidcContext, next: () => Promise<void>): Promise<void> {
  await next();
  const { body } = ctx;
  if (typeof body !== 'object' || body === null || !('authorization_endpoint' in body)) return;
  const metadata: Record<string, unknown> = { ...body, response_modes_supported: ['query'] };
  for (const name of [
    'claims_parameter_supported',
    'claims_supported',
    'id_token_signing_alg_values_supported',
    'subject_types_supported',
    'scopes_supported',
    'request_uri_parameter_supported',
  ])
    delete metadata[name];
  ctx.body = metadata;
}
