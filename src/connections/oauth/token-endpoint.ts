// Requests to token and revocation endpoints: refresh, client credentials, revoke.
// Not responsible for when to ask (`renewal`) or for keeping tokens. The code exchange belongs to the connect flow.
// Invariant: never rejects; every answer is a value, and only "gone" ends a grant.
import {
  type AuthorizationServer,
  type Client,
  type ClientAuth,
  ClientSecretBasic,
  clientCredentialsGrantRequest,
  ClientSecretPost,
  None,
  processClientCredentialsResponse,
  processRefreshTokenResponse,
  refreshTokenGrantRequest,
  revocationRequest,
  type TokenEndpointResponse,
} from 'oauth4webapi';
import type { CompiledOAuth } from '../../config/compiled.ts';
import type { AuthorizationServers } from './authorization-servers.ts';
import { type GuardedFetch, NoAnswer } from './guarded-fetch.ts';
import { oauthFetch } from './oauth-fetch.ts';
import { readAnswer, type TokenAnswer, type TokenProblem, tokensOf } from './token-answer.ts';

/** An application with its secret, for one request. */
export interface TokenClient {
  readonly oauth: CompiledOAuth;
  readonly secret: string | undefined;
}

class Told extends Error {
  readonly problem: TokenProblem;
  constructor(problem: TokenProblem) {
    super(problem.reason);
    this.problem = problem;
  }
}

type Fetching = ReturnType<typeof oauthFetch>;
interface Asking {
  readonly server: AuthorizationServer;
  readonly client: Client;
  readonly auth: ClientAuth;
  readonly fetching: Fetching;
}

export class TokenEndpoint {
  readonly #servers: AuthorizationServers;
  readonly #guarded: GuardedFetch;
  readonly #now: () => number;

  constructor(servers: AuthorizationServers, guarded: GuardedFetch, now: () => number) {
    this.#servers = servers;
    this.#guarded = guarded;
    this.#now = now;
  }

  /** RFC 6749, section 6. */
  refresh(of: TokenClient, refreshToken: string): Promise<TokenAnswer> {
    const additionalParameters = resourceOf(of.oauth);
    return this.#ask(of, async ({ server, client, auth, fetching }) => {
      const response = await refreshTokenGrantRequest(server, client, auth, refreshToken, { ...fetching, additionalParameters });
      return processRefreshTokenResponse(server, client, response);
    });
  }

  /** RFC 6749, section 4.4. */
  clientCredentials(of: TokenClient): Promise<TokenAnswer> {
    const { scopes } = of.oauth;
    const parameters = { ...resourceOf(of.oauth), ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }) };
    return this.#ask(of, async ({ server, client, auth, fetching }) => {
      const response = await clientCredentialsGrantRequest(server, client, auth, parameters, fetching);
      return processClientCredentialsResponse(server, client, response);
    });
  }

  /** RFC 7009. `unsupported`: the server has no such endpoint. */
  async revoke(of: TokenClient, token: string, hint: 'refresh_token' | 'access_token'): Promise<'ok' | 'unsupported' | 'failed'> {
    try {
      const server = await this.#servers.of(of.oauth);
      if (server.revocation_endpoint === undefined) return 'unsupported';
      const additionalParameters = { token_type_hint: hint };
      const response = await revocationRequest(server, clientOf(of), authOf(of), token, {
        ...oauthFetch(this.#guarded),
        additionalParameters,
      });
      return response.status === 200 ? 'ok' : 'failed';
    } catch {
      return 'failed';
    }
  }

  async #ask(of: TokenClient, request: (asking: Asking) => Promise<TokenEndpointResponse>): Promise<TokenAnswer> {
    let answered = false;
    const fetching = oauthFetch(this.#guarded, async (response) => {
      answered = true;
      const read = await readAnswer(response, of.oauth.quirks, this.#now());
      if (read instanceof Response) return read;
      throw new Told(read);
    });
    try {
      const server = await this.#servers.of(of.oauth);
      return { ok: true, tokens: tokensOf(await request({ server, client: clientOf(of), auth: authOf(of), fetching })) };
    } catch (cause) {
      if (cause instanceof Told) return cause.problem;
      if (cause instanceof NoAnswer)
        return { ok: false, kind: cause.refused ? 'refused' : 'lost', reason: cause.message, sent: cause.sent };
      // Texts of oauth4webapi may quote the answer; its codes do not.
      const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'unusable';
      return { ok: false, kind: answered ? 'lost' : 'refused', reason: `the answer cannot be used (${code})`, sent: answered };
    }
  }
}

function clientOf({ oauth }: TokenClient): Client {
  return { client_id: oauth.clientId };
}

function authOf({ oauth, secret }: TokenClient): ClientAuth {
  if (secret === undefined || oauth.clientAuth === 'none') return None();
  return oauth.clientAuth === 'client_secret_post' ? ClientSecretPost(secret) : ClientSecretBasic(secret);
}

/** RFC 8707. */
function resourceOf({ resource }: CompiledOAuth): Record<string, string> {
  return resource === undefined ? {} : { resource };
}
