// What a request asks to have run, and the input of the run as bytes: tools/call, prompts/get, resources/read, completion/complete.
// Not responsible for running it (`operate`) or for whether the caller may (the backend).
// Invariant: arguments of tools and prompts are never parsed here; what is made here is small.
import { ARGUMENT_NAMES, NAME_LENGTH } from '../shared/argument-shape.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { objectAt, rawAt } from './body.ts';
import type { ArgumentShape, Envelope } from './envelope.ts';
import type { Asked, ToolsetView } from './ports.ts';

export type OperationMethod = 'tools/call' | 'prompts/get' | 'resources/read' | 'completion/complete';
export function isOperationMethod(method: string): method is OperationMethod {
  return Object.hasOwn(MIRRORED, method);
}
/** The parameter that says what is asked for, where one does. */
export const MIRRORED = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'completion/complete': undefined,
} as const satisfies Record<OperationMethod, string | undefined>;

export interface Requested {
  readonly asked: Asked;
  readonly args: Uint8Array;
  readonly shape: readonly ArgumentShape[];
}
/** A completion to which nobody has anything to say. */
export const NO_COMPLETION = '"completion":{"values":[],"total":0,"hasMore":false}';

const NO_ARGUMENTS = Buffer.from('{}');

/** `name`: the value of the mirrored parameter. `view`: of the caller, looked at for completions only. */
export function requestOf(
  method: OperationMethod,
  name: string,
  envelope: Envelope,
  view: () => ToolsetView | undefined,
): Requested | Failure | typeof NO_COMPLETION {
  switch (method) {
    case 'tools/call':
    case 'prompts/get': {
      const args = argumentsOf(envelope);
      if (!(args instanceof Uint8Array)) return args;
      return { asked: { kind: method === 'tools/call' ? 'tool' : 'prompt', name }, args, shape: envelope.shape };
    }
    case 'resources/read': {
      const args = Buffer.from(JSON.stringify({ uri: name }));
      return { asked: { kind: 'resource', name }, args, shape: [{ name: 'uri', bytes: name.length }] };
    }
    case 'completion/complete':
      return completionOf(envelope, view());
    default:
      return method satisfies never;
  }
}

/** Arguments of the call as bytes, or what is wrong with them. */
export function argumentsOf({ args, body, params }: Envelope): Uint8Array | Failure {
  if (args !== undefined) return body.bytes.subarray(args.start, args.end);
  const range = params?.get('arguments');
  if (range === undefined || rawAt(body, range) === 'null') return NO_ARGUMENTS;
  return failure('arguments_invalid', { path: '', reason: 'must be an object' });
}

function completionOf({ body, params }: Envelope, view: ToolsetView | undefined): Requested | Failure | typeof NO_COMPLETION {
  const ref = objectAt(body, params?.get('ref'));
  const argument = objectAt(body, params?.get('argument'));
  const { name, value } = argument ?? {};
  if (typeof name !== 'string' || typeof value !== 'string') return invalid('params.argument has no name or no value');
  const target = targetOf(ref, view);
  if ('code' in target) return target;
  const { asked, names, completes } = target;
  if (!names.includes(name)) return invalid(`there is no argument "${name.slice(0, 64)}" to complete`);
  if (!completes.includes(name)) return NO_COMPLETION;
  const given = objectAt(body, params?.get('context'))?.['arguments'];
  const known = typeof given === 'object' && given !== null ? textsOf(given) : {};
  const args = Buffer.from(JSON.stringify({ argument: name, value, given: known }));
  const shape = [[name, value] as const, ...Object.entries(known)]
    .slice(0, ARGUMENT_NAMES)
    .map(([of, text]) => ({ name: of.slice(0, NAME_LENGTH), bytes: text.length }));
  return { asked, args, shape };
}

interface Target {
  readonly asked: Asked;
  readonly names: readonly string[];
  readonly completes: readonly string[];
}

function targetOf(ref: Record<string, unknown> | undefined, view: ToolsetView | undefined): Target | Failure {
  const { type, name, uri } = ref ?? {};
  if (type === 'ref/prompt' && typeof name === 'string') {
    const prompt = view?.prompts.find((one) => one.name === name);
    if (prompt === undefined) return failure('prompt_unknown');
    const names = prompt.arguments.map((argument) => argument.name);
    return { asked: { kind: 'complete_prompt', name }, names, completes: prompt.completes ?? [] };
  }
  if (type === 'ref/resource' && typeof uri === 'string') {
    const resource = view?.resources.find((one) => one.uriTemplate === uri);
    if (resource === undefined) return failure('params_invalid', { message: 'There is no such resource template.' });
    return { asked: { kind: 'complete_resource', name: uri }, names: resource.variables, completes: resource.completes ?? [] };
  }
  return invalid('params.ref is neither a prompt nor a resource template');
}

/** The members that are texts; a client may have sent anything. */
function textsOf(given: object): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function invalid(reason: string): Failure {
  return failure('params_invalid', { message: `The parameters of the request are invalid: ${reason}.` });
}
