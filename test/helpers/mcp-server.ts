// A real HTTP server of the product over the tests' backend, with two tenants and known tokens.
// Not responsible for real tokens (auth has its own tests). Invariant: listens on a free port of 127.0.0.1 and ends with the test.
import type { Test } from 'tap';
import { createDiscovery } from '../../src/auth/discovery.ts';
import type { Principal } from '../../src/auth/principal.ts';
import { Resources } from '../../src/auth/resource.ts';
import type { Verdict } from '../../src/auth/verdict.ts';
import { DEFAULT_AUTH } from '../../src/config/compile-auth.ts';
import { createHttpServer } from '../../src/server/http-server.ts';
import type { DeniedRequest, HttpServer, HttpServerOptions } from '../../src/server/ports.ts';
import { TestBackend } from './mcp-backend.ts';

export const TOKENS = {
  acme: 'token-acme-ada',
  acmeBob: 'token-acme-bob',
  globex: 'token-globex-eve',
  revoked: 'token-acme-old',
} as const;

const PRINCIPALS = new Map<string, Principal>(
  [
    [TOKENS.acme, 'acme', 'ada'],
    [TOKENS.acmeBob, 'acme', 'bob'],
    [TOKENS.globex, 'globex', 'eve'],
  ].map(([token, tenant, subject]) => [
    `Bearer ${token}`,
    { tenant, subject, issuer: 'leasehold', scopes: new Set(['*']), credentialId: `id-${subject}` } as Principal,
  ]),
);

function authenticate(authorization: string | undefined, tenant: string): Verdict {
  if (authorization === undefined) return { code: 'unauthenticated', reason: 'no credential' };
  if (authorization === 'Bearer explode') throw new Error('a secret of the store');
  const principal = PRINCIPALS.get(authorization);
  if (principal?.tenant !== tenant) {
    return { code: 'token_invalid', reason: 'unknown token' };
  }
  return principal;
}

export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly server: HttpServer;
  readonly backend: TestBackend;
  readonly denied: DeniedRequest[];
  endpoint(tenant?: string): string;
}

export const CONFIG: HttpServerOptions['config'] = {
  listen: { host: '127.0.0.1', port: 0 },
  publicUrl: undefined,
  allowedHosts: [],
  allowedOrigins: [],
  trustedProxies: [],
  bodyBytes: 2_097_152,
  estate: '/srv/estate',
  rates: { addressPerSecond: 0, refusalsPerMinute: 0 },
  routing: { path: true, host: undefined, header: undefined, claim: false },
};

/** Of a server whose tenants have minted tokens only. */
export const DISCOVERY = createDiscovery({
  sources: [],
  resources: () => new Resources('http://127.0.0.1', CONFIG.routing),
  tenantOf: (id) => ({ id, auth: DEFAULT_AUTH, resources: [], sharedResource: undefined, isForeignResource: () => false }),
});

export async function startServer(t: Test, options: Partial<HttpServerOptions> = {}): Promise<TestServer> {
  const backend = new TestBackend();
  const denied: DeniedRequest[] = [];
  const server = createHttpServer({
    config: CONFIG,
    version: '0.0.0-test',
    backend,
    authenticate,
    tenantExists: (tenant) => tenant === 'acme' || tenant === 'globex',
    subjectRate: () => 0,
    tenantHint: () => undefined,
    discovery: DISCOVERY,
    auditDenied: (event) => {
      denied.push(event);
      return Promise.resolve();
    },
    health: () => ({ ready: true, detail: {} }),
    ...options,
  });
  const { url, port } = await server.listen();
  t.teardown(() => server.close(100));
  return { url, port, server, backend, denied, endpoint: (tenant = 'acme') => `${url}/t/${tenant}/mcp` };
}
