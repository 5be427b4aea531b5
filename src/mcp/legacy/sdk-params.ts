// The parameters that the SDK's schemas ask for, and nothing else: the handlers read the envelope, and arguments stay bytes.
// Not responsible for methods that the SDK answers itself. Pure.
import { isOperationMethod, MIRRORED } from '../asked.ts';
import { reject, type Rejection } from '../classify.ts';
import { textAt } from '../body.ts';
import type { Envelope } from '../envelope.ts';
import { isLogLevel } from '../log-messages.ts';

const COMPLETION = { ref: { type: 'ref/prompt', name: '' }, argument: { name: '', value: '' } };

/** What a client says to its session: the one text that each of these has. */
const SAID: { readonly [method: string]: string } = {
  'logging/setLevel': 'level',
  'resources/subscribe': 'uri',
  'resources/unsubscribe': 'uri',
};

export function sdkParams(method: string, { body, id, params }: Envelope): Record<string, unknown> | undefined | Rejection {
  const name = isOperationMethod(method) ? MIRRORED[method] : Object.hasOwn(SAID, method) ? SAID[method] : undefined;
  if (name === undefined) return isOperationMethod(method) ? COMPLETION : undefined;
  const value = textAt(body, params?.get(name));
  if (value === undefined) return reject('params_invalid', `params.${name} is not a string`, id);
  return name === 'level' && !isLogLevel(value) ? reject('params_invalid', 'params.level is no level', id) : { [name]: value };
}

export function isRejection(params: Record<string, unknown> | undefined | Rejection): params is Rejection {
  return params?.['kind'] === 'rejection';
}
