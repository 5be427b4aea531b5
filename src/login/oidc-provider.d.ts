// The parts of oidc-provider that are used; it ships no types.
// Not responsible for the rest of it. Invariant: what is declared here is as its source has it (9.13).
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface StoredModel {
    readonly jti: string;
    readonly accountId?: string;
    readonly clientId?: string;
    readonly grantId?: string;
    readonly consumed?: unknown;
    readonly resource?: string | readonly string[];
    destroy(): Promise<void>;
  }
  export interface ClientModel {
    readonly clientId: string;
    readonly clientName?: string;
    readonly redirectUris: readonly string[];
    readonly clientIdMetadataDocument?: boolean;
    grantTypeAllowed(type: string): boolean;
  }
  export interface GrantModel extends StoredModel {
    /** Epoch seconds. */
    readonly iat?: number;
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    rejectResourceScope(resource: string, scope: string): void;
    save(ttl?: number): Promise<string>;
  }
  export interface SessionModel extends StoredModel {
    readonly loginTs?: number;
  }
  export interface AccessTokenModel extends StoredModel {
    readonly scope?: string;
    readonly resourceServer?: { readonly audience?: string };
  }
  export interface Interaction {
    readonly uid: string;
    readonly prompt: {
      readonly name: string;
      /** Why: `no_session`, `login_prompt`, `max_age` … */
      readonly reasons: readonly string[];
      readonly details: { readonly missingOIDCScope?: readonly string[] };
    };
    readonly params: { readonly [name: string]: unknown };
    session?: { readonly accountId: string } | undefined;
    readonly grantId?: string;
    readonly returnTo: string;
    /** Epoch seconds. */
    readonly exp: number;
    result?: Readonly<Record<string, unknown>>;
    /** @param ttl seconds */
    save(ttl: number): Promise<unknown>;
  }
  export interface OidcContext {
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
    readonly cookies: { get(name: string): string | undefined };
    type: string;
    body: unknown;
    set(headers: Readonly<Record<string, string>>): void;
    readonly oidc: {
      readonly route: string;
      readonly client?: ClientModel;
      readonly account?: { readonly accountId: string };
      readonly params?: { readonly [name: string]: unknown };
      readonly result?: { readonly consent?: { readonly grantId?: string } };
      readonly body?: unknown;
      readonly entities: {
        readonly Grant?: GrantModel;
        readonly RefreshToken?: StoredModel;
        readonly RotatedRefreshToken?: StoredModel;
        readonly AuthorizationCode?: StoredModel;
      };
    };
  }
  interface Model<T> {
    find(value: string): Promise<T | undefined>;
  }
  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>);
    /** The one whose request is under way. */
    static readonly ctx: OidcContext;
    proxy: boolean;
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
    on(event: string, listener: (...args: never[]) => void): this;
    use(middleware: (ctx: OidcContext, next: () => Promise<void>) => Promise<void>): this;
    createContext(request: IncomingMessage, response: ServerResponse): object;
    /** Rejects with a `SessionNotFound`. */
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    /** Gives the address at which the browser goes on. */
    interactionResult(
      request: IncomingMessage,
      response: ServerResponse,
      result: Record<string, unknown>,
      options?: { mergeWithLastSubmission?: boolean },
    ): Promise<string>;
    cookieName(type: 'session' | 'interaction' | 'resume'): string;
    readonly Client: Model<ClientModel>;
    readonly Interaction: Model<Interaction>;
    readonly Grant: Model<GrantModel> & (new (of: { accountId: string; clientId: string }) => GrantModel);
    readonly Session: Model<SessionModel> & { get(ctx: object): Promise<SessionModel> };
    readonly AccessToken: Model<StoredModel>;
    readonly RefreshToken: Model<StoredModel>;
  }
  export default Provider;

  type ErrorClass = new (description?: string, detail?: string) => Error & { readonly error: string };
  export const errors: {
    readonly InvalidTarget: ErrorClass;
    readonly InvalidGrant: ErrorClass;
    readonly InvalidClientMetadata: ErrorClass;
    readonly InvalidRedirectUri: ErrorClass;
    readonly SessionNotFound: ErrorClass;
  };
  export const interactionPolicy: {
    base(): { get(prompt: string): { readonly checks: { remove(reason: string): void } } };
  };
}
