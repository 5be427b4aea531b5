// A small MCP client (revision 2026-07-28, stateless): one request, its progress, its answer.
// Not responsible for sessions, retries or older revisions: it talks to a Leasehold server only.
// Invariant: the answer is bounded in size and time; the token is sent to the endpoint given and shown nowhere.
import { type Dispatcher, request } from 'undici';
import type { Json, JsonObject } from '../shared/json.ts';
import { bodyText } from '../shared/net/body-text.ts';
import { serverEvents } from '../shared/net/event-stream.ts';
import { UserError } from './command.ts';
import { leaseholdVersion } from './version-of.ts';

export interface Endpoint {
  /** Of one tenant: `http://127.0.0.1:8741/t/acme/mcp`. */
  readonly url: string;
  readonly token: string | undefined;
  /** What to do where nothing answers. */
  readonly hint?: string;
}

export interface Progress {
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

export interface McpRequest {
  readonly method: 'tools/list' | 'tools/call';
  readonly params: JsonObject;
  /** Value of `Mcp-Name`, where the method has one. ASCII. */
  readonly name?: string;
  /** Further headers that repeat what the body says. */
  readonly mirrored?: Readonly<Record<string, string>>;
  /** What this client can be asked. @default nothing */
  readonly capabilities?: JsonObject;
  readonly signal?: AbortSignal;
  progress?(update: Progress): void;
}

/** `http` and `id` (correlation, where the server tells) come with both. */
export type McpAnswer = { readonly http: number; readonly correlation: string | undefined } & (
  | { readonly result: JsonObject }
  | { readonly error: { readonly code: number; readonly message: string; readonly data?: Json } }
);

const REVISION = '2026-07-28';
const META = 'io.modelcontextprotocol/';
/** The largest result a tenant can be allowed, and its envelope. */
const ANSWER_BYTES = 80 * 1_048_576;
/** A little more than the longest deadline a tenant can be given. */
const LONGEST_MS = 630_000;

export async function mcpRequest(endpoint: Endpoint, asked: McpRequest): Promise<McpAnswer> {
  const response = await send(endpoint, asked);
  const correlation = header(response, 'x-correlation-id');
  const message = await readAnswer(response, asked);
  const { result, error } = message;
  if (isObject(result)) return { http: response.statusCode, correlation, result };
  if (isObject(error) && typeof error['code'] === 'number' && typeof error['message'] === 'string') {
    const { code, message: text, data } = error;
    return { http: response.statusCode, correlation, error: { code, message: text, ...(data === undefined ? {} : { data }) } };
  }
  throw new UserError(`${endpoint.url} answered ${response.statusCode}, and not as an MCP server does`);
}

async function send(endpoint: Endpoint, asked: McpRequest): Promise<Dispatcher.ResponseData> {
  const deadline = AbortSignal.timeout(LONGEST_MS);
  try {
    return await request(endpoint.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': REVISION,
        'mcp-method': asked.method,
        ...(asked.name === undefined ? {} : { 'mcp-name': asked.name }),
        ...asked.mirrored,
        ...(endpoint.token === undefined ? {} : { authorization: `Bearer ${endpoint.token}` }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: asked.method, params: { ...asked.params, _meta: meta(asked) } }),
      // The server's own deadlines end a call; these would end it earlier.
      headersTimeout: 0,
      bodyTimeout: 0,
      signal: asked.signal === undefined ? deadline : AbortSignal.any([asked.signal, deadline]),
    });
  } catch (error) {
    if (asked.signal?.aborted === true) throw new UserError('cancelled');
    const hint = endpoint.hint === undefined ? '' : `. ${endpoint.hint}`;
    throw new UserError(`no server answers at ${endpoint.url} (${reason(error)})${hint}`);
  }
}

function meta(asked: McpRequest): JsonObject {
  return {
    [`${META}protocolVersion`]: REVISION,
    [`${META}clientCapabilities`]: asked.capabilities ?? {},
    [`${META}clientInfo`]: { name: 'leasehold-cli', version: leaseholdVersion() },
    ...(asked.progress === undefined ? {} : { progressToken: 1 }),
  };
}

async function readAnswer(response: Dispatcher.ResponseData, asked: McpRequest): Promise<JsonObject> {
  try {
    if (header(response, 'content-type')?.startsWith('text/event-stream') !== true) {
      return parse(await bodyText(response.body, ANSWER_BYTES));
    }
    for await (const { data } of serverEvents(response.body, ANSWER_BYTES)) {
      const message = parse(data);
      if (Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error')) return message;
      if (message['method'] === 'notifications/progress' && isObject(message['params'])) {
        asked.progress?.(message['params'] as JsonObject & Progress);
      }
    }
  } catch (error) {
    throw new UserError(asked.signal?.aborted === true ? 'cancelled' : `the answer could not be read: ${reason(error)}`);
  }
  throw new UserError('the server closed the connection before it had answered; the call may still have been carried out');
}

function parse(text: string): JsonObject {
  const value: unknown = text === '' ? {} : JSON.parse(text);
  return isObject(value) ? value : {};
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function header(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Never the whole error: undici's carry the request, and with it the token. */
function reason(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
