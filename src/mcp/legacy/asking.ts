// Asks the client of a 2025-era session while its request waits: a request of the server on the stream of that request.
// Not responsible for what may be asked or for judging answers: the backend does both.
// Invariant: goes out on no other stream than that of the request it belongs to, and is taken back when that request ends.
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import { McpError, ResultSchema, type ServerNotification, type ServerRequest } from '@modelcontextprotocol/sdk/types.js';
import type { ClientQuestion } from '../../boundary/outcome.ts';
import { failure } from '../../shared/errors.ts';
import type { Asking } from '../ports.ts';

/** Longer than any call may take: the deadline of the call ends the question. */
const NEVER_MS = 0x7fff_ffff;
const METHOD_NOT_FOUND = -32_601;

type Extra = Pick<RequestHandlerExtra<ServerRequest, ServerNotification>, 'sendRequest' | 'signal'>;

export function askingOf({ sendRequest, signal }: Extra): Asking {
  return {
    era: 'session',
    async ask({ method, params }: ClientQuestion, stopped) {
      try {
        const request = { method, params } as unknown as ServerRequest;
        const result: unknown = await sendRequest(request, ResultSchema, {
          timeout: NEVER_MS,
          signal: AbortSignal.any([signal, stopped]),
        });
        return { result };
      } catch (error) {
        const refused = error instanceof McpError && error.code === METHOD_NOT_FOUND;
        return {
          failure: refused
            ? failure('elicit_unsupported')
            : failure('answer_invalid', { message: 'The client could not answer.' }),
        };
      }
    },
  };
}
