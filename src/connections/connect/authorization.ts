// The OAuth part of a flow: where to send the browser, and what to make of its answer.
// Not responsible for who may go on (`connect-flow`), for pages, or for storing grants.
// Invariant: PKCE S256 and a state in every request; the answer counts only if it names the server that was asked (RFC 9207);
// an address goes to a browser or is asked only if it is https, or private by the operator's word. Failures are values.
import { randomBytes } from 'node:crypto';
import {
  type AuthorizationServer,
  AuthorizationResponseError,
  type Client,
  processAuthorizationCodeResponse,
  validateAuthResponse,
} from 'oauth4webapi';
import type { CompiledOAuth } from '../../config/compiled.ts';
import type { ConnectSettings } from '../../shared/net/connect.ts';
import { connectSettings, type NetSettings, resolveBy } from '../../shared/net/net-settings.ts';
import type { Resolve } from '../../shared/net/resolve.ts';
import { AuthorizationServers } from '../oauth/authorization-servers.ts';
import { GuardedFetch, REQUEST_MS } from '../oauth/guarded-fetch.ts';
import { readAnswer, type Tokens, tokensOf } from '../oauth/token-answer.ts';
import { accountName } from './account-name.ts';
import { type CodeClient, createCodeClient } from './code-client.ts';
import { mayAsk } from './guarded-agent.ts';

const CLIENTS = 64;
const STATE_BYTES = 32;
/** Error codes of RFC 6749 4.1.2.1 and OpenID Connect look like this; anything else is not repeated. */
const CODE = /^[a-z0-9_.-]{1,64}$/i;

/** An application, with its secret, and what is to be asked for. */
export interface Application {
  readonly oauth: CompiledOAuth;
  readonly secret: { readonly value: string; readonly version: string } | undefined;
  readonly scopes: readonly string[];
}
/** `reason`: a code or words of ours, for the audit. */
export interface Refused {
  readonly ok: false;
  readonly reason: string;
  /** The person said no at the service. */
  readonly denied?: true;
}
export type Begun = { readonly ok: true; readonly url: string; readonly state: string; readonly verifier: string } | Refused;
export type Exchanged =
  | {
      readonly ok: true;
      readonly tokens: Tokens;
      /** As a person knows it, where the server told it. */
      readonly account: string | undefined;
      /** Not verified (OpenID Connect). */
      readonly idToken: string | undefined;
    }
  | Refused;

export interface AuthorizationPorts {
  readonly privateOrigins: readonly string[];
  readonly net?: NetSettings;
  /** The one redirect URI of this server. */
  readonly redirectUri: () => string;
  readonly resolve?: Resolve;
  /** For each request to the server. @default 15000 */
  readonly timeoutMs?: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

export class Authorization {
  readonly #ports: AuthorizationPorts;
  readonly #resolve: Resolve;
  readonly #connect: ConnectSettings;
  readonly #guarded: GuardedFetch;
  readonly #servers: AuthorizationServers;
  readonly #clients = new Map<string, Promise<CodeClient>>();

  constructor(ports: AuthorizationPorts) {
    this.#ports = ports;
    this.#resolve = ports.resolve ?? resolveBy(ports.net);
    this.#connect = connectSettings(ports.net);
    const { privateOrigins, net, timeoutMs = REQUEST_MS } = ports;
    this.#guarded = new GuardedFetch({ privateOrigins, net, resolve: this.#resolve, timeoutMs });
    this.#servers = new AuthorizationServers(this.#guarded, ports.now);
  }

  /**
   * Never rejects.
   * @param more parameters of this one request; none that stands in it already
   */
  async begin(application: Application, more: Readonly<Record<string, string>> = {}): Promise<Begun> {
    try {
      const server = await this.#servers.of(application.oauth);
      const unfit = this.#unfit(server, application.oauth);
      if (unfit !== undefined) return refused(unfit);
      const client = await this.#client(application, server);
      const state = randomBytes(STATE_BYTES).toString('base64url');
      return { ok: true, state, ...(await client.authorize(state, more)) };
    } catch (cause) {
      return refused(reasonOf(cause));
    }
  }

