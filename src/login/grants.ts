// What an authorization comes to: the grant behind it, and what is on record before a token is made or a grant is ended.
// Not responsible for asking people (`login-server`) or for storing (`adapter`). Invariant: a grant gives what the membership and the
// remembered consent give, never more; no record, no token; what must end, ends also where that cannot be recorded.
import { type AccessTokenModel, errors, type OidcContext, type Provider } from 'oidc-provider';
import type { Payload } from './adapter.ts';
import { USED_CLIENT_MS } from './permissions.ts';
import type { ProviderOptions } from './provider.ts';

/** Each authorization has a grant of its own, so that ending one (a token that was used twice) ends no other. */
export async function existingGrant(provider: Provider, ctx: OidcContext, { access, consents }: ProviderOptions) {
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
export async function beforeIssue(ctx: OidcContext, token: AccessTokenModel, { access, events, login, now }: ProviderOptions) {
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
export function beforeRevoking(ctx: OidcContext, options: ProviderOptions): boolean {
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
export function record(ctx: OidcContext, kind: EndKind, about: Payload, { access, events, onFailure }: ProviderOptions): void {
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
