// The authorization code grant with PKCE through @fastify/oauth2: one instance of Fastify per application and set of scopes,
// which never listens and never sees a request of ours.
// Not responsible for discovery, for checking the answer of the authorization endpoint, or for reading tokens (`authorization`).
// Invariant: state and verifier stay on the server: what the plugin would put into cookies is taken from it and handed back;
// the token request is guarded, bounded in time and size, and follows no redirect.
import { timingSafeEqual } from 'node:crypto';
import type { OAuth2Namespace } from '@fastify/oauth2';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AuthorizationServer } from 'oauth4webapi';
import type { CompiledOAuth } from '../../config/compiled.ts';
import type { ConnectOptions } from '../../shared/net/connect.ts';
import { NoAnswer } from '../oauth/guarded-fetch.ts';
import { guardedAgent } from './guarded-agent.ts';

const BODY_BYTES = 262_144;
const STATE = 'state';
const VERIFIER = 'verifier';

export interface CodeClientOptions {
  readonly oauth: CompiledOAuth;
  readonly secret: string | undefined;
  readonly server: AuthorizationServer;
  readonly scopes: readonly string[];
  readonly redirectUri: string;
  /** How the token endpoint is reached, which was checked (`mayAsk`). */
  readonly connect: ConnectOptions;
  /** For the token request, milliseconds. */
  readonly timeoutMs: number;
}

/** The raw answer of the token endpoint. */
export interface RawTokens {
  readonly status: number;
  readonly body: unknown;
}

export interface CodeClient {
  /**
   * @param state of our making
   * @param more parameters of this one request
   */
  authorize(state: string, more: Readonly<Record<string, string>>): Promise<{ readonly url: string; readonly verifier: string }>;
  /** Rejects with an error whose text must not be shown: it may quote the answer. */
  exchange(answer: { code: string; state: string }, expected: { state: string; verifier: string }): Promise<RawTokens>;
  close(): Promise<void>;
}

/** What the plugin asks of a request: nothing of a browser's. */
interface Standin {
  readonly query: { readonly code?: string; readonly state?: string };
  readonly cookies: { readonly [name: string]: string };
}

export async function createCodeClient(options: CodeClientOptions): Promise<CodeClient> {
  const { plugin } = await loadPlugin();
  const { oauth, secret, server, scopes, redirectUri, connect, timeoutMs } = options;
  const authorization = new URL(required(server.authorization_endpoint));
  const token = new URL(required(server.token_endpoint));
  const resource = oauth.resource === undefined ? {} : { resource: oauth.resource };
  const app: FastifyInstance & { service?: OAuth2Namespace } = fastify({ logger: false });
  void app.register(plugin, {
    name: 'service',
    credentials: {
      client: { id: oauth.clientId, secret: secret ?? '' },
      auth: {
        tokenHost: token.origin,
        tokenPath: `${token.pathname}${token.search}`,
        authorizeHost: authorization.origin,
        authorizePath: authorization.pathname,
      },
      options: { authorizationMethod: oauth.clientAuth === 'client_secret_basic' && secret !== undefined ? 'header' : 'body' },
      http: { agent: guardedAgent(token, connect), timeout: timeoutMs / 2, maxBytes: BODY_BYTES },
    },
    ...(scopes.length === 0 ? {} : { scope: [...scopes] }),
    callbackUri: redirectUri,
    // Ours last: a quirk cannot take the place of a parameter that protects.
    callbackUriParams: {
      ...Object.fromEntries(authorization.searchParams),
      // OpenID Connect Core, section 11: without it the scope is ignored.
      ...(scopes.includes('offline_access') ? { prompt: 'consent' } : {}),
      ...oauth.quirks.authorizationParameters,
      ...resource,
    },
    tokenRequestParams: resource,
    pkce: 'S256',
    userAgent: 'leasehold',
    redirectStateCookieName: STATE,
    verifierCookieName: VERIFIER,
    generateStateFunction: (request) => standinOf(request).cookies[STATE] as string,
    checkStateFunction: (request) => {
      const { cookies, query } = standinOf(request);
      return same(query.state ?? '', cookies[STATE] ?? '');
    },
  });
  await app.ready();
  const { service } = app;
  if (service === undefined) throw new Error('the plugin did not start');

  return {
    async authorize(state, more) {
      const set = new Map<string, string>();
      const reply = { setCookie: (name: string, value: string) => set.set(name, value) } as unknown as FastifyReply;
      const made = await service.generateAuthorizationUri(requestOf({ query: {}, cookies: { [STATE]: state } }), reply);
      const url = new URL(made);
      for (const [name, value] of Object.entries(more)) if (!url.searchParams.has(name)) url.searchParams.set(name, value);
      return { url: url.href, verifier: required(set.get(VERIFIER)) };
    },
    async exchange(query, { state, verifier }) {
      try {
        const { token: body } = await service.getAccessTokenFromAuthorizationCodeFlow(
          requestOf({ query, cookies: { [STATE]: state, [VERIFIER]: verifier } }),
        );
        return { status: 200, body };
      } catch (cause) {
        const refused = refusalOf(cause);
        if (refused === undefined) throw told(cause);
        return refused;
      }
    },
    close: () => app.close(),
  };
}

/**
 * On first use: it is large, and most servers that start have nobody to connect. Its `debug` output holds secrets and codes, so it is
 * kept from being switched on.
 */
async function loadPlugin() {
  const { DEBUG = '' } = process.env;
  process.env['DEBUG'] = [DEBUG, '-simple-oauth2*'].filter((part) => part !== '').join(',');
  return { plugin: (await import('@fastify/oauth2')).default };
}

function requestOf(standin: Standin): FastifyRequest {
  return standin as unknown as FastifyRequest;
}
function standinOf(request: FastifyRequest): Standin {
  return request as unknown as Standin;
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the authorization server has no such endpoint');
  return value;
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

interface Boom {
  readonly data: { readonly payload?: unknown; readonly res?: { readonly statusCode?: number } } | null;
  readonly output: { readonly statusCode: number };
}

/** Errors of the HTTP client say what came, as far as something did. */
function boom(cause: unknown): Boom | undefined {
  return typeof cause === 'object' && cause !== null && 'isBoom' in cause ? (cause as unknown as Boom) : undefined;
}

/** The answer behind an error, where there was one that is no success. */
function refusalOf(cause: unknown): RawTokens | undefined {
  const { payload = null, res } = boom(cause)?.data ?? {};
  const status = res?.statusCode;
  return status === undefined || status === 200 ? undefined : { status, body: payload };
}

/** In words of ours, where we know what it was. */
function told(cause: unknown): unknown {
  const { data, output } = boom(cause) ?? {};
  const because = (words: string) => new NoAnswer(words, { sent: true });
  if (output?.statusCode === 504 || output?.statusCode === 408) return because('there was no answer in time');
  if (output?.statusCode === 406 || data?.payload !== undefined) return because('the answer is no JSON');
  if (data?.res !== undefined) return because('the answer was cut off, or is too large');
  // Of the plugin's own library, for an answer without any.
  const hasNone = cause instanceof Error && cause.name === 'AssertError';
  return hasNone ? because('the answer has no tokens') : cause;
}
