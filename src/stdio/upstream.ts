// Sends one HTTP request to the endpoint of the tenant, with the token of the moment.
// Not responsible for sessions, headers of MCP or what a message means.
// Invariant: a request is sent again only where the server cannot have acted on it (it was not reached, or refused the token), and
// only where address or token have changed since. The token goes to that address and nowhere else.
import { Agent, type Dispatcher, request } from 'undici';
import { Trouble } from './trouble.ts';

/** Where the server is, and as whom it is called. */
export interface Place {
  /** `http://127.0.0.1:8741/t/work/mcp` */
  readonly url: string;
  readonly token: string;
  /** What to do where nothing answers. One sentence. */
  readonly startHint: string;
  /** Which token was refused, and which one to make. One sentence. */
  readonly tokenHint: string;
}
/** Rejects with an error whose message is for the user. */
export type FindPlace = () => Promise<Place>;

export interface Sending {
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}
export type Response = Dispatcher.ResponseData;

/** Nothing was sent. */
const NOT_REACHED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export class Upstream {
  readonly #find: FindPlace;
  // Answers take as long as tools take: the server's deadlines end them.
  readonly #agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connectTimeout: 10_000 });
  #place: Promise<Place> | undefined;

  constructor(find: FindPlace) {
    this.#find = find;
  }

  /** Any status but 401. Rejects with `Trouble`. */
  async send(sending: Sending): Promise<Response> {
    const place = await this.#current();
    const first = await this.#try(place, sending);
    if (!(first instanceof Trouble)) return first;
    if (first.kind !== 'away' && first.kind !== 'token') throw first;
    const now = await this.#again(place);
    if (now.url === place.url && now.token === place.token) throw first;
    const second = await this.#try(now, sending);
    if (second instanceof Trouble) throw second;
    return second;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async #current(): Promise<Place> {
    // A finder that throws at once is one that rejects.
    this.#place ??= Promise.resolve().then(this.#find);
    const asked = this.#place;
    try {
      return await asked;
    } catch (error) {
      if (this.#place === asked) this.#place = undefined;
      throw new Trouble('place', error instanceof Error ? error.message : String(error));
    }
  }

  /** Many requests fail at once: the first one looks again. */
  async #again(stale: Place): Promise<Place> {
    if ((await this.#current()) === stale) this.#place = undefined;
    return this.#current();
  }

  async #try(
    { url, token, startHint, tokenHint }: Place,
    { method, headers, body, signal }: Sending,
  ): Promise<Response | Trouble> {
    let response: Response;
    try {
      response = await request(url, {
        dispatcher: this.#agent,
        method,
        headers: { ...headers, authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      // Never the whole error: undici's carry the request, and with it the token.
      const { code } = error as { code?: unknown };
      if (NOT_REACHED.has(code)) return new Trouble('away', `No server answers at ${url} (${String(code)}). ${startHint}`);
      return new Trouble('lost', `The connection to ${url} broke (${String(code)}); the call may still have been carried out.`);
    }
    if (response.statusCode !== 401) return response;
    await response.body.dump();
    return new Trouble('token', `The server at ${url} refused the token. ${tokenHint}`);
  }
}