  /** @param answer the query that the browser came back with. Never rejects. */
  async finish(
    application: Application,
    answer: URLSearchParams,
    expected: { readonly state: string; readonly verifier: string },
  ): Promise<Exchanged> {
    const { oauth } = application;
    const client: Client = { client_id: oauth.clientId };
    try {
      const server = await this.#servers.of(oauth);
      const unfit = this.#unfit(server, oauth);
      if (unfit !== undefined) return refused(unfit);
      // RFC 6749, section 3.1: none may stand twice.
      if ([...answer.keys()].some((name) => answer.getAll(name).length > 1)) return refused('the answer has a parameter twice');
      const from = fromServer(server, oauth, client, answer);
      const mixedUp = issuerProblem(from[0], answer);
      if (mixedUp !== undefined) return refused(mixedUp);
      const params = validateAuthResponse(...from, expected.state);
      const code = params.get('code');
      if (code === null || code === '') return refused('the answer has no code');
      const exchanging = await this.#client(application, server);
      const raw = await exchanging.exchange({ code, state: expected.state }, expected);
      const response = new Response(JSON.stringify(raw.body), {
        status: raw.status,
        headers: { 'content-type': 'application/json' },
      });
      const read = await readAnswer(response, oauth.quirks, this.#ports.now());
      if (!(read instanceof Response)) return refused(`token request: ${read.reason}`);
      const tokens = tokensOf(await processAuthorizationCodeResponse(server, client, read));
      return { ok: true, tokens, account: accountName(raw.body), idToken: idTokenOf(raw.body) };
    } catch (cause) {
      if (cause instanceof AuthorizationResponseError) {
        const code = CODE.test(cause.error) ? cause.error : 'error';
        return { ...refused(`the service answered ${code}`), ...(code === 'access_denied' ? { denied: true } : {}) };
      }
      return refused(reasonOf(cause));
    }
  }

  async close(): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.allSettled([this.#guarded.close(), ...clients.map(async (client) => (await client).close())]);
  }

  /** Why this server is not asked. */
  #unfit(server: AuthorizationServer, { endpoints }: CompiledOAuth): string | undefined {
    const { authorization_endpoint: authorization, token_endpoint: token } = server;
    for (const endpoint of [authorization, token]) {
      const url = endpoint === undefined ? null : URL.parse(endpoint);
      if (url === null) return 'the authorization server has no endpoint for it';
      if (!mayAsk(url, this.#isPrivate(url)))
        return 'an endpoint of the authorization server is at an address that is not allowed';
    }
    // Only metadata can say so; endpoints from the configuration come with the operator's word.
    const silent = endpoints === undefined && server.code_challenge_methods_supported?.includes('S256') !== true;
    return silent ? 'the authorization server does not offer PKCE with S256' : undefined;
  }

  #isPrivate({ origin }: URL): boolean {
    return this.#ports.privateOrigins.includes(origin);
  }

  /** Kept by all that it is made of, the version of its secret included. */
  async #client({ oauth, secret, scopes }: Application, server: AuthorizationServer): Promise<CodeClient> {
    const redirectUri = this.#ports.redirectUri();
    const { authorization_endpoint, token_endpoint } = server;
    const key = JSON.stringify([oauth, secret?.version, scopes, authorization_endpoint, token_endpoint, redirectUri]);
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const allowPrivate = this.#isPrivate(new URL(token_endpoint ?? ''));
    const connect = { ...this.#connect, resolve: this.#resolve, allowPrivate };
    const { timeoutMs = REQUEST_MS } = this.#ports;
    const made = createCodeClient({ oauth, secret: secret?.value, server, scopes, redirectUri, connect, timeoutMs });
    this.#clients.set(key, made);
    made.catch(() => this.#clients.delete(key));
    const oldest = this.#clients.entries().next();
    if (this.#clients.size > CLIENTS && !oldest.done) {
      const [oldKey, client] = oldest.value;
      this.#clients.delete(oldKey);
      // One that is in use at this moment finishes: it holds no socket of its own.
      void client.then((unused) => unused.close()).catch(() => undefined);
    }
    return made;
  }
}

/**
 * RFC 9207: `iss` must name the server. Where the configuration has endpoints and no issuer, it must at least be of the origin of
 * the authorization endpoint; what oauth4webapi then compares with is what was checked here.
 */
function fromServer(
  server: AuthorizationServer,
  oauth: CompiledOAuth,
  client: Client,
  answer: URLSearchParams,
): [AuthorizationServer, Client, URLSearchParams] {
  const iss = answer.get('iss');
  if (oauth.issuer !== undefined || iss === null) return [server, client, answer];
  const origin = URL.parse(server.authorization_endpoint ?? '')?.origin;
  return [URL.parse(iss)?.origin === origin ? { ...server, issuer: iss } : server, client, answer];
}

/** What `validateAuthResponse` would refuse, too, in words for the audit. */
function issuerProblem(server: AuthorizationServer, answer: URLSearchParams): string | undefined {
  const iss = answer.get('iss');
  if (iss !== null) return iss === server.issuer ? undefined : 'the answer names another issuer (iss)';
  const must = server.authorization_response_iss_parameter_supported === true;
  return must ? 'the answer names no issuer (iss)' : undefined;
}

function idTokenOf(answer: unknown): string | undefined {
  const token = typeof answer === 'object' && answer !== null && 'id_token' in answer ? answer.id_token : undefined;
  return typeof token === 'string' ? token : undefined;
}

function refused(reason: string): Refused {
  return { ok: false, reason };
}

/** Codes and words of ours only: texts of libraries may quote an answer. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'it failed';
  if (cause.name === 'NoAnswer') return cause.message;
  const code = 'code' in cause && typeof cause.code === 'string' && CODE.test(cause.code) ? cause.code : cause.name;
  return `it failed (${code.slice(0, 64)})`;
}
