// Asks the client of a request in the 2025 era: now, on the stream of the request, while the run goes on waiting.
// Not responsible for the stream (the protocol's) or for how long it may take: the deadline of the call bounds it.
// Invariant: the same rules as in the 2026 era, so that a handler is written once.
import type { AskRequest } from '../../boundary/host-request.ts';
import type { Asking } from '../../mcp/ports.ts';
import { type Failure, failure, isFailure } from '../../shared/errors.ts';
import { type Call, isUnsafe } from '../call-tree.ts';
import type { Replied } from '../code-run.ts';
import { questionOf, readAnswer } from './question.ts';

function refused(reason: Failure): Replied {
  return { reply: { status: 'error', failure: reason } };
}

export async function askNow(call: Call, asking: Asking | undefined, ask: AskRequest, body: Uint8Array): Promise<Replied> {
  if (isUnsafe(call)) return refused(failure('elicit_after_effect'));
  const question = questionOf(ask, body, call.root.caller.client.capabilities);
  if (isFailure(question)) return refused(question);
  if (asking?.era !== 'session') return refused(failure('elicit_unsupported'));
  const { method, params } = question;
  const answered = await asking.ask({ method, params }, call.root.signal);
  if ('failure' in answered) return refused(answered.failure);
  const answer = readAnswer(question, answered.result);
  return isFailure(answer) ? refused(answer) : { reply: { status: 'ok' }, body: Buffer.from(JSON.stringify(answer)) };
}
