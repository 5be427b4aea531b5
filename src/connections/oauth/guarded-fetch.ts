// One request to an authorization server: guarded address, one total time, a bounded body, no redirect.
// Not responsible for OAuth (`token-endpoint`, `authorization-servers`).
// Invariant: https, or an origin that the operator allowed to be private; a private address needs that word, too; what
// failed says whether the request can have left.
import { decodeBody } from '../../shared/net/decode.ts';
import type { Clients } from '../../shared/net/clients.ts';
import { exchange } from '../../shared/net/exchange.ts';
import { createClients, type NetSettings } from '../../shared/net/net-settings.ts';
import type { Resolve } from '../../shared/net/resolve.ts';

export const REQUEST_MS = 15_000;
/** Largest metadata document or token answer. */
const BODY_BYTES = 262_144;

export interface GuardedFetchOptions {
  /** Origins that may be http and lead to private addresses. */
  readonly privateOrigins: readonly string[];
  readonly net?: NetSettings | undefined;
  /** @default by the name servers of `net` */
  readonly resolve?: Resolve;
  readonly timeoutMs?: number;
}
export interface GuardedRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** There is no answer. `message` is a code of ours, Node's or undici's: no URL, no secret. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  /** False: nothing can have reached the server. */
  readonly sent: boolean;
  /** The address is not one that may be asked, and will not be a moment later. */
  readonly refused: boolean;

  constructor(message: string, how: { readonly sent: boolean; readonly refused?: boolean }) {
    super(message);
    this.sent = how.sent;
    this.refused = how.refused === true;
  }
}

const REFUSED = { sent: false, refused: true } as const;

export class GuardedFetch {
  readonly #clients: Clients;
  readonly #options: GuardedFetchOptions;
  readonly #never = new AbortController().signal;

  constructor(options: GuardedFetchOptions) {
    this.#options = options;
    this.#clients = createClients(options.net, options.resolve);
  }

  /** Rejects with `NoAnswer`. */
  async fetch(address: string, request: GuardedRequest): Promise<Response> {
    const url = URL.parse(address);
    if (url === null || url.username !== '' || url.password !== '') throw new NoAnswer('the address is not valid', REFUSED);
    const isPrivate = this.#options.privateOrigins.includes(url.origin);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isPrivate))
      throw new NoAnswer('the address is not https, nor private by the word of the operator', REFUSED);
    const body = request.body === undefined ? undefined : Buffer.from(request.body);
    const answer = await exchange(
      this.#clients.for(url.origin, isPrivate),
      {
        method: request.method,
        path: `${url.pathname}${url.search}`,
        headers: { 'user-agent': 'leasehold', 'accept-encoding': 'gzip', ...request.headers },
        body,
      },
      {
        timeoutMs: this.#options.timeoutMs ?? REQUEST_MS,
        signal: this.#never,
        maxBytes: BODY_BYTES,
        mayLeave: () => true,
      },
    );
    if (!answer.ok) {
      const { code, detail, sent } = answer;
      throw new NoAnswer(`${code}: ${detail}`, { sent, refused: detail === 'ADDRESS_REFUSED' });
    }
    const decoded = await decodeBody(answer.body, one(answer.headers['content-encoding']), BODY_BYTES);
    if (!decoded.ok) throw new NoAnswer(decoded.detail, { sent: true });
    const headers = new Headers();
    for (const name of ['content-type', 'cache-control', 'retry-after', 'www-authenticate']) {
      const value = one(answer.headers[name]);
      if (value !== undefined) headers.set(name, value);
    }
    const status = answer.status;
    const empty = status === 204 || status === 205 || status === 304;
    return new Response(empty ? null : Buffer.from(decoded.body), { status, headers });
  }

  close(): Promise<void> {
    return this.#clients.close();
  }
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
