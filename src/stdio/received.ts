// The messages in one HTTP answer, as they come: one JSON body, or a stream of events.
// Not responsible for sending them on. Invariant: one message is bounded in size; what is no message is an error, never dropped silently.
import { bodyText } from '../shared/net/body-text.ts';
import { serverEvents } from '../shared/net/event-stream.ts';
import type { Json } from '../shared/json.ts';
import { isObject, type Message } from './message.ts';
import { lost, Trouble } from './trouble.ts';
import type { Response } from './upstream.ts';

/** The largest result that a tenant can be allowed, and its envelope. */
const ANSWER_BYTES = 80 * 1_048_576;

/** `id`: of the event, where a stream has ids. */
export interface Received {
  readonly message: Message | undefined;
  readonly id?: string | undefined;
}

/** Rejects with `Trouble`: `lost` where the connection broke, `odd` where it was no message. */
export async function* received(response: Response): AsyncGenerator<Received> {
  const type = headerOf(response, 'content-type');
  if (type?.startsWith('text/event-stream') === true) yield* events(response);
  else {
    const text = await bodyText(response.body, ANSWER_BYTES).catch(broken);
    if (text !== '') for (const message of messagesOf(text, response.statusCode)) yield { message };
  }
}

async function* events(response: Response): AsyncGenerator<Received> {
  const stream = serverEvents(response.body, ANSWER_BYTES);
  for (;;) {
    const next = await stream.next().catch(broken);
    if (next.done === true) return;
    const { data, id } = next.value;
    if (data === '') yield { message: undefined, id };
    else for (const message of messagesOf(data, response.statusCode)) yield { message, id };
  }
}

function broken(error: unknown): never {
  if (error instanceof RangeError) throw new Trouble('odd', `The server's answer could not be read: ${error.message}.`);
  throw lost();
}

function messagesOf(text: string, status: number): Message[] {
  let value: Json | undefined;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    value = undefined;
  }
  const messages = Array.isArray(value) ? value : [value];
  if (messages.every((message) => isObject(message) && message['jsonrpc'] === '2.0')) return messages as Message[];
  throw new Trouble('odd', `What answers there (status ${status}) is no MCP server. Is the address right?`);
}

export function headerOf({ headers }: Response, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
