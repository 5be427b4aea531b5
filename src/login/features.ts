// What of oidc-provider is on, and for what a token is: the endpoint of one tenant, with what its membership gives (RFC 8707).
// Not responsible for grants (`grants`) or for clients (`client-rules`). Invariant: whatever is not named here is off; a resource that is
// not ours, or more than one, is refused.
import { type ClientModel, errors, type OidcContext } from 'oidc-provider';
import { canonicalCase } from '../auth/resource.ts';
import { admitRegistration, redirectProblem } from './client-rules.ts';
import type { ProviderOptions } from './provider.ts';
import { isOlder } from './tenant-access.ts';

/** Longest life of an access token. */
export const ACCESS_S = 600;

export function features({ access }: Pick<ProviderOptions, 'access'>): Record<string, unknown> {
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
        if (isOlder(ctx.oidc.entities.Grant?.iat, member)) throw new errors.InvalidGrant('it is older than the membership');
        return { ...info, scope: access.allowed(member, access.scopesOf(tenant)).join(' ') };
      },
    },
  };
}
