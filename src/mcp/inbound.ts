// One HTTP exchange with the MCP endpoint, as the edge hands it over: verified caller, mirrored headers, raw body.
// Not responsible for anything running: types only.
import type { Principal } from './ports.ts';

/** Values as sent, not decoded. The edge refused every one that stood twice. */
export interface McpHeaders {
  readonly protocolVersion: string | undefined;
  readonly method: string | undefined;
  readonly name: string | undefined;
  readonly session: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly baggage: string | undefined;
  readonly lastEventId: string | undefined;
  /** `Mcp-Param-<name>`; `name` in lower case. */
  readonly param: (name: string) => string | undefined;
}

export interface Inbound {
  readonly principal: Principal;
  readonly correlation: string;
  readonly headers: McpHeaders;
  /** Whether the same credential would still be let in now: for streams that outlive their request. */
  readonly allowed: () => boolean | Promise<boolean>;
  /** The `WWW-Authenticate` of a 403 that names the scopes an operation needs (RFC 6750, section 3). */
  readonly scopeChallenge: (scopes: readonly string[]) => string;
}
