// The configuration after `compile`: validated, defaulted, frozen. What running parts read.
// Not responsible for reading files or flags (`load`) or for their schemas (`schema`).
// Invariant: deep-frozen; no secret in it, only names of secrets.
import type { NetSettings } from '../shared/net/net-settings.ts';
import type { Limits } from '../shared/limits.ts';
import type { CompiledAuth, CompiledRates, CompiledRouting, CompiledSignIn } from './compiled-auth.ts';

export interface CompiledServer {
  /** Folder of the estate, absolute. */
  readonly estate: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Of the operator's own endpoints; undefined: none. */
  readonly adminListen: { readonly host: string; readonly port: number } | undefined;
  /** Base of all public URLs; undefined until the port is known when it derives from `listen`. */
  readonly publicUrl: string | undefined;
  /** Hosts (`name` or `name:port`) that the Host header may name beyond those of `publicUrl` and the listen address. */
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly trustedProxies: readonly string[];
  /** Absolute. */
  readonly dataDir: string;
  readonly drainMs: number;
  readonly bodyBytes: number;
  readonly masterKey:
    | { readonly source: 'file'; readonly path: string }
    | { readonly source: 'keychain'; readonly account: string }
    | { readonly source: 'systemd-credential'; readonly name: string };
  readonly audit: { readonly mode: 'strict' | 'grouped' | 'relaxed' };
  /** Origins that may resolve to private addresses, chosen by the operator. */
  readonly privateOrigins: readonly string[];
  readonly net: NetSettings;
  readonly providers: CompiledProviders;
  /** Of tenants that say nothing of their own. */
  readonly auth: CompiledAuth;
  /** For tenants whose `auth` is `embedded`. */
  readonly signIn: CompiledSignIn;
  readonly routing: CompiledRouting;
  readonly rates: CompiledRates;
  /** Calls of all tenants under way at once. */
  readonly concurrentCalls: number;
  /** Warm spare pools kept ready. */
  readonly spares: number;
  /** Walls of the operating system around host processes. */
  readonly osWall: 'off' | 'auto' | 'required';
  /** Limits of tenants that set none of their own. */
  readonly limits: Limits;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  readonly watch: boolean;
  /** Bodies of `isolation`-relevant opt-outs, logged at start. */
  readonly unsafe: readonly string[];
}

/** Name of a secret in the vault. `owner`: the tenant, or `SERVER_OWNER` for those of the server's providers. */
export interface SecretRef {
  readonly owner: string;
  readonly secret: string;
}

interface ConnectionBase {
  readonly slot: string;
  /** Scheme, host and port, as `URL.origin` gives them. The first one is the base of relative paths. */
  readonly origins: readonly string[];
}

/** In what an authorization server differs from the RFCs; empty for most. */
export interface OAuthQuirks {
  /** Error codes that mean `invalid_grant`. */
  readonly goneErrors?: readonly string[];
  /** What it grants may be named by fewer, wider scopes than were asked for. */
  readonly scopesAreReduced?: boolean;
  /** Scopes that come back under another name. */
  readonly scopeAliases?: { readonly [asked: string]: string };
  /** Further parameters of the authorization request. */
  readonly authorizationParameters?: { readonly [name: string]: string };
  /** Page on which a user sees and ends what he allowed. */
  readonly manageUrl?: string;
}

/** An authorization server and what we are to it. Either `endpoints` are given, or they come from the metadata of `issuer`. */
export interface CompiledOAuth {
  /** For people: `GitHub`, or the host of the issuer. */
  readonly title: string;
  readonly issuer: string | undefined;
  readonly endpoints: { readonly authorization?: string; readonly token: string; readonly revocation?: string } | undefined;
  readonly clientId: string;
  /** Undefined: a public client. */
  readonly clientSecret: SecretRef | undefined;
  readonly clientAuth: 'client_secret_basic' | 'client_secret_post' | 'none';
  readonly scopes: readonly string[];
  readonly resource: string | undefined;
  readonly quirks: OAuthQuirks;
}

export type NoneConnection = ConnectionBase & { readonly type: 'none' };
export type ApiKeyConnection = ConnectionBase & {
  readonly type: 'api_key';
  readonly in: 'header' | 'query';
  readonly name: string;
  readonly prefix: string;
  readonly key: SecretRef;
};
export type BasicConnection = ConnectionBase & {
  readonly type: 'basic';
  readonly username: string | SecretRef;
  readonly password: SecretRef;
};
export type HeadersConnection = ConnectionBase & {
  readonly type: 'headers';
  readonly headers: { readonly [name: string]: string | SecretRef };
};
export type OAuth2Connection = ConnectionBase & {
  readonly type: 'oauth2';
  readonly oauth: CompiledOAuth;
  /** `user`: every subject has a grant of its own. `tenant`: one for all of its subjects. */
  readonly owner: 'user' | 'tenant';
  readonly grant: 'authorization_code' | 'client_credentials';
};
export type CompiledConnection = NoneConnection | ApiKeyConnection | BasicConnection | HeadersConnection | OAuth2Connection;

/** An OAuth application of leasehold.json, for the tenants that it names. */
export interface CompiledProvider {
  readonly oauth: CompiledOAuth;
  /** What the connections of tenants may reach with its tokens. */
  readonly origins: readonly string[];
  readonly tenants: readonly string[];
}
export type CompiledProviders = { readonly [name: string]: CompiledProvider };

export interface CompiledTenant {
  readonly id: string;
  /** Absolute folder. */
  readonly dir: string;
  readonly name: string;
  readonly vars: { readonly [name: string]: unknown };
  readonly connections: ReadonlyMap<string, CompiledConnection>;
  /** Tools of the server itself that the tenant offers. */
  readonly builtins: { readonly connections: boolean };
  readonly auth: CompiledAuth;
  readonly limits: Limits;
  /** Its key in the vault is guarded by an item of its own in the OS keychain. */
  readonly keychain: boolean;
  /** Name of the hosts it shares; `ownCordon` of its id where it shares none. */
  readonly cordon: string;
  /** `call`: a fresh thread for every call. */
  readonly isolation: 'thread' | 'call';
  /** `node`: its code runs without the sandbox, with the rights of a host of its own. */
  readonly runtime: 'sandbox' | 'node';
}
