// What crosses between the main thread of a host process and one thread of a pool: tasks, results, and the port beside them.
// Not responsible for bytes on the pipe (`frames`, `frame-codec`) or for what a task does (`workers/tools`, `workers/egress`).
// Invariant: plain data only, nothing throws across. A `body` is a Uint8Array that owns its whole ArrayBuffer (a view into a
// pooled Buffer would be cloned with the pool, foreign bytes included): use `ownBytes` where that is not certain.
//
// The life of a thread:
// 1. Boot. The entry module reads `workerData` (`ThreadData`), makes a MessageChannel, keeps one port and sends the other:
//    `parentPort.postMessage({ t: 'hello', threadId, port } satisfies ThreadHello, [port])`. Everything that can be loaded
//    before the tenant is known is loaded before `hello`: a warm spare stops here. No tenant code runs before `load`.
// 2. Piscina calls the entry's export named `run` with a `ThreadTask`, many at once; it returns (never throws) the result that
//    belongs to the task. The first task is `load`, once in a life. A replacement thread may be given a call before its load has
//    ended: `run` waits for the load, and answers `toolset_broken` where it failed.
// 3. Requests, replies, notices and large bodies go over the port of `hello`, in order. What was posted on the port before
//    `run` returned is handled by the host before the result. `cancel` is a task, so that it never overtakes its call.
import type { MessagePort } from 'node:worker_threads';
import type { CallContext } from './call-context.ts';
import type { EgressOrder, EgressOutcome } from './egress.ts';
import type { Assignment, CancelReason, PoolLimits } from './frames.ts';
import type { HostReply, HostRequest, Notice } from './host-request.ts';
import type { Operation } from './operation.ts';
import type { CallOutcome } from './outcome.ts';
import type { Failure } from '../shared/errors.ts';
import type { NetSettings } from '../shared/net/net-settings.ts';

export type PoolKind = 'tools' | 'egress';

/** `workerData` of a thread. */
export interface ThreadData {
  readonly kind: PoolKind;
  readonly limits: PoolLimits;
  /** See `HostStart`. */
  readonly modules?: string;
  /** Egress. */
  readonly net?: NetSettings;
}

/** First message of a thread, on `parentPort`, with `port` in the transfer list. */
export interface ThreadHello {
  readonly t: 'hello';
  readonly threadId: number;
  readonly port: MessagePort;
}

// ---- host -> thread: tasks (argument of `run`) -----------------------------------------------------------------
/** `body`: tools = the bundle's script (UTF-8), egress = `EgressTools` JSON. Result: `LoadResult`. */
export interface LoadTask {
  readonly t: 'load';
  readonly assignment: Assignment;
  readonly body: Uint8Array;
}
/** Asks a loaded tools thread for its manifest. Result: `DescribeResult`. */
export interface DescribeTask {
  readonly t: 'describe';
}
/** `body`: see `Operation`. Result: `CallResult`. */
export interface CallTask {
  readonly t: 'call';
  readonly call: number;
  readonly operation: Operation;
  readonly context: CallContext;
  readonly body: Uint8Array;
}
/** `body`: arguments as JSON text (binding) or the request body (fetch). Result: `EgressResult`. */
export interface EgressTask {
  readonly t: 'egress';
  readonly call: number;
  readonly order: EgressOrder;
  readonly body: Uint8Array;
}
/** Asks the run to stop (its `ctx.signal` aborts); the call still ends by its own result. Unknown calls are ignored. Result: none. */
export interface CancelTask {
  readonly t: 'cancel';
  readonly call: number;
  readonly reason: CancelReason;
}
export type ToolsTask = LoadTask | DescribeTask | CallTask | CancelTask;
export type EgressThreadTask = LoadTask | EgressTask | CancelTask;
export type ThreadTask = ToolsTask | EgressThreadTask;

// ---- thread -> host: results -----------------------------------------------------------------------------------
export type LoadResult = { readonly ok: true } | { readonly ok: false; readonly failure: Failure };
/** `body`: the manifest as JSON text. */
export type DescribeResult = { readonly ok: true; readonly body: Uint8Array } | { readonly ok: false; readonly failure: Failure };
/** `body` comes with `ok`; absent where it was posted as a `body` message (see `giveBody`). */
export interface CallResult {
  readonly outcome: CallOutcome;
  readonly body?: Uint8Array;
}
export interface EgressResult {
  readonly outcome: EgressOutcome;
  readonly body?: Uint8Array;
}

// ---- over the port of `hello` ----------------------------------------------------------------------------------
/**
 * thread -> host. `request` numbers are the thread's own, unique within their call; each is answered by one `reply`, or by none
 * where the call was given up. Header values must fit the schemas of `frames.ts` (a log message of at most 8192 characters and
 * so on): what does not fit ends the thread, so that it cannot end the host.
 */
export type FromThread =
  | {
      readonly t: 'request';
      readonly call: number;
      readonly request: number;
      readonly ask: HostRequest;
      readonly body?: Uint8Array;
    }
  | { readonly t: 'notice'; readonly call: number; readonly notice: Notice }
  /** The body of a result that `run` is about to return, by transfer. */
  | { readonly t: 'body'; readonly call: number; readonly body: Uint8Array }
  /** The answer to `ping`. */
  | { readonly t: 'pong' };

/** host -> thread. `body` is absent where it is empty. A reply for a call that has ended is ignored. */
export type ToThread =
  | {
      readonly t: 'reply';
      readonly call: number;
      readonly request: number;
      readonly reply: HostReply;
      readonly body?: Uint8Array;
    }
  /** Whether the event loop still turns: asked of a tools thread that has not been idle for long. */
  | { readonly t: 'ping' };

// ---- bodies ----------------------------------------------------------------------------------------------------
/** From this size on a transfer is cheaper than the two copies of a structured clone. */
export const TRANSFER_FROM_BYTES = 16_384;

/** The same bytes, alone in their ArrayBuffer: safe to clone, and to transfer. Copies only where it must. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer && !Buffer.isBuffer(bytes)) {
    return bytes as Uint8Array<ArrayBuffer>;
  }
  return new Uint8Array(bytes);
}

/**
 * In a thread: how the body of a result goes to the host. Large ones are transferred over the port now (the caller's view is
 * detached) and `undefined` is returned; small ones come back to be put into the result.
 */
export function giveBody(port: MessagePort, call: number, body: Uint8Array): Uint8Array | undefined {
  const own = ownBytes(body);
  if (own.byteLength < TRANSFER_FROM_BYTES) return own;
  port.postMessage({ t: 'body', call, body: own } satisfies FromThread, [own.buffer]);
  return undefined;
}
