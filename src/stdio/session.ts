// The 2025 era: the session of the client, opened with its own initialize, and opened anew where the server has lost it.
// Not responsible for stdio (`bridge`) or for whether the server is there (`upstream`).
// Invariant: a message is sent again only where the server refused it for its session; the client sees its own ids and one
// initialize, however often its session was lost.
import { setTimeout as wait } from 'node:timers/promises';
import { Asks } from './asks.ts';
import { isAnswer, member, type Message, type Request } from './message.ts';
import { headerOf, received } from './received.ts';
import { SessionMemory } from './session-memory.ts';
import { listen } from './standing-stream.ts';
import { lost, Trouble } from './trouble.ts';
import type { Response, Upstream } from './upstream.ts';

const OWN_ID = 'leasehold-stdio';
const LISTS = ['tools', 'prompts', 'resources'] as const;
const RESUME_TRIES = 5;
const RESUME_PAUSE_MS = 1000;
const END_MS = 500;

interface Session {
  readonly id: string | undefined;
  /** The revision that was agreed on. */
  readonly version: string;
  /** The answer to initialize, with the id of that request. */
  readonly answer: Message;
  readonly over: AbortController;
}

export interface SessionPorts {
  readonly upstream: Upstream;
  toClient(message: Message): Promise<void>;
  log(line: string): void;
}

