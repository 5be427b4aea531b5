// A server whose tenants let people sign in, and a person with a real browser who goes through its pages for a client.
// Not responsible for what is asserted.
import { createHash } from 'node:crypto';
import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import type { OAuthClientInformationMixed, OAuthClientMetadata, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import type { BrowserContext, Page } from 'playwright-core';
import type { Test } from 'tap';
import { hashPassword } from '../../src/login/passwords.ts';
import { type ForeignIssuer, SIGN_IN_CLIENT } from '../auth/foreign-issuer.ts';
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

const CRM = {
  type: 'oauth2',
  origins: ['https://api.example'],
  clientId: 'leasehold',
  endpoints: { authorization: 'https://login.example/authorize', token: 'https://login.example/token' },
};

export async function scene(t: Test, server: Record<string, unknown> = {}): Promise<ServedEstate> {
  const served = await serve(t, {
    server: { auth: { embedded: true }, ...server },
    tenants: {
      acme: { tenant: { connections: { crm: CRM } }, tools: TOOLS },
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

/** leasehold.json of a server at which people of a foreign issuer sign in, beside those with accounts. */
export function signInAt({ origin }: ForeignIssuer, more: Record<string, unknown> = {}): Record<string, unknown> {
  const company = { title: 'The Company', issuer: origin, clientId: SIGN_IN_CLIENT, clientSecret: { secret: 'sign-in' } };
  return { auth: { embedded: { signIn: { company, ...more } } }, egress: { privateOrigins: [origin] } };
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

/** A browser without a face: cookies by path and redirects of one server, for what needs no rendering. */
export class Person {
  readonly #cookies = new Map<string, { readonly value: string; readonly path: string }>();
  /** Addresses that are not opened but told, as the client's is. */
  readonly stops: readonly string[];
  /** As a proxy says it. */
  address: string | undefined;
  /** Each cookie as it was set. */
  readonly set: string[] = [];

  constructor(...stops: readonly string[]) {
    this.stops = [REDIRECT, ...stops];
  }

  /** Takes over the cookies of an authorization request that was begun in another browser, as a sibling host could have it. */
  plant(other: Person): void {
    for (const [name, cookie] of other.#cookies) if (/^lh-(?:interaction|resume)/.test(name)) this.#cookies.set(name, cookie);
  }

  protected send(url: string, init: RequestInit): Promise<Response> {
    return fetch(url, init);
  }

  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(url);
    const sent = [...this.#cookies].filter(([, { path }]) => pathname.startsWith(path));
    const cookie = sent.map(([name, { value }]) => `${name}=${value}`).join('; ');
    const headers = {
      ...(init.headers as object),
      cookie,
      ...(this.address === undefined ? {} : { 'x-forwarded-for': this.address }),
    };
    const response = await this.send(url, { ...init, redirect: 'manual', headers });
    for (const line of response.headers.getSetCookie()) {
      this.set.push(line);
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.#cookies.set(name, { value, path: /path=([^;]+)/i.exec(line)?.[1] ?? '/' });
    }
    return response;
  }

  /** Follows redirects and "going on" to the next page that asks something, or to the client. */
  async open(url: string): Promise<{ readonly url: string; readonly status: number; readonly text: string }> {
    if (this.stops.some((stop) => url.startsWith(stop))) return { url, status: 0, text: '' };
    const response = await this.fetch(url);
    const to = response.headers.get('location');
    if (to !== null) return this.open(new URL(to, url).href);
    return { url, status: response.status, text: await response.text() };
  }

  async submit(page: { readonly url: string; readonly text: string }, fields: Record<string, string>) {
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const { origin } = new URL(page.url);
    const response = await this.fetch(page.url, {
      method: 'POST',
      headers: { origin },
      body: new URLSearchParams({ csrf, ...fields }),
    });
    const text = await response.text();
    const to = /http-equiv="refresh" content="0; url=([^"]+)"/.exec(text)?.[1];
    return to === undefined ? { url: page.url, status: response.status, text } : this.open(to.replaceAll('&amp;', '&'));
  }

  /** Proves who it is, and gives the address at which the browser would go on. */
  async prove(url: string, name = 'ada'): Promise<string> {
    const page = await this.open(url);
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const body = new URLSearchParams({ csrf, do: 'sign-in', name, password: PASSWORD });
    const proved = await this.fetch(page.url, { method: 'POST', headers: { origin: new URL(page.url).origin }, body });
    return /http-equiv="refresh" content="0; url=([^"]+)"/.exec(await proved.text())?.[1] ?? '';
  }

  async signIn(url: string, name = 'ada', password = PASSWORD) {
    return this.submit(await this.open(url), { do: 'sign-in', name, password });
  }

  /** From an authorization request to the answer of the client. */
  async through(url: string, name = 'ada'): Promise<URLSearchParams> {
    const { url: at } = await this.submit(await this.signIn(url, name), { do: 'allow' });
    return new URL(at).searchParams;
  }
}

const VERIFIER = 'v'.repeat(43);
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');

/** A client that sends what it likes. */
export class WireClient {
  readonly base: string;
  id = '';

  constructor(base: string) {
    this.base = base;
  }

  async register(metadata: object = {}): Promise<{ status: number; json: any }> {
    const body = {
      client_name: 'Wire',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      ...metadata,
    };
    const response = await fetch(`${this.base}/oauth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const json: any = await response.json();
    if (response.status === 201) this.id = json.client_id;
    return { status: response.status, json };
  }

  /** `undefined` leaves a parameter out. */
  url(resource: string, more: Record<string, string | undefined> = {}): string {
    const params = {
      response_type: 'code',
      client_id: this.id,
      redirect_uri: REDIRECT,
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
      state: 's',
      resource,
      ...more,
    };
    const given = Object.entries(params).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return `${this.base}/oauth/authorize?${new URLSearchParams(given).toString()}`;
  }

  async post(path: string, params: Record<string, string>): Promise<{ status: number; json: any }> {
    const body = new URLSearchParams({ client_id: this.id, ...params });
    const response = await fetch(`${this.base}${path}`, { method: 'POST', body });
    const text = await response.text();
    return { status: response.status, json: text === '' ? undefined : JSON.parse(text) };
  }

  redeem(code: string, more: Record<string, string> = {}) {
    return this.post('/oauth/token', {
      grant_type: 'authorization_code',
      code,
      code_verifier: VERIFIER,
      redirect_uri: REDIRECT,
      ...more,
    });
  }

  refresh(token: string, more: Record<string, string> = {}) {
    return this.post('/oauth/token', { grant_type: 'refresh_token', refresh_token: token, ...more });
  }
}
