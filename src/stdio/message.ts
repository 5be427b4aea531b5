// JSON-RPC messages as the bridge sees them: what kind one is, and the id that answers it.
// Not responsible for what they mean. Pure.
import type { Json, JsonObject } from '../shared/json.ts';

export type RpcId = string | number;
export type Message = JsonObject;

export interface Request extends JsonObject {
  readonly id: RpcId;
  readonly method: string;
}

/** Between the messages of one client a string and a number are different ids (JSON-RPC 2.0, section 4). */
export function idKey(id: Json | undefined): string {
  return JSON.stringify(id) ?? '';
}

export function isId(id: Json | undefined): id is RpcId {
  return typeof id === 'string' || typeof id === 'number';
}

export function isRequest(message: Message): message is Request {
  return typeof message['method'] === 'string' && isId(message['id']);
}

export function isAnswer(message: Message): boolean {
  return message['method'] === undefined && (Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error'));
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function member(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let at = value;
  for (const name of path) {
    if (!isObject(at) || !Object.hasOwn(at, name)) return undefined;
    at = at[name];
  }
  return at;
}

/** What a request gets where the bridge has no answer of the server. `id` is left out where none could be read (MCP has no null id). */
export function errorAnswer(id: RpcId | undefined, code: number, message: string): Message {
  return { jsonrpc: '2.0', ...(id === undefined ? {} : { id }), error: { code, message } };
}
