// A bridge from stdio to Streamable HTTP: each message of a client that speaks only stdio goes to the server, and what the server
// says comes back, in both eras of the protocol.
// Not responsible for where the server is and which token it gets (`FindPlace`), nor for what a message means.
// Invariant: stdout gets messages of the protocol and nothing else; every request gets exactly one answer, whatever happens to it,
// unless the client has cancelled it.
import { once } from 'node:events';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { type JSONRPCMessage, JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import type { Json } from '../shared/json.ts';
import { type Line, linesOf } from './lines.ts';
import { errorAnswer, idKey, isAnswer, isId, isRequest, member, type Message, type Request } from './message.ts';
import { SessionLeg } from './session.ts';
import { revisionOf, Stateless } from './stateless.ts';
import { Trouble } from './trouble.ts';
import { type FindPlace, Upstream } from './upstream.ts';

export type { FindPlace, Place } from './upstream.ts';

/** The largest body that a server can be set up to take. */
const LINE_BYTES = 67_108_864;
const MOST_UNDER_WAY = 1000;
/** What the client asked before it closed stdin may still be answered for so long; a client waits about two seconds itself. */
const LAST_ANSWERS_MS = 1000;
/** JSON-RPC 2.0, section 5.1; and of the range that it leaves to implementations. */
const PARSE_ERROR = -32_700;
const INVALID_REQUEST = -32_600;
const INTERNAL_ERROR = -32_603;
const NOT_DELIVERED = -32_000;

export interface BridgeOptions {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly find: FindPlace;
  /** For people: no token is ever in a line. */
  log(line: string): void;
  /** Ends the bridge at once. */
  readonly signal: AbortSignal;
}

/** Resolves when stdin has ended and the last answers are out. */
export async function bridge(options: BridgeOptions): Promise<void> {
  const running = new Bridge(options);
  try {
    await running.run();
  } finally {
    await running.end();
  }
}

interface UnderWay {
  readonly modern: boolean;
  readonly stop: AbortController;
  cancelled: boolean;
  /** A standing subscription is no answer to wait for. */
  readonly endless: boolean;
  readonly done: Promise<void>;
}

class Bridge {
  readonly #options: BridgeOptions;
  readonly #upstream: Upstream;
  readonly #session: SessionLeg;
  readonly #stateless: Stateless;
  readonly #lines = new PassThrough();
  readonly #transport: StdioServerTransport;
  readonly #underWay = new Map<string, UnderWay>();
  #sent: Promise<void> = Promise.resolve();

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.#upstream = new Upstream(options.find);
    this.#stateless = new Stateless(this.#upstream);
    this.#session = new SessionLeg({
      upstream: this.#upstream,
      toClient: (message) => this.#toClient(message),
      log: (line) => options.log(line),
    });
    // A little more than a line: the transport holds one line at a time.
    this.#transport = new StdioServerTransport(this.#lines, options.stdout, { maxBufferSize: LINE_BYTES + 16 });
    this.#transport.onmessage = (message) => this.#take(message as Message);
    this.#transport.onerror = (error) => options.log(`stdio: ${error.message}`);
  }

  async run(): Promise<void> {
    const { signal, stdin } = this.#options;
    await this.#transport.start();
    const stopped = once(signal, 'abort').catch(() => {});
    if (signal.aborted) return;
    await Promise.race([this.#read(stdin), stopped]);
    if (signal.aborted) return;
    const last = [...this.#underWay.values()].filter(({ endless }) => !endless).map(({ done }) => done);
    await Promise.race([Promise.all(last), stopped, new Promise((resolve) => setTimeout(resolve, LAST_ANSWERS_MS).unref())]);
  }

  async end(): Promise<void> {
    this.#options.stdin.destroy();
    for (const { stop } of this.#underWay.values()) stop.abort();
    await this.#session.end().catch(() => {});
    await this.#upstream.close();
    await this.#transport.close();
  }

  /** The SDK's transport drops without a word what it cannot read, so it gets only what it can. */
  async #read(stdin: Readable): Promise<void> {
    for await (const line of linesOf(stdin, LINE_BYTES)) {
      const message = messageIn(line);
      if (typeof message === 'string') {
        if (!this.#lines.write(`${message}\n`)) await once(this.#lines, 'drain');
        continue;
      }
      for (const fault of message) {
        this.#options.log(`stdin: ${JSON.stringify(fault)}`);
        await this.#toClient(fault);
      }
    }
    // What was written is taken before the end is looked at.
    await new Promise((resolve) => this.#lines.end(resolve));
    if (!this.#lines.readableEnded) await once(this.#lines, 'end');
  }

  #take(message: Message): void {
    if (isRequest(message)) this.#request(message);
    else if (isAnswer(message)) this.#quietly(this.#session.answer(message));
    else if (message['method'] === 'notifications/cancelled') this.#cancel(message);
    else this.#quietly(revisionOf(message) === undefined ? this.#session.notify(message) : this.#stateless.notify(message));
  }

  #request(message: Request): void {
    const key = idKey(message.id);
    if (this.#underWay.has(key) || this.#underWay.size >= MOST_UNDER_WAY) {
      const why = this.#underWay.has(key) ? 'A request with this id is under way.' : 'Too many requests are under way.';
      this.#quietly(this.#toClient(errorAnswer(message.id, INVALID_REQUEST, why)));
      return;
    }
    const modern = revisionOf(message) !== undefined;
    const stop = new AbortController();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const entry: UnderWay = { modern, stop, cancelled: false, endless: message.method === 'subscriptions/listen', done };
    this.#underWay.set(key, entry);
    const deliver = (one: Message): Promise<void> => {
      if (entry.cancelled) return Promise.resolve();
      // A refusal at the edge names no id: it was given before the message was read.
      return this.#toClient(isAnswer(one) ? { ...one, id: message.id } : one);
    };
    const asked = modern ? this.#stateless.request(message, stop.signal, deliver) : this.#session.request(message, stop.signal);
    void asked
      .catch((error: unknown) => (entry.cancelled ? undefined : this.#failed(message, error)))
      .finally(() => {
        this.#underWay.delete(key);
        resolve();
      });
  }

  #failed({ id, method }: Request, error: unknown): Promise<void> {
    const known = error instanceof Trouble;
    this.#options.log(`${method}: ${error instanceof Error ? error.message : String(error)}`);
    const text = known ? error.message : 'The bridge to the server failed; its log says more.';
    return this.#toClient(errorAnswer(id, known ? NOT_DELIVERED : INTERNAL_ERROR, text));
  }

  /** In the 2026 era a request over HTTP is cancelled by closing its stream; in a session the server is told. */
  #cancel(message: Message): void {
    const entry = this.#underWay.get(idKey(member(message, 'params', 'requestId')));
    if (entry === undefined) return;
    entry.cancelled = true;
    if (entry.modern) entry.stop.abort();
    else this.#quietly(this.#session.notify(message).finally(() => entry.stop.abort()));
  }

  #quietly(work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.log(error instanceof Trouble ? error.message : `failed: ${String(error)}`));
  }

  /** One after the other, at the pace of who reads stdout. */
  #toClient(message: Message): Promise<void> {
    this.#sent = this.#sent.then(() => this.#transport.send(message as JSONRPCMessage));
    return this.#sent;
  }
}

/** The text of a message; or an answer for everything in the line that is none. */
function messageIn(line: Line): string | Message[] {
  if ('tooLong' in line) return [errorAnswer(line.id, INVALID_REQUEST, `A message may have ${LINE_BYTES} bytes.`)];
  const { text } = line;
  if (text.trim() === '') return [];
  const value = parsed(text);
  if (value === undefined) return [errorAnswer(undefined, PARSE_ERROR, 'A line on stdin is no JSON.')];
  if (JSONRPCMessageSchema.safeParse(value).success) return text;
  const all = Array.isArray(value) && value.length > 0 ? value.slice(0, MOST_UNDER_WAY) : [value];
  const what = Array.isArray(value) ? 'Batches are not supported.' : 'A line on stdin is no JSON-RPC message.';
  return all.map((one) => {
    const id = member(one, 'id');
    return errorAnswer(isId(id) ? id : undefined, INVALID_REQUEST, what);
  });
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
