// A question of a tool as the protocol asks it, and the client's answer as the tool gets it. Pure.
// Not responsible for when and how it is asked (`session`, `rounds`).
// Invariant: nothing is asked that the client did not declare; an answer that does not fit its question is no answer.
import { ASK_BYTES, type AskKind } from '../../boundary/ask.ts';
import type { AskRequest } from '../../boundary/host-request.ts';
import type { ClientQuestion } from '../../boundary/outcome.ts';
import { type Failure, failure } from '../../shared/errors.ts';
import { type FormSchema, formSchema, readForm } from '../../shared/form-schema.ts';
import type { Json, JsonObject } from '../../shared/json.ts';
import { skipValue } from '../../shared/json-scan.ts';

const ROOTS = 1000;

export interface Question extends ClientQuestion {
  readonly kind: AskKind;
}
type Capabilities = { readonly [name: string]: unknown };

const METHODS: { readonly [kind in AskKind]: ClientQuestion['method'] } = {
  elicit: 'elicitation/create',
  sample: 'sampling/createMessage',
  roots: 'roots/list',
};

/** Whether the client can be asked anything at all. */
export function canBeAsked({ elicitation, sampling, roots }: Capabilities): boolean {
  return isObject(elicitation) || isObject(sampling) || isObject(roots);
}

/** Reads what a thread asks, which nobody has checked yet. */
export function questionOf(ask: AskRequest, body: Uint8Array, capabilities: Capabilities): Question | Failure {
  if (body.length > ASK_BYTES) return unfit(`has more than ${ASK_BYTES} bytes`);
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (skipValue(text, 0, text.length, 0) !== text.length) return unfit('is not JSON, or nested too deep');
  const params: unknown = JSON.parse(text.toString('utf8'));
  if (!isObject(params)) return unfit('is no object');
  const missing = missingCapability(ask.kind, params, capabilities);
  if (missing !== undefined) return failure('elicit_unsupported', { data: { requiredCapabilities: missing } });
  const method = METHODS[ask.kind];
  if (ask.kind !== 'elicit') return { kind: ask.kind, method, params };
  const requestedSchema = formSchema(params['requestedSchema']);
  if (typeof requestedSchema === 'string') return unfit(requestedSchema);
  const { message } = params;
  if (typeof message !== 'string') return unfit('has no message');
  return { kind: ask.kind, method, params: { message, requestedSchema } };
}

function unfit(why: string): Failure {
  return failure('tool_failed', { detail: `A question to the client: ${why}.` });
}

/** As the `requiredCapabilities` of the protocol. `elicitation: {}` means forms (2025-11-25). */
function missingCapability(
  kind: AskKind,
  params: JsonObject,
  { elicitation, sampling, roots }: Capabilities,
): JsonObject | undefined {
  switch (kind) {
    case 'elicit': {
      const forms = isObject(elicitation) && ('form' in elicitation || !('url' in elicitation));
      return forms ? undefined : { elicitation: { form: {} } };
    }
    case 'sample': {
      if (!isObject(sampling)) return { sampling: {} };
      const tools = params['tools'] !== undefined || params['toolChoice'] !== undefined;
      return tools && !isObject(sampling['tools']) ? { sampling: { tools: {} } } : undefined;
    }
    case 'roots':
      return isObject(roots) ? undefined : { roots: {} };
    default:
      return kind satisfies never;
  }
}

/** The client's result, reduced to what was asked; a failure says what is wrong with it. */
export function readAnswer({ kind, params }: Question, result: unknown): JsonObject | Failure {
  if (!isObject(result)) return invalid('', 'must be an object');
  switch (kind) {
    case 'elicit': {
      const { action } = result;
      if (action === 'decline' || action === 'cancel') return { action };
      if (action !== 'accept') return invalid('/action', 'must be accept, decline or cancel');
      const form = readForm(params['requestedSchema'] as FormSchema, result['content'] ?? {});
      return form.ok ? { action, content: form.value } : invalid(`/content${form.path}`, form.reason);
    }
    case 'sample': {
      const { role, content, model, stopReason } = result;
      if (role !== 'user' && role !== 'assistant') return invalid('/role', 'must be user or assistant');
      if (typeof model !== 'string') return invalid('/model', 'must be a text');
      const blocks = Array.isArray(content) ? content : [content];
      if (!blocks.every((block) => isObject(block) && typeof block['type'] === 'string'))
        return invalid('/content', 'must be content');
      const sampled = { role, content: content as Json, model };
      return typeof stopReason === 'string' ? { ...sampled, stopReason } : sampled;
    }
    case 'roots': {
      const { roots } = result;
      if (!Array.isArray(roots) || roots.length > ROOTS) return invalid('/roots', `must be a list of at most ${ROOTS}`);
      return roots.every((root) => isObject(root) && typeof root['uri'] === 'string')
        ? { roots }
        : invalid('/roots', 'must have URIs');
    }
    default:
      return kind satisfies never;
  }
}

function invalid(path: string, reason: string): Failure {
  return failure('answer_invalid', {
    message: `The client's answer does not fit what it was asked: ${path === '' ? 'it' : path} ${reason}.`,
  });
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
