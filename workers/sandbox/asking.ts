// `ctx.elicit`, `ctx.sample` and `ctx.roots`: three kinds of one request, a question to the client.
// Not responsible for who answers and when: the supervisor asks on a stream, or abandons the run and begins it again.
// Invariant: a key stands for one question of the call; what a form cannot ask is refused here, with the reason.
import type { ClientRoot, Elicited, Sampled, SampleRequest, ToolContext } from '../../src/author/context.ts';
import { ASK_BYTES, ASK_KEY_PATTERN, type AskKind } from '../../src/boundary/ask.ts';
import { formSchema } from '../../src/shared/form-schema.ts';
import type { TObject } from 'typebox';
import type { Ask } from './connection.ts';

const MESSAGE_CHARACTERS = 4096;
const KEY = new RegExp(ASK_KEY_PATTERN);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export type Asking = Pick<ToolContext, 'elicit' | 'sample' | 'roots'>;

export function createAsking(ask: Ask): Asking {
  const keys = new Set<string>();

  async function question<T>(of: string, kind: AskKind, key: string, params: object): Promise<T> {
    if (typeof key !== 'string' || !KEY.test(key)) {
      throw new TypeError(`${of}: the key must have 1 to 128 letters, digits or one of "_.-".`);
    }
    if (keys.has(key)) throw new TypeError(`${of}: the key "${key}" was used before in this call; keys must be unique.`);
    const body = encoder.encode(JSON.stringify(params));
    if (body.byteLength > ASK_BYTES) throw new TypeError(`${of}: the question has more than ${ASK_BYTES} bytes.`);
    keys.add(key);
    const answer = await ask({ op: 'ask', kind, key }, body);
    return JSON.parse(decoder.decode(answer.body)) as T;
  }

  return Object.freeze({
    async elicit<S extends TObject>(key: string, request: { message: string; schema: S }): Promise<Elicited<S>> {
      const requestedSchema = formSchema(JSON.parse(JSON.stringify(request.schema)));
      if (typeof requestedSchema === 'string') throw new TypeError(`ctx.elicit: ${requestedSchema}.`);
      return question('ctx.elicit', 'elicit', key, {
        message: String(request.message).slice(0, MESSAGE_CHARACTERS),
        requestedSchema,
      });
    },
    async sample(key: string, params: SampleRequest): Promise<Sampled> {
      if (!Array.isArray(params?.messages) || params.messages.length === 0 || !Number.isSafeInteger(params.maxTokens)) {
        throw new TypeError('ctx.sample: `messages` (not empty) and `maxTokens` (an integer) are required.');
      }
      return question('ctx.sample', 'sample', key, params);
    },
    async roots(key = 'roots'): Promise<ClientRoot[]> {
      return (await question<{ roots: ClientRoot[] }>('ctx.roots', 'roots', key, {})).roots;
    },
  });
}
