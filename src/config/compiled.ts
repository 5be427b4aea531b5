// The configuration after `compile`: validated, defaulted, frozen. What running parts read.
// Not responsible for reading files or flags (`load`) or for their schemas (`schema`).
// Invariant: deep-frozen; no secret in it, only names of secrets.
import type { Limits } from '../shared/limits.ts';

export interface CompiledServer {
  /** Folder of the estate, absolute. */
  readonly estate: string;
  readonly listen: { readonly host: string; readonly port: number };
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
  readonly masterKey: { readonly source: 'file'; readonly path: string };
  readonly audit: { readonly mode: 'strict' | 'grouped' | 'relaxed' };
  /** Origins that may resolve to private addresses, chosen by the operator. */
  readonly privateOrigins: readonly string[];
  /** Warm spare pools kept ready. */
  readonly spares: number;
  /** Limits of tenants that set none of their own. */
  readonly limits: Limits;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  readonly watch: boolean;
  /** Bodies of `isolation`-relevant opt-outs, logged at start. */
  readonly unsafe: readonly string[];
}

export interface CompiledConnection {
  readonly slot: string;
  readonly type: 'none';
  /** Scheme, host and port, as `URL.origin` gives them. The first one is the base of relative paths. */
  readonly origins: readonly string[];
}

export interface CompiledTenant {
  readonly id: string;
  /** Absolute folder. */
  readonly dir: string;
  readonly name: string;
  readonly vars: { readonly [name: string]: unknown };
  readonly connections: ReadonlyMap<string, CompiledConnection>;
  readonly limits: Limits;
  readonly cordon: string;
}
