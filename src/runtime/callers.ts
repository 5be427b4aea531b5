// Who calls: everything that turns a credential into a principal, and the authorization server of our own, put together.
// Not responsible for any rule of it (`auth`, `login`). Invariant: whatever it fetches goes through one guarded client.
import type { AuditLog } from '../audit/record.ts';
import type { createLog } from '../audit/operational-log.ts';
import { createInboundAuth, type InboundAuth } from '../auth/inbound-auth.ts';
import { Resources } from '../auth/resource.ts';
import type { CompiledServer } from '../config/compiled.ts';
import { SIGN_IN_CALLBACK } from '../config/sign-in-presets.ts';
import { Authorization } from '../connections/connect/authorization.ts';
import { AuthorizationServers } from '../connections/oauth/authorization-servers.ts';
import { GuardedFetch, type GuardedRequest } from '../connections/oauth/guarded-fetch.ts';
import { LoginServer } from '../login/login-server.ts';
import { ownTokens } from '../login/own-tokens.ts';
import { Subjects } from '../login/subjects.ts';
import { TenantAccess } from '../login/tenant-access.ts';
import { UpstreamSignIn } from '../login/upstream/upstream-sign-in.ts';
import { protocolErrorPage } from '../server/pages/login/views.ts';
import { documentOf, PAGE_HEADERS } from '../server/pages/page.ts';
import { claimedTenant } from '../tenants/claimed-tenant.ts';
import type { Registry } from '../tenants/registry.ts';
import { neededScopes } from '../tenants/toolset/needed-scopes.ts';
import type { Vault } from '../vault/vault.ts';
import type { Opened } from './opened.ts';

export interface CallersPorts {
  readonly server: CompiledServer;
  readonly vault: Vault;
  readonly audit: AuditLog;
  readonly log: ReturnType<typeof createLog>;
  readonly registry: Registry;
  /** Base of all endpoints; known once the server listens. */
  readonly url: () => string;
}

export interface Callers {
  readonly inbound: InboundAuth;
  readonly login: LoginServer;
}

/** For one request to an issuer of access tokens: callers wait for it. */
const ISSUER_MS = 5000;
/** For one request to a provider while somebody signs in. */
const SIGN_IN_MS = 10_000;

export function buildCallers({ server, vault, audit, log, registry, url }: CallersPorts, opened: Opened): Callers {
  const { privateOrigins, net } = server;
  const { secrets } = vault;
  const now = Date.now;
  const client = opened.use(new GuardedFetch({ privateOrigins, net, timeoutMs: ISSUER_MS }));
  const documents = new AuthorizationServers(client, now);
  /** Issuers, providers and clients' metadata. */
  const asked = {
    fetch: (address: string, request: GuardedRequest) => client.fetch(address, request),
    metadata: (issuer: string) => documents.of({ issuer, endpoints: undefined }),
  };
  const subjects = new Subjects({ signIn: server.signIn, users: vault.users, login: vault.login, now });
  const access = new TenantAccess({
    subjects,
    resources: () => new Resources(url(), server.routing),
    authOf: (tenant) => registry.get(tenant)?.config.auth ?? server.auth,
    scopesOf: (tenant) => neededScopes(registry.get(tenant)?.toolset),
    memberships: vault.memberships,
  });
  const upstream = new UpstreamSignIn({
    ...asked,
    authorization: opened.use(
      new Authorization({ privateOrigins, net, now, timeoutMs: SIGN_IN_MS, redirectUri: () => url() + SIGN_IN_CALLBACK }),
    ),
    providers: server.signIn.providers,
    secrets,
    login: vault.login,
    onFailure: (issuer, reason) => log.warn({ issuer, reason }, 'a provider that people sign in with cannot be asked'),
    now,
  });
  const login = new LoginServer({
    subjects,
    upstream,
    issuer: url,
    wanted: () => server.auth.embedded || registry.list().some(({ config }) => config.auth.embedded),
    login: vault.login,
    users: vault.users,
    access,
    audit,
    fetch: asked.fetch,
    errorPage: (error) => ({ headers: PAGE_HEADERS, body: documentOf(protocolErrorPage(error)) }),
    onFailure: (err) => log.warn({ err }, 'the embedded authorization server failed'),
    now,
  });
  const inbound = createInboundAuth({
    ...asked,
    server,
    configOf: (tenant) => registry.get(tenant)?.config,
    baseUrl: url,
    tokens: vault.tokens,
    secrets,
    tenantOfClaim: (value) => claimedTenant(registry, value),
    onFailure: (issuer, reason) => log.warn({ issuer, reason }, 'an issuer of access tokens cannot be asked'),
    sources: [ownTokens({ issuer: url, login: vault.login, access, now })],
  });
  return { inbound, login };
}
