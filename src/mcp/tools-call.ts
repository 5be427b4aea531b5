// `tools/call`, common to both eras: arguments as bytes to the backend, progress to the caller's stream.
// Not responsible for what the outcome looks like on the wire (the codecs) or for running it (the backend).
// Invariant: arguments are never parsed here; progress only rises, and none goes out after the end.
import { type Failure, failure } from '../shared/errors.ts';
import { type Envelope, rawAt } from './envelope.ts';
import type { Asked, Caller, McpBackend, OperationCall, OperationResult } from './ports.ts';

const NO_ARGUMENTS = Buffer.from('{}');

export type Progress = NonNullable<OperationCall['progress']>;

/** Arguments of the call as bytes, or what is wrong with them. */
export function argumentsOf({ args, bytes, params }: Envelope): Uint8Array | Failure {
  if (args !== undefined) return bytes.subarray(args.start, args.end);
  const range = params?.get('arguments');
  if (range === undefined || rawAt(bytes, range) === 'null') return NO_ARGUMENTS;
  return failure('arguments_invalid', { path: '', reason: 'must be an object' });
}

/** A notification for each rise of the progress. `token` is JSON text. */
export function progressTo(token: string, notify: (message: string) => void): Progress {
  let last = Number.NEGATIVE_INFINITY;
  return ({ progress, total, message }) => {
    if (!(progress > last)) return;
    last = progress;
    const told = JSON.stringify({ progress, total, message });
    notify(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},${told.slice(1)}}`);
  };
}

/** Never rejects: a backend that does is an internal error of this call. */
export async function operate(
  backend: McpBackend,
  caller: Caller,
  asked: Asked,
  envelope: Envelope,
  signal: AbortSignal,
  progress: Progress | undefined,
): Promise<OperationResult> {
  const args = argumentsOf(envelope);
  if (!(args instanceof Uint8Array)) return { outcome: { status: 'error', failure: args } };
  const call: OperationCall = { caller, asked, args, argsShape: envelope.shape, signal };
  try {
    return await backend.operate(progress === undefined ? call : { ...call, progress });
  } catch {
    return { outcome: { status: 'error', failure: failure('internal_error') } };
  }
}
