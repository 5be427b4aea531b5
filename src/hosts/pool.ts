// What the supervisor sees of a tenant's pool in a host process: lazy, restartable, and settled exactly once per call.
// Not responsible for admission, deadlines or policy (`tenants/`), nor for what a failed call means to its caller.
// Invariant: whatever dies, every call that was begun gets `end` once; a lost host or thread ends it with `worker_lost`.
import type { CallContext } from '../boundary/call-context.ts';
import type { EgressOrder, EgressOutcome } from '../boundary/egress.ts';
import type { CancelReason } from '../boundary/frames.ts';
import type { HostReply, HostRequest, Notice } from '../boundary/host-request.ts';
import type { Operation } from '../boundary/operation.ts';
import type { CallOutcome } from '../boundary/outcome.ts';
import type { Limits } from '../shared/limits.ts';

/** Bytes that crossed the line: whole when they fit one frame (at most 64 KiB), else a stream that is read once. */
export type Body = Uint8Array | BodyStream;
export interface BodyStream extends AsyncIterable<Uint8Array> {
  /** Gives the rest up; the host stops sending. */
  cancel(): void;
}

export interface CallSink {
  /** The running call asks something; `body` is whole. Answer with `ActiveCall.reply`. */
  request(request: number, ask: HostRequest, body: Uint8Array): void;
  notice(notice: Notice): void;
  /** The one end. `body` comes with `ok` only. */
  end(outcome: CallOutcome, body: Body | undefined): void;
}

export interface ActiveCall {
  reply(request: number, reply: HostReply, body?: Body): void;
  cancel(reason: CancelReason): void;
  /** Terminates the thread under the call. */
  kill(): void;
}

/** For the code of one tenant that is trusted with the rights of a host of its own. Absolute paths. */
export interface NodeRights {
  /** Folder from which packages are looked up. */
  readonly modules: string;
  /** Files and folders it may read. */
  readonly reads: readonly string[];
}

/** What a tools pool serves; `script` is read when the pool starts, not before. */
export interface ToolsPoolSpec {
  readonly tenant: string;
  readonly cordon: string;
  readonly bundle: string;
  readonly vars: Record<string, unknown>;
  readonly limits: Limits;
  /** `call`: a fresh thread for each call. Default `thread`. */
  readonly isolation?: 'thread' | 'call';
  /** No sandbox; `cordon` must be the tenant's alone. */
  readonly rights?: NodeRights | undefined;
  script(): Promise<Uint8Array>;
}
export interface EgressPoolSpec {
  readonly tenant: string;
  readonly cordon: string;
  readonly bundle: string;
  readonly limits: Limits;
  /** `EgressTools` as JSON text. */
  tools(): Uint8Array;
}

export interface ToolsPool {
  readonly running: number;
  /** True while threads exist. */
  readonly awake: boolean;
  call(operation: Operation, context: CallContext, args: Uint8Array, sink: CallSink): ActiveCall;
  /** The manifest as the thread tells it: untrusted JSON text. Rejects with `PoolBroken` where the bundle does not load. */
  describe(): Promise<Uint8Array>;
  /** No new calls; running ones get `drainMs`. Resolves when the threads are gone. */
  close(drainMs: number): Promise<void>;
}

export interface EgressPool {
  readonly running: number;
  readonly awake: boolean;
  /**
   * Never rejects: a lost host or thread is `transient` with `local: true`, and `sent: true` where it may have had the order.
   * Aborting, with a `CancelReason`, gives up the request and its body.
   */
  send(order: EgressOrder, body: Uint8Array, signal: AbortSignal): Promise<{ outcome: EgressOutcome; body: Body | undefined }>;
  close(drainMs: number): Promise<void>;
}

/** Said of a pool outside any call: for logs and metrics. `detail` is the author's, unmapped. */
export interface PoolReport {
  readonly tenant: string;
  readonly kind: 'tools' | 'egress';
  readonly bundle: string;
  readonly event: 'opened' | 'closed' | 'broken' | 'late_error' | 'host_lost';
  readonly detail?: string;
  readonly readyMs?: number;
}

/** A tenant that is kept in hosts of its own, since it may have killed a shared one. */
export interface Apart {
  readonly kind: 'tools' | 'egress';
  readonly tenant: string;
  /** Deaths of hosts that it had work in. */
  readonly deaths: number;
  /** Epoch milliseconds, where nothing happens until then. */
  readonly until: number;
}
export type SeparationReport =
  | ({ readonly event: 'separated' } & Apart)
  | { readonly event: 'returned'; readonly kind: 'tools' | 'egress'; readonly tenant: string };

/** All host processes of this supervisor. */
export interface Hosts {
  toolsPool(spec: ToolsPoolSpec): ToolsPool;
  egressPool(spec: EgressPoolSpec): EgressPool;
  /** Tenants that are kept apart now. */
  apart(): readonly Apart[];
  /** Ends every host: pools get `drainMs`, then SIGKILL for what is left. */
  close(drainMs: number): Promise<void>;
}
