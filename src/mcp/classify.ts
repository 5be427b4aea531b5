// Decides what one POST is: a request of the 2026 era, a notification of it, a message of the 2025 era, or a rejection.
// Not responsible for the caller's identity (verified before), for the 2025 era's own rules, or for running anything. Pure.
// Invariant: in the 2026 era no header that a gateway may route by differs from the body (Streamable HTTP, "Server Validation").
import type { JsonObject } from '../shared/json.ts';
import { type Failure, failure, type FailureCode, publicText } from '../shared/errors.ts';
import { objectAt, rawAt, textAt } from './body.ts';
import type { Envelope, EnvelopeFault } from './envelope.ts';
import { MIRRORED } from './asked.ts';
import { decodeHeaderValue } from './header-value.ts';
import type { McpHeaders } from './inbound.ts';
import { type LogLevel, levelAsked } from './log-messages.ts';
import type { ClientFacts } from './ports.ts';
import { LEGACY_VERSIONS, MODERN_VERSIONS, SUPPORTED_VERSIONS } from './versions.ts';

const PREFIX = 'io.modelcontextprotocol/';
const VERSION_KEY = `${PREFIX}protocolVersion`;
const CAPABILITIES_KEY = `${PREFIX}clientCapabilities`;
const CLIENT_KEY = `${PREFIX}clientInfo`;
const TOKEN_BYTES = 1024;
const CLIENT_TEXT = 256;

/** Methods of 2026-07-28 that this server has, and the parameter that `Mcp-Name` mirrors. */
const METHODS = {
  'server/discover': undefined,
  'subscriptions/listen': undefined,
  'tools/list': undefined,
  'prompts/list': undefined,
  'resources/list': undefined,
  'resources/templates/list': undefined,
  ...MIRRORED,
} as const;
export type ModernMethod = keyof typeof METHODS;
function isModernMethod(method: string): method is ModernMethod {
  return Object.hasOwn(METHODS, method);
}

export interface InboundCall {
  readonly kind: 'call';
  readonly method: ModernMethod;
  /** JSON text. */
  readonly id: string;
  readonly envelope: Envelope;
  /** What `Mcp-Name` mirrors; empty where the method has none. */
  readonly name: string;
  readonly client: ClientFacts;
  /** JSON text. */
  readonly progressToken: string | undefined;
  /** The least severe log messages that the client wants of this request. */
  readonly logLevel: LogLevel | undefined;
}
export interface Rejection {
  readonly kind: 'rejection';
  readonly failure: Failure;
  readonly id: string | undefined;
  /** Members of the JSON-RPC error's `data` that the specification asks for. */
  readonly data?: JsonObject;
}
export type Classified =
  | InboundCall
  | Rejection
  | { readonly kind: 'notification' }
  | { readonly kind: 'legacy'; readonly envelope: Envelope };

export function reject(code: FailureCode, reason: string, id: string | undefined, data?: JsonObject): Rejection {
  const rejected = failure(code, { message: `${publicText({ code })} ${reason}.` });
  return data === undefined ? { kind: 'rejection', failure: rejected, id } : { kind: 'rejection', failure: rejected, id, data };
}

/** `supported` are those that the same kind of request may name instead: in the 2026 era the same as `server/discover` says. */
export function unsupported(requested: string, id: string | undefined, supported: readonly string[]): Rejection {
  const reason = `This server speaks ${SUPPORTED_VERSIONS.join(', ')}`;
  return reject('version_unsupported', reason, id, { supported: [...supported], requested: requested.slice(0, 64) });
}

export function classify(headers: McpHeaders, envelope: Envelope | EnvelopeFault): Classified {
  if ('fault' in envelope) return faulty(envelope);
  if (envelope.meta?.has(VERSION_KEY)) return modern(headers, envelope);
  const { protocolVersion } = headers;
  if (protocolVersion === undefined || LEGACY_VERSIONS.includes(protocolVersion)) return { kind: 'legacy', envelope };
  if (!MODERN_VERSIONS.includes(protocolVersion)) return unsupported(protocolVersion, envelope.id, SUPPORTED_VERSIONS);
  return modern(headers, envelope);
}

function modern(headers: McpHeaders, envelope: Envelope): Classified {
  const { body, id, meta, method } = envelope;
  if (method === undefined) return reject('request_invalid', 'A client sends no responses in this revision', id);
  if (id === undefined) return { kind: 'notification' };
  if (meta === undefined) return reject('params_invalid', 'params._meta is missing', id);
  const version = textAt(body, meta.get(VERSION_KEY));
  if (version === undefined) return reject('params_invalid', `params._meta["${VERSION_KEY}"] is not a string`, id);
  if (headers.protocolVersion !== version) return mismatch('MCP-Protocol-Version', headers.protocolVersion, id);
  if (!MODERN_VERSIONS.includes(version)) return unsupported(version, id, MODERN_VERSIONS);
  if (headers.method !== method) return mismatch('Mcp-Method', headers.method, id);
  const capabilities = objectAt(body, meta.get(CAPABILITIES_KEY));
  if (capabilities === undefined) return reject('params_invalid', `params._meta["${CAPABILITIES_KEY}"] is not an object`, id);
  if (!isModernMethod(method)) return { kind: 'rejection', failure: failure('method_unknown'), id };
  const mirrored = METHODS[method];
  let name = '';
  if (mirrored !== undefined) {
    const value = textAt(body, envelope.params?.get(mirrored));
    if (value === undefined) return reject('params_invalid', `params.${mirrored} is not a string`, id);
    if (headers.name === undefined || decodeHeaderValue(headers.name) !== value) return mismatch('Mcp-Name', headers.name, id);
    name = value;
  }
  const logLevel = levelAsked(envelope);
  if (logLevel === false) return reject('params_invalid', `params._meta["${PREFIX}logLevel"] is no level`, id);
  const info = objectAt(body, meta.get(CLIENT_KEY));
  return {
    kind: 'call',
    method,
    id,
    envelope,
    name,
    client: { ...clientName(info), capabilities, protocolVersion: version },
    progressToken: progressTokenOf(envelope),
    logLevel,
  };
}

/** JSON text of the token: a string or a number, echoed verbatim. */
export function progressTokenOf({ body, meta }: Envelope): string | undefined {
  const range = meta?.get('progressToken');
  if (range === undefined || range.end - range.start > TOKEN_BYTES) return undefined;
  const raw = rawAt(body, range);
  return /^["\-0-9]/.test(raw) ? raw : undefined;
}

/** Name and version as told, cut to what a log line takes. */
export function clientName(info: Record<string, unknown> | undefined): Pick<ClientFacts, 'name' | 'version'> {
  if (info === undefined) return {};
  const facts: { name?: string; version?: string } = {};
  if (typeof info['name'] === 'string') facts.name = info['name'].slice(0, CLIENT_TEXT);
  if (typeof info['version'] === 'string') facts.version = info['version'].slice(0, CLIENT_TEXT);
  return facts;
}

function mismatch(header: string, value: string | undefined, id: string): Rejection {
  return reject('header_mismatch', value === undefined ? `${header} is missing` : `${header} differs from the body`, id);
}

/** What is wrong with the bytes of a message. */
export function faulty({ fault, id, reason }: EnvelopeFault): Rejection {
  if (reason === undefined) return { kind: 'rejection', failure: failure(fault), id };
  return reject(fault, reason, id);
}
