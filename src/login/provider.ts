// The authorization server itself: oidc-provider, told what Leasehold's rules are. Loaded when it is first needed.
// Not responsible for HTTP, pages or accounts. Source: OAuth 2.1, RFC 8707, 9068, 9207, 7591, 7009, Client ID Metadata Documents.
// Invariant: code with PKCE S256 only; a token is for the endpoint of one tenant, with scopes that its membership gives; nothing is issued
// that is not recorded.
import { errors, interactionPolicy, type AccessTokenModel, type ClientModel, type OidcContext, Provider } from 'oidc-provider';
import { canonicalCase } from '../auth/resource.ts';
import type { LoginStore } from '../vault/stores.ts';
import { adapterOver, type Payload, USED_CLIENT_MS } from './adapter.ts';
import { adapt, admitRegistration, redirectProblem } from './client-rules.ts';
import type { Consents } from './consents.ts';
import type { LoginEvents } from './events.ts';
import { cookieKeys, signingKeys } from './signing-keys.ts';
import type { TenantAccess } from './tenant-access.ts';

const MINUTE_S = 60;
const DAY_S = 86_400;
/** Longest life of an access token. */
const ACCESS_S = 10 * MINUTE_S;
const GRANT_S = 180 * DAY_S;
const DOCUMENT_BYTES = 5 * 1024;

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
    adapter: adapterOver(login, now, (spent) => record(Provider.ctx, 'login.reused', spent, options)),
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
    fetch: guardedFetch(options),
    renderError(ctx: OidcContext, out: { error: string }) {
      const { headers, body } = options.errorPage(out.error);
      ctx.set(headers);
      ctx.body = body;
    },
  });
  provider.proxy = true;
  provider.use(plainMetadata);
  listen(provider, options);
  return { provider, until };
}

function features({ access }: ProviderOptions): Record<string, unknown> {
  return {
    devInteractions: { enabled: false },
    userinfo: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    dPoP: { enabled: false },
    pushedAuthorizationRequests: { enabled: false },
    revocation: {
      enabled: true,
      allowedPolicy: (_: unknown, client: ClientModel, token: { clientId?: string }) => token.clientId === client.clientId,
    },
    registration: {
      enabled: true,
      issueRegistrationAccessToken: false,
      idFactory(ctx: OidcContext) {
        admitRegistration(ctx.oidc.body);
        return crypto.randomUUID();
      },
    },
    clientIdMetadataDocument: {
      enabled: true,
      ack: 'draft-02',
      allowClient: (_: unknown, client: ClientModel) => redirectProblem(client.redirectUris) === undefined,
      cacheDuration: { min: 60, max: 3600 },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource(_: unknown, __: unknown, oneOf?: readonly string[]) {
        const [only] = oneOf ?? [];
        if (only === undefined || oneOf?.length !== 1) throw new errors.InvalidTarget('exactly one resource must be asked for');
        return only;
      },
      useGrantedResource: () => true,
      getResourceServerInfo(ctx: OidcContext, resource: string) {
        const tenant = Array.isArray(ctx.oidc.params?.['resource']) ? undefined : access.tenantOf(resource);
        if (tenant === undefined) throw new errors.InvalidTarget();
        const info = {
          audience: canonicalCase(resource),
          accessTokenTTL: ACCESS_S,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        };
        if (ctx.oidc.route !== 'token') return { ...info, scope: access.scopesOf(tenant).join(' ') };
        // What was allowed when the person was asked may have been taken back since.
        const { accountId = '' } = ctx.oidc.account ?? {};
        const member = access.memberOf(tenant, accountId);
        if (member === undefined) throw new errors.InvalidGrant('the account is no member any more');
        return { ...info, scope: access.allowed(member, access.scopesOf(tenant)).join(' ') };
      },
    },
  };
}

