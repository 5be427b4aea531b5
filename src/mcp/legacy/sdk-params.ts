// The parameters that the SDK's schemas ask for, and nothing else: the handlers read the envelope, and arguments stay bytes.
// Not responsible for methods that the SDK answers itself. Pure.
import { isOperationMethod, MIRRORED } from '../asked.ts';
import { reject, type Rejection } from '../classify.ts';
import { type Envelope, textAt } from '../envelope.ts';

const COMPLETION = { ref: { type: 'ref/prompt', name: '' }, argument: { name: '', value: '' } };

export function sdkParams(method: string, { bytes, id, params }: Envelope): Record<string, unknown> | undefined | Rejection {
  if (!isOperationMethod(method)) return undefined;
  const mirrored = MIRRORED[method];
  if (mirrored === undefined) return COMPLETION;
  const value = textAt(bytes, params?.get(mirrored));
  return value === undefined ? reject('params_invalid', `params.${mirrored} is not a string`, id) : { [mirrored]: value };
}

export function isRejection(params: Record<string, unknown> | undefined | Rejection): params is Rejection {
  return params?.['kind'] === 'rejection';
}