export class SessionLeg {
  readonly #ports: SessionPorts;
  readonly #memory = new SessionMemory();
  readonly #asks = new Asks();
  #session: Session | undefined;
  #renewal: Promise<Session> | undefined;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
  }

  /** Hands on every message that belongs to the request, its answer last. Rejects with `Trouble`. */
  async request(message: Request, signal: AbortSignal): Promise<void> {
    if (message.method === 'initialize') return this.#initialize(message);
    const { response, session } = await this.#post(message, signal);
    await this.#relay(message, session, response, signal);
    this.#memory.note(message);
  }

  async notify(message: Message): Promise<void> {
    this.#memory.note(message);
    const { response, session } = await this.#post(message, undefined);
    await response.body.dump();
    if (message['method'] === 'notifications/initialized' && session !== undefined) this.#listen(session);
  }

  /** The client's answer to something that the server asked. */
  async answer(message: Message): Promise<void> {
    const session = this.#session;
    const own = this.#asks.toServer(session, message);
    if (own === undefined || session === undefined) {
      this.#ports.log('an answer of the client came too late: the session that asked is gone');
      return;
    }
    const response = await this.#send(own, session, undefined);
    await response.body.dump();
  }

  /** Ends the session at the server, which needs not wait for it to expire. */
  async end(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    session?.over.abort();
    if (session?.id === undefined) return;
    const signal = AbortSignal.timeout(END_MS);
    const response = await this.#ports.upstream.send({ method: 'DELETE', headers: headersOf(session), signal });
    await response.body.dump();
  }

  async #initialize(message: Request): Promise<void> {
    this.#memory.begin(message);
    await this.end().catch(() => {});
    const { answer, session } = await this.#open(message);
    this.#session = session;
    await this.#ports.toClient(answer);
  }

  /** Without a session where the answer is an error. */
  async #open(message: Request): Promise<{ readonly answer: Message; readonly session: Session | undefined }> {
    const response = await this.#send(message, undefined, undefined);
    let answer: Message | undefined;
    for await (const { message: one } of received(response)) {
      if (one === undefined) continue;
      if (isAnswer(one)) answer = { ...one, id: message.id };
      else await this.#ports.toClient(one);
    }
    if (answer === undefined) throw lost();
    const version = member(answer, 'result', 'protocolVersion');
    if (typeof version !== 'string') return { answer, session: undefined };
    const id = headerOf(response, 'mcp-session-id');
    return { answer, session: { id, version, answer, over: new AbortController() } };
  }

  async #post(
    message: Message,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly response: Response; readonly session: Session | undefined }> {
    const session = this.#session ?? (this.#memory.initialize === undefined ? undefined : await this.#renew(undefined));
    const response = await this.#send(message, session, signal);
    if (response.statusCode !== 404 || session === undefined) return { response, session };
    await response.body.dump();
    const renewed = await this.#renew(session);
    return { response: await this.#send(message, renewed, signal), session: renewed };
  }

  #send(message: Message, session: Session | undefined, signal: AbortSignal | undefined): Promise<Response> {
    return this.#ports.upstream.send({
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(session === undefined ? {} : headersOf(session)),
      },
      body: JSON.stringify(message),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Takes a stream that broke up again where it has ids (2025-11-25, "Resumability and Redelivery"). */
  async #relay(message: Request, session: Session | undefined, first: Response, signal: AbortSignal): Promise<void> {
    let response = first;
    let lastId: string | undefined;
    for (let tries = 0; ; tries += 1) {
      try {
        for await (const { message: one, id } of received(response)) {
          if (id !== undefined && id !== lastId) tries = 0;
          lastId = id ?? lastId;
          if (one === undefined) continue;
          const answers = isAnswer(one);
          // A refusal at the edge names no id: it was given before the message was read.
          await this.#toClient(session, answers ? { ...one, id: message.id } : one);
          if (answers) return;
        }
      } catch (error) {
        if (!(error instanceof Trouble) || error.kind !== 'lost') throw error;
      }
      if (signal.aborted || lastId === undefined || session === undefined || tries >= RESUME_TRIES) throw lost();
      await wait(RESUME_PAUSE_MS, undefined, { signal }).catch(() => {});
      response = await this.#resume(session, lastId, signal);
    }
  }

  async #resume(session: Session, lastId: string, signal: AbortSignal): Promise<Response> {
    const headers = { ...headersOf(session), accept: 'text/event-stream', 'last-event-id': lastId };
    const response = await this.#ports.upstream.send({ method: 'GET', headers, signal }).catch(() => undefined);
    if (response?.statusCode === 200) return response;
    await response?.body.dump();
    throw new Trouble('odd', lost().message);
  }

  #toClient(session: Session | undefined, message: Message): Promise<void> {
    return this.#ports.toClient(session === undefined ? message : this.#asks.toClient(session, message));
  }

  #listen(session: Session): void {
    if (session.id === undefined) return;
    const { upstream } = this.#ports;
    void listen({
      upstream,
      headers: headersOf(session),
      signal: session.over.signal,
      deliver: (message) => this.#toClient(session, message),
      onUnknown: async () => void (await this.#renew(session)),
    }).catch((error: unknown) => this.#ports.log(`the session's stream ended: ${String(error)}`));
  }

  /** Many requests lose their session at once: one opens the next. */
  #renew(stale: Session | undefined): Promise<Session> {
    const current = this.#session;
    if (current !== stale && current !== undefined) return Promise.resolve(current);
    this.#renewal ??= this.#reopen(stale).finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  async #reopen(stale: Session | undefined): Promise<Session> {
    const { initialize, initialized } = this.#memory;
    if (initialize === undefined) throw new Trouble('odd', 'The server has lost the session. Restart the client.');
    const { answer, session } = await this.#open({ ...initialize, id: OWN_ID });
    if (session === undefined) {
      throw new Trouble('odd', `The server refuses a new session: ${JSON.stringify(member(answer, 'error', 'message'))}`);
    }
    if (stale !== undefined && stale.version !== session.version) {
      throw new Trouble('odd', `The server speaks revision ${session.version} now, not ${stale.version}. Restart the client.`);
    }
    if (initialized) await this.#tellAgain(session);
    stale?.over.abort();
    this.#session = session;
    if (initialized) this.#listen(session);
    if (stale !== undefined) await this.#tellOfNew(stale, session);
    return session;
  }

  async #tellAgain(session: Session): Promise<void> {
    const again = this.#memory.requests.map((request, index) => ({ ...request, id: `${OWN_ID}-${index}` }));
    for (const message of [{ jsonrpc: '2.0', method: 'notifications/initialized' }, ...again]) {
      const response = await this.#send(message, session, undefined);
      await response.body.dump();
    }
  }

  /** Nobody knows what changed while the server was away, and what it asked is not asked any more. */
  async #tellOfNew(stale: Session, session: Session): Promise<void> {
    this.#ports.log('the server has lost the session, a new one is open');
    for (const requestId of this.#asks.endedWith(stale)) {
      const params = { requestId, reason: 'The server has lost the session.' };
      await this.#ports.toClient({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
    }
    for (const list of LISTS) {
      if (member(session.answer, 'result', 'capabilities', list, 'listChanged') !== true) continue;
      await this.#ports.toClient({ jsonrpc: '2.0', method: `notifications/${list}/list_changed` });
    }
  }
}

function headersOf({ id, version }: Session): Record<string, string> {
  return { ...(id === undefined ? {} : { 'mcp-session-id': id }), 'mcp-protocol-version': version };
}
