// `ctx.connections.<slot>`: a fetch for one service, whose credential is added where this thread cannot see it.
// Not responsible for where it may go, retries, refresh or limits of the answer: the supervisor and the egress host are.
// Invariant: `fetch` needs no `this`, so that it can be handed to a client library.
import type { Connection, ConnectionRequest } from '../../src/author/context.ts';
import { leaseholdError } from '../../src/author/errors.ts';
import type { FetchRequest, HostRequest } from '../../src/boundary/host-request.ts';
import { failure } from '../../src/shared/errors.ts';
import type { Json } from '../../src/shared/json.ts';
import type { Reply } from './exchange.ts';
import { type HeadersLike, ToolHeaders } from './headers.ts';
import { ToolResponse } from './response.ts';

export type Ask = (request: HostRequest, body?: Uint8Array) => Promise<Reply>;

const URL_CHARACTERS = 8192;
const HEADER_CHARACTERS = 16_384;
const METHOD = /^[A-Z]{1,16}$/;
const BODILESS = new Set(['GET', 'HEAD']);
const encoder = new TextEncoder();

export function createConnection(slot: string, ask: Ask, maxBodyBytes: number): Connection {
  async function send(input: string | URL, init: ConnectionRequest = {}): Promise<ToolResponse> {
    const { signal } = init;
    signal?.throwIfAborted();
    const headers = new ToolHeaders(init.headers as HeadersLike | undefined);
    const body = bodyBytes(init.body, headers);
    if (body !== undefined && body.byteLength > maxBodyBytes)
      throw new TypeError(`The body has more than ${maxBodyBytes} bytes.`);
    const request = requestOf(slot, input, init, headers);
    if (body !== undefined && BODILESS.has(request.method)) throw new TypeError(`${request.method} has no body.`);
    const { http, body: bytes } = await untilAborted(ask(request, body), signal);
    if (http === undefined) throw leaseholdError(failure('upstream_invalid'));
    return new ToolResponse(http, bytes);
  }
  return Object.freeze({
    // A facade: what libraries use of a Response, without the HTTP client behind Node's own.
    fetch: (input: string | URL, init?: ConnectionRequest) => send(input, init) as unknown as Promise<Response>,
    json: async <T = Json>(input: string | URL, init: ConnectionRequest & { json?: Json } = {}): Promise<T> =>
      (await readJson(await send(input, jsonRequest(init)))) as T,
  });
}

function requestOf(slot: string, input: string | URL, init: ConnectionRequest, headers: ToolHeaders): FetchRequest {
  const url = String(input);
  const method = String(init.method ?? 'GET').toUpperCase();
  if (url.length > URL_CHARACTERS) throw new TypeError(`The URL is longer than ${URL_CHARACTERS} characters.`);
  if (!METHOD.test(method)) throw new TypeError(`"${method.slice(0, 32)}" is not an HTTP method.`);
  const request = { op: 'fetch', connection: slot, url, method, headers: plain(headers) } as const;
  return init.idempotencyKey === undefined ? request : { ...request, idempotencyKey: String(init.idempotencyKey).slice(0, 256) };
}

function plain(headers: ToolHeaders): Record<string, string> {
  const pairs = [...headers];
  for (const [name, value] of pairs) {
    if (name.length > 256 || value.length > HEADER_CHARACTERS) throw new TypeError('A header is longer than allowed.');
  }
  return Object.fromEntries(pairs);
}

/** Always bytes of our own: what is sent is given away, and the author may go on using theirs. */
function bodyBytes(body: unknown, headers: ToolHeaders): Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return withType(encoder.encode(body), headers, 'text/plain;charset=UTF-8');
  if (body instanceof URLSearchParams) {
    return withType(encoder.encode(body.toString()), headers, 'application/x-www-form-urlencoded;charset=UTF-8');
  }
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice();
  if (body instanceof ArrayBuffer) return new Uint8Array(body).slice();
  throw new TypeError('A body must be text, Uint8Array, ArrayBuffer or URLSearchParams.');
}

function withType(bytes: Uint8Array, headers: ToolHeaders, type: string): Uint8Array {
  if (!headers.has('content-type')) headers.set('content-type', type);
  return bytes;
}

/** The request goes on at the other side; only the waiting ends. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function jsonRequest({ json, ...init }: ConnectionRequest & { json?: Json }): ConnectionRequest {
  const headers = new ToolHeaders(init.headers as HeadersLike | undefined);
  if (!headers.has('accept')) headers.set('accept', 'application/json');
  if (json === undefined) return { ...init, headers: Object.fromEntries(headers) };
  if (!headers.has('content-type')) headers.set('content-type', 'application/json');
  return { ...init, headers: Object.fromEntries(headers), body: JSON.stringify(json) };
}

async function readJson(response: ToolResponse): Promise<unknown> {
  if (!response.ok) {
    throw leaseholdError(
      failure('upstream_error', { message: `The service behind the tool answered with status ${response.status}.` }),
    );
  }
  const text = await response.text();
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw leaseholdError(failure('upstream_invalid'));
  }
}
