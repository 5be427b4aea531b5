// Runs what a request asks for, common to both eras: input as bytes to the backend, progress to the caller's stream.
// Not responsible for what the outcome looks like on the wire (the codecs) or for running it (the backend).
// Invariant: progress only rises, and none goes out after the end.
import { failure } from '../shared/errors.ts';
import type { Requested } from './asked.ts';
import type { Asking, Caller, McpBackend, OperationCall, OperationResult } from './ports.ts';

export type Progress = NonNullable<OperationCall['progress']>;

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
  { asked, args, shape }: Requested,
  signal: AbortSignal,
  progress: Progress | undefined,
  asking?: Asking,
): Promise<OperationResult> {
  const call: OperationCall = { caller, asked, args, argsShape: shape, signal };
  try {
    return await backend.operate({ ...call, ...(progress && { progress }), ...(asking && { asking }) });
  } catch {
    return { outcome: { status: 'error', failure: failure('internal_error') } };
  }
}