/** Each authorization has a grant of its own, so that ending one (a token that was used twice) ends no other. */
async function existingGrant(provider: Provider, ctx: OidcContext, { access, consents }: ProviderOptions) {
  const { client, account, params, result } = ctx.oidc;
  const decided = result?.consent?.grantId;
  if (decided !== undefined) return provider.Grant.find(decided);
  const { resource, redirect_uri: redirectUri, scope } = params ?? {};
  const tenant = access.tenantOf(resource);
  if (
    client === undefined ||
    account === undefined ||
    tenant === undefined ||
    typeof redirectUri !== 'string' ||
    typeof resource !== 'string'
  )
    return undefined;
  const member = access.memberOf(tenant, account.accountId);
  if (member === undefined) return undefined;
  const asked = typeof scope === 'string' ? scope.split(' ') : [];
  const allowed = access.allowed(member, asked);
  const key = { account: account.accountId, client: client.clientId, tenant, redirectUri };
  if (!consents.covers(key, allowed)) return undefined;
  const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  if (asked.includes('offline_access')) grant.addOIDCScope('offline_access');
  grant.addResourceScope(resource, allowed.join(' '));
  grant.rejectResourceScope(resource, asked.filter((one) => !allowed.includes(one)).join(' '));
  await grant.save();
  return grant;
}

/** Called with what will be signed; what it throws keeps the token from being made. */
async function beforeIssue(ctx: OidcContext, token: AccessTokenModel, { access, events, login, now }: ProviderOptions) {
  const { accountId, clientId, grantId, resourceServer, scope = '', jti } = token;
  const tenant = access.tenantOf(resourceServer?.audience);
  if (tenant === undefined || accountId === undefined || clientId === undefined || grantId === undefined)
    throw new errors.InvalidTarget();
  await events.append(ctx.req, {
    kind: ctx.oidc.params?.['grant_type'] === 'refresh_token' ? 'login.refreshed' : 'login.issued',
    tenant,
    subject: accountId,
    client: clientId,
    credential: jti,
    scopes: scope.split(' '),
  });
  login.extend('Client', clientId, now() + USED_CLIENT_MS);
  return { grant: grantId };
}

/** Before a grant is ended: it is ended also where that cannot be recorded. */
function beforeRevoking(ctx: OidcContext, options: ProviderOptions): boolean {
  const { login, now } = options;
  const { RefreshToken: refresh } = ctx.oidc.entities;
  const code = ctx.oidc.params?.['code'];
  const spent = typeof code === 'string' ? login.find('AuthorizationCode', code, now())?.value : undefined;
  const { accountId, clientId, resource } = refresh ?? spent ?? {};
  const kind = ctx.oidc.route === 'revocation' ? 'login.revoked' : 'login.reused';
  record(ctx, kind, { accountId, clientId, resource }, options);
  return true;
}

type EndKind = 'login.registered' | 'login.reused' | 'login.revoked';
function record(ctx: OidcContext, kind: EndKind, about: Payload, { access, events, onFailure }: ProviderOptions): void {
  const { accountId, clientId, resource } = about;
  const client = ctx.oidc.client?.clientId ?? clientId;
  const event = {
    kind,
    tenant: access.tenantOf(resource),
    ...(typeof accountId === 'string' ? { subject: accountId } : {}),
    ...(typeof client === 'string' ? { client } : {}),
  };
  events.append(ctx.req, event).catch(onFailure);
}

function listen(provider: Provider, options: ProviderOptions): void {
  provider.on('registration_create.success', (ctx: OidcContext, { clientId }: ClientModel) =>
    record(ctx, 'login.registered', { clientId }, options),
  );
  provider.on('server_error', (_: OidcContext, cause: unknown) => options.onFailure(cause));
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

/** Client metadata and keys of clients. Redirects are not followed; what comes back is small. */
function guardedFetch({ fetch }: ProviderOptions) {
  return async (address: string | URL, { method = 'GET' }: { method?: string } = {}): Promise<Response> => {
    const response = await fetch(String(address), { method, headers: { accept: 'application/json' } });
    const text = await response.text();
    if (Buffer.byteLength(text) > DOCUMENT_BYTES) throw new Error('the document is too large');
    return new Response(adapted(text), { status: response.status, headers: response.headers });
  };
}

function adapted(text: string): string {
  const document: unknown = JSON.parse(text);
  if (typeof document === 'object' && document !== null && 'client_id' in document) adapt(document as Record<string, unknown>);
  return JSON.stringify(document);
}
