// One call as the host knows it: which pool and thread have it, and how a failed end of its kind looks.
// Not responsible for ending it (`supervisor-link`) or running it (`host-pool`).
// Invariant: `slot` is set once, when a thread gets the call, and stays: it tells whether anything may have happened.
import type { CancelReason, FromHost, ToHost } from '../../src/boundary/frames.ts';
import { type Failure, type FailureCode, failure } from '../../src/shared/errors.ts';
import type { HostPool } from './host-pool.ts';
import type { ThreadSlot } from './thread-slot.ts';

const CANCELLED: Record<CancelReason, FailureCode> = {
  cancelled: 'cancelled',
  deadline: 'deadline_exceeded',
  drained: 'draining',
  input_required: 'cancelled',
};
export function cancelFailure(reason: CancelReason): Failure {
  return failure(CANCELLED[reason]);
}

export type Beginning = Extract<ToHost, { t: 'describe' | 'call' | 'egress' }>;

export class HostCall {
  readonly frame: Beginning;
  pool!: HostPool;
  slot: ThreadSlot | undefined;
  /** Arguments, as long as the call waits for a thread. */
  body: Uint8Array | undefined;
  /** Streams towards the thread that are not whole yet, and streams of requests towards the supervisor. */
  readonly arriving: string[] = [];
  readonly leaving: string[] = [];
  requests = 0;

  constructor(frame: Beginning) {
    this.frame = frame;
  }

  get id(): number {
    return this.frame.call;
  }

  /** The request of a client that it belongs to. */
  get request(): string {
    return this.frame.t === 'call' ? this.frame.context.requestId : '';
  }

  get nested(): boolean {
    return this.frame.t === 'call' && this.frame.context.depth > 0;
  }

  /** The frame that ends the call without a result. */
  failed(why: Failure): FromHost {
    return this.frame.t === 'egress' ? failedEgress(this.id, this.slot !== undefined, why) : failedRun(this.id, why);
  }
}

export function failedRun(call: number, why: Failure): FromHost {
  return { t: 'outcome', call, outcome: { status: 'error', failure: why } };
}

/** @param sent a thread had it: the request of one that was lost may have been sent */
export function failedEgress(call: number, sent: boolean, why: Failure): FromHost {
  if (why.code === 'worker_lost' || why.code === 'heap_limit') {
    return { t: 'egressed', call, outcome: { status: 'transient', sent, local: true, detail: why.detail ?? why.code } };
  }
  return { t: 'egressed', call, outcome: { status: 'denied', sent, failure: why } };
}
