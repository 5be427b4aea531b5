// Plain requests of both eras, as text, for what the real clients would never send.
// Not responsible for checking answers. Invariant: nothing is added that the caller did not ask for, apart from what `modern` says.
import { connect } from 'node:net';

export const PREFIX = 'io.modelcontextprotocol/';
export const MODERN = '2026-07-28';

type Headers = Record<string, string | undefined>;

/** The `_meta` of a well-formed request of the 2026 era. */
export function meta(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    [`${PREFIX}protocolVersion`]: MODERN,
    [`${PREFIX}clientInfo`]: { name: 'wire', version: '1' },
    [`${PREFIX}clientCapabilities`]: {},
    ...more,
  };
}

/** Body and headers of a well-formed request of the 2026 era. */
export function modern(
  method: string,
  params: Record<string, unknown> = {},
  id: unknown = 1,
): { body: string; headers: Headers } {
  const { _meta, ...rest } = params;
  const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...rest, _meta: meta(_meta as Record<string, unknown>) } });
  const headers: Headers = { 'mcp-protocol-version': MODERN, 'mcp-method': method };
  const mirrored = method === 'resources/read' ? params['uri'] : params['name'];
  if (typeof mirrored === 'string') headers['mcp-name'] = mirrored;
  return { body, headers };
}

export interface RpcMessage {
  readonly id?: unknown;
  readonly result?: Readonly<Record<string, unknown>> & {
    readonly content?: readonly { readonly type: string; readonly text: string }[];
    readonly isError?: boolean;
    readonly _meta?: Readonly<Record<string, unknown>>;
    readonly tools?: readonly { readonly name: string }[];
    readonly nextCursor?: string;
  };
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Readonly<Record<string, unknown>> };
}

export interface Reply {
  readonly status: number;
  readonly headers: globalThis.Headers;
  readonly text: string;
  /** The JSON body, or the last event's. */
  readonly json: RpcMessage | undefined;
}

/** What `fetch` needs for a POST of it. */
export function init(
  token: string | undefined,
  { body, headers }: { body: string | Uint8Array; headers?: Headers },
): RequestInit {
  const sent: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  if (token !== undefined) sent['authorization'] = `Bearer ${token}`;
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value === undefined) delete sent[name];
    else sent[name] = value;
  }
  return { method: 'POST', headers: sent, body: body as string };
}

export async function post(
  url: string,
  token: string | undefined,
  body: string | Uint8Array,
  headers: Headers = {},
  signal?: AbortSignal,
): Promise<Reply> {
  return read(await fetch(url, { ...init(token, { body, headers }), ...(signal === undefined ? {} : { signal }) }));
}

export async function read(response: Response): Promise<Reply> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: jsonIn(text) };
}

function jsonIn(text: string): RpcMessage | undefined {
  const last = events(text).at(-1) ?? text;
  try {
    return JSON.parse(last) as RpcMessage;
  } catch {
    return undefined;
  }
}

/** The data of each event of a stream. */
export function events(text: string): string[] {
  return (
    text
      .split('\n\n')
      .map((event) => event.split('\n').find((line) => line.startsWith('data: ')))
      .filter((line) => line !== undefined)
      .map((line) => line.slice('data: '.length))
      // An event without data is no message: it tells a client where to resume.
      .filter((data) => data !== '')
  );
}

export function rpc(url: string, token: string, method: string, params?: Record<string, unknown>, id?: unknown): Promise<Reply> {
  const { body, headers } = modern(method, params, id);
  return post(url, token, body, headers);
}

/** A 2025-era session, begun by hand. */
export async function initialize(
  url: string,
  token: string,
  protocolVersion = '2025-11-25',
): Promise<{ session: string; reply: Reply }> {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'wire', version: '1' } };
  const reply = await post(url, token, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
  return { session: reply.headers.get('mcp-session-id') ?? '', reply };
}

export function legacy(url: string, token: string, session: string, message: unknown, headers: Headers = {}): Promise<Reply> {
  const body = typeof message === 'string' ? message : JSON.stringify(message);
  return post(url, token, body, { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25', ...headers });
}

/** Writes bytes to a socket and reads until the server ends it, or until `enough` holds. */
export async function raw(
  port: number,
  bytes: string | Uint8Array,
  enough: (got: string) => boolean = () => false,
): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let got = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1');
    if (enough(got)) resolve();
  });
  socket.on('close', () => resolve());
  socket.on('error', () => resolve());
  socket.write(bytes);
  await promise;
  socket.destroy();
  return got;
}
