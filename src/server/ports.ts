// What the HTTP edge needs from the rest of the server, handed to it by the composition root.
// Not responsible for anything running: types only.
import type { Authenticate } from '../auth/authenticate.ts';
import type { Discovery } from '../auth/discovery.ts';
import type { CompiledServer } from '../config/compiled.ts';
import type { McpBackend } from '../mcp/ports.ts';
import type { LoginServer } from '../login/login-server.ts';
import type { LegacyLimits } from '../mcp/legacy/limits.ts';
import type { FailureCode } from '../shared/errors.ts';
import type { PageRoutes } from './pages/scope.ts';

/** A refusal of the edge, for the audit. */
export interface DeniedRequest {
  /** As the path names it; undefined where no tenant of that name exists, so that nobody can fill the audit with names. */
  readonly tenant: string | undefined;
  readonly code: FailureCode;
  readonly reason: string;
  readonly correlation: string;
  /** Of the peer, or what a trusted proxy says of it. */
  readonly address: string;
  /** So many refusals of this kind, of which this was the first. @default 1 */
  readonly count?: number;
}

export interface Health {
  /** Whether calls can be taken: the store and the audit work. */
  readonly ready: boolean;
  /** Shown by /readyz: names and states, nothing secret. */
  readonly detail: { readonly [name: string]: unknown };
}

export interface HttpTimeouts {
  /** From the first byte of a request to the end of its headers. */
  readonly headersMs: number;
  /** From the first byte of a request to the end of its body. */
  readonly requestMs: number;
  /** A connection without a request. */
  readonly keepAliveMs: number;
  /** How often the two first ones are enforced. */
  readonly checkMs: number;
  /** A comment on every open event stream. */
  readonly streamCommentMs: number;
  /** A client that takes nothing of an answer for this long is cut off. */
  readonly stallMs: number;
}

export interface HttpServerOptions {
  readonly config: Pick<
    CompiledServer,
    'listen' | 'publicUrl' | 'allowedHosts' | 'allowedOrigins' | 'trustedProxies' | 'bodyBytes' | 'estate' | 'routing' | 'rates'
  >;
  /** Of this package. */
  readonly version: string;
  readonly backend: McpBackend;
  /** Verifies a credential for exactly this tenant. Where it throws, the caller is refused. */
  readonly authenticate: Authenticate;
  /** Requests that one subject of the tenant may begin in a second; 0: no limit. */
  readonly subjectRate: (tenant: string) => number;
  /** What a token says of its tenant, unverified: only where the operator lets tokens name it. */
  readonly tenantHint: (authorization: string | undefined) => string | undefined;
  /** How a client finds out how it may call. */
  readonly discovery: Discovery;
  readonly tenantExists: (tenant: string) => boolean;
  /** A refusal stands even where this rejects. */
  readonly auditDenied: (denied: DeniedRequest) => Promise<void>;
  readonly health: () => Health;
  /** Pages for browsers. @default none */
  readonly pages?: readonly PageRoutes[];
  /** The embedded authorization server. @default none */
  readonly authorization?: Pick<LoginServer, 'wanted' | 'handle'>;
  readonly cursorKey?: Uint8Array;
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly legacy?: Partial<LegacyLimits>;
  /** Connections at once. @default 8192 */
  readonly maxConnections?: number;
}

export interface HttpServer {
  /** Rejects with a `PortInUse` where the port is taken. */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  onToolsetChanged(tenant: string): void;
  onResourceUpdated(tenant: string, uri: string): void;
  /** `id`: of a connect link that led to a connection. */
  onElicitationComplete(tenant: string, id: string): void;
  /** Exchanges under way, open streams among them. */
  readonly active: number;
  readonly sessions: number;
  /** No new calls; those under way get `drainMs`, then their connections are cut. */
  close(drainMs: number): Promise<void>;
}
