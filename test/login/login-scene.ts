// A server whose tenants let people sign in, and a person with a real browser who goes through its pages for a client.
// Not responsible for what is asserted.
import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import type { OAuthClientInformationMixed, OAuthClientMetadata, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import type { BrowserContext, Page } from 'playwright-core';
import type { Test } from 'tap';
import { hashPassword } from '../../src/login/passwords.ts';
import { toolset } from '../helpers/estate.ts';
import { serve, type ServedEstate } from '../helpers/runtime.ts';

export const PASSWORD = 'canary-correct-horse';
/** Where codes go to: nobody listens there, so the browser's address is what is read. */
export const REDIRECT = 'http://127.0.0.1:9/callback';

const TOOLS = {
  't.ts': toolset(`
  whoami: defineTool({ description: 'who', handler: (_a, ctx) => [ctx.tenant, ctx.subject, [...ctx.scopes].toSorted().join('+')].join(' ') }),
  read: defineTool({ description: 'r', scopes: ['issues:read'], handler: () => 'read' }),
  write: defineTool({ description: 'w', scopes: ['issues:write'], handler: () => 'written' }),
`),
};

export async function scene(t: Test, server: Record<string, unknown> = {}): Promise<ServedEstate> {
  const served = await serve(t, {
    server: { auth: { embedded: true }, ...server },
    tenants: {
      acme: { tools: TOOLS },
      globex: { tools: TOOLS },
      closed: { tenant: { auth: { embedded: false } }, tools: TOOLS },
    },
  });
  const now = Date.now();
  for (const name of ['ada', 'eve']) served.vault.users.add(name, await hashPassword(PASSWORD), now);
  served.vault.memberships.grant('acme', 'ada', [], now);
  served.vault.memberships.grant('globex', 'eve', [], now);
  return served;
}

/** What an MCP client keeps, in memory; the address to open is left for the person. */
export class ClientMemory implements OAuthClientProvider {
  readonly clientMetadata: OAuthClientMetadata;
  readonly redirectUrl = REDIRECT;
  opened: URL | undefined;
  information: OAuthClientInformationMixed | undefined;
  kept: OAuthTokens | undefined;
  verifier = '';

  constructor(name = 'Test Client', more: Partial<OAuthClientMetadata> = {}) {
    this.clientMetadata = {
      client_name: name,
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      ...more,
    };
  }

  clientInformation() {
    return this.information;
  }
  saveClientInformation(information: OAuthClientInformationMixed) {
    this.information = information;
  }
  tokens() {
    return this.kept;
  }
  saveTokens(tokens: OAuthTokens) {
    this.kept = tokens;
  }
  redirectToAuthorization(url: URL) {
    this.opened = url;
  }
  saveCodeVerifier(verifier: string) {
    this.verifier = verifier;
  }
  codeVerifier() {
    return this.verifier;
  }
}

/** Opens an address, and gives the page and a promise of the address at which the client is answered. */
export async function visit(context: BrowserContext, url: string | URL): Promise<{ page: Page; answered: Promise<URL> }> {
  const page = await context.newPage();
  const answered = new Promise<URL>((resolve) => {
    page.on('request', (request) => {
      if (request.url().startsWith('http://127.0.0.1:9/')) resolve(new URL(request.url()));
    });
  });
  await page.goto(String(url)).catch(() => undefined);
  return { page, answered };
}

export async function signIn(page: Page, name = 'ada', password = PASSWORD): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}
