// The 2026 era: each request by itself, with the headers that mirror its body (2026-07-28, Streamable HTTP).
// Not responsible for sessions (`session`) or for whether the server is there (`upstream`).
// Invariant: the body goes as it came; a header never says anything that the body does not say.
import type { Json } from '../shared/json.ts';
import { encodeHeaderValue } from './header-value.ts';
import { isAnswer, member, type Message, type Request } from './message.ts';
import { ParamHeaders } from './param-headers.ts';
import { received } from './received.ts';
import { lost } from './trouble.ts';
import type { Response, Upstream } from './upstream.ts';

const VERSION = 'io.modelcontextprotocol/protocolVersion';
/** Which parameter `Mcp-Name` mirrors. */
const NAMED: { readonly [method: string]: string } = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' };
const LIST_PAGES = 100;
const HEADER_MISMATCH = -32_020;

/** The revision that a message names; undefined for one of an older era. */
export function revisionOf(message: Message): string | undefined {
  const version = member(message, 'params', '_meta', VERSION);
  return typeof version === 'string' ? version : undefined;
}

export class Stateless {
  readonly #upstream: Upstream;
  readonly #params = new ParamHeaders();

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /** Hands on every message that answers the request. Rejects with `Trouble`. */
  async request(message: Request, signal: AbortSignal, deliver: (message: Message) => Promise<void>): Promise<void> {
    const tool = message.method === 'tools/call' ? member(message, 'params', 'name') : undefined;
    if (typeof tool === 'string' && !this.#params.knows(tool)) await this.#listFor(message, tool, signal);
    const answered = await this.#exchange(message, signal, deliver, typeof tool === 'string');
    if (answered) return;
    // The tool's schema has changed since it was listed; a request that was refused for its headers was not run.
    this.#params.forget();
    await this.#listFor(message, tool as string, signal);
    await this.#exchange(message, signal, deliver, false);
  }

  async notify(message: Message): Promise<void> {
    const response = await this.#send(message, undefined);
    await response.body.dump();
  }

  /** False: refused for its headers, and `mayRepeat`; nothing was handed on. */
  async #exchange(
    message: Request,
    signal: AbortSignal,
    deliver: (message: Message) => Promise<void>,
    mayRepeat: boolean,
  ): Promise<boolean> {
    const response = await this.#send(message, signal);
    for await (const { message: one } of received(response)) {
      if (one === undefined) continue;
      if (mayRepeat && response.statusCode === 400 && member(one, 'error', 'code') === HEADER_MISMATCH) return false;
      if (one['method'] === 'notifications/tools/list_changed') this.#params.forget();
      if (message.method === 'tools/list') this.#params.learn(one['result']);
      await deliver(one);
      if (isAnswer(one)) return true;
    }
    throw lost();
  }

  /** Reads the lists until the tool is found. */
  async #listFor(call: Request, tool: string, signal: AbortSignal): Promise<void> {
    const { progressToken: _, ...meta } = (member(call, 'params', '_meta') ?? {}) as Record<string, Json>;
    let cursor: Json | undefined;
    for (let page = 0; page < LIST_PAGES && !this.#params.knows(tool); page += 1) {
      const params = { _meta: meta, ...(cursor === undefined ? {} : { cursor }) };
      const response = await this.#send({ jsonrpc: '2.0', id: 'leasehold-stdio', method: 'tools/list', params }, signal);
      cursor = undefined;
      for await (const { message } of received(response)) {
        this.#params.learn(message?.['result']);
        cursor = member(message, 'result', 'nextCursor') ?? cursor;
      }
      if (typeof cursor !== 'string') break;
    }
    if (!this.#params.knows(tool)) this.#params.without(tool);
  }

  #send(message: Message, signal: AbortSignal | undefined): Promise<Response> {
    return this.#upstream.send({
      method: 'POST',
      headers: this.#headers(message),
      body: JSON.stringify(message),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #headers(message: Message): Record<string, string> {
    const { method } = message;
    const mirrored = typeof method === 'string' && Object.hasOwn(NAMED, method) ? NAMED[method] : undefined;
    const name = mirrored === undefined ? undefined : member(message, 'params', mirrored);
    return {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': encodeHeaderValue(revisionOf(message) ?? ''),
      ...(typeof method === 'string' ? { 'mcp-method': encodeHeaderValue(method) } : {}),
      ...(typeof name === 'string' ? { 'mcp-name': encodeHeaderValue(name) } : {}),
      ...(method === 'tools/call' && typeof name === 'string'
        ? this.#params.of(name, member(message, 'params', 'arguments'))
        : {}),
    };
  }
}
