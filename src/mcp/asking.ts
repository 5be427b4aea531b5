// What a request of the 2026 era brings of the rounds before it, and how an answer asks for the next one (multi round-trip requests).
// Not responsible for opening the state or for judging answers: the backend does both. Pure.
// Invariant: what is not of its kind is refused; a question that needs an undeclared capability is never sent.
import type { ClientQuestion } from '../boundary/outcome.ts';
import { type Failure, failure } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';
import { objectAt, textAt } from './body.ts';
import type { Envelope } from './envelope.ts';
import type { Asking } from './ports.ts';

/** `inputResponses` and `requestState` of a request that may be asked back. */
export function roundsOf({ body, params }: Envelope): Asking | Failure {
  const given = params?.get('inputResponses');
  const carried = params?.get('requestState');
  const answers = objectAt(body, given);
  const state = textAt(body, carried);
  if (given !== undefined && answers === undefined)
    return failure('params_invalid', { message: 'params.inputResponses is not an object.' });
  if (carried !== undefined && state === undefined)
    return failure('params_invalid', { message: 'params.requestState is not a string.' });
  return { era: 'rounds', answers, state };
}

/** The members of an `InputRequiredResult`, as JSON text without braces. */
export function inputRequired(requests: Readonly<Record<string, ClientQuestion>>, state: string): string {
  return `"inputRequests":${JSON.stringify(requests)},"requestState":${JSON.stringify(state)}`;
}

/** The `ClientCapabilities` that an operation needed and the client did not declare, where that is why it failed. */
export function missingCapabilities({ code, data }: Failure): JsonObject | undefined {
  if (code !== 'elicit_unsupported' || typeof data !== 'object' || data === null || Array.isArray(data)) return undefined;
  const { requiredCapabilities } = data;
  return typeof requiredCapabilities === 'object' && requiredCapabilities !== null && !Array.isArray(requiredCapabilities)
    ? { requiredCapabilities }
    : undefined;
}
