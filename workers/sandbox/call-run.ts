// One call inside the thread: what it may still ask, whether it has ended, and its one answer.
// Not responsible for what a handler sees (`context`) or for deadlines: the supervisor cancels, the host terminates.
// Invariant: settles once; after that nothing is asked or told in its name.
import { setTimeout } from 'node:timers';
import { leaseholdError } from '../../src/author/errors.ts';
import type { CallContext } from '../../src/boundary/call-context.ts';
import type { CancelReason, PoolLimits } from '../../src/boundary/frames.ts';
import type { HostRequest, Notice } from '../../src/boundary/host-request.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import type { Bundle } from './bundle.ts';
import { CALL_ENDED, type Exchange, type Reply } from './exchange.ts';
import { createLogs, type Logs } from './log.ts';
import type { Answer } from './result.ts';
import type { Runnable } from './runnable.ts';

/** More than the supervisor grants to a call, so that its limit is the one that is met; this one guards the thread. */
const OPEN_REQUESTS = 10_000;

/** Shorter than the grace after which the supervisor has the thread terminated. */
const GIVE_UP_MS = 200;

export class CallRun {
  readonly id: number;
  readonly target: Runnable;
  readonly bundle: Bundle;
  readonly context: CallContext;
  readonly limits: PoolLimits;
  readonly #exchange: Exchange;
  #open = 0;
  /** Never unwound: what the handler waits for stays pending, so that no `catch` of its own sees anything. */
  #abandoned = false;
  #refusal: Failure | undefined;
  #abort: AbortController | undefined;
  #cancelled: CancelReason | undefined;
  #settle: ((answer: Answer) => void) | undefined;
  #answer: Answer | undefined;
  #logs: Logs | undefined;

  constructor(id: number, target: Runnable, bundle: Bundle, context: CallContext, limits: PoolLimits, exchange: Exchange) {
    this.id = id;
    this.target = target;
    this.bundle = bundle;
    this.context = context;
    this.limits = limits;
    this.#exchange = exchange;
  }

  get logs(): Logs {
    this.#logs ??= createLogs((notice) => this.tell(notice), this.limits.logLinesPerCall);
    return this.#logs;
  }

  get ended(): boolean {
    return this.#answer !== undefined;
  }

  /** Made when somebody looks at it: most handlers never do. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#cancelled !== undefined) this.#abort.abort(this.#cancelled);
    }
    return this.#abort.signal;
  }

  ask(request: HostRequest, body?: Uint8Array): Promise<Reply> {
    if (this.#abandoned) return new Promise(() => undefined);
    const refusal = this.#refusal ?? (this.#open >= OPEN_REQUESTS ? failure('fanout_limit') : undefined);
    if (refusal !== undefined) return refused(refusal);
    this.#open += 1;
    return this.#exchange.request(this.id, request, body);
  }

  tell(notice: Notice): void {
    if (!this.ended) this.#exchange.notice(this.id, notice);
  }

  /** Resolves with the call's one answer. */
  answered(): Promise<Answer> {
    const answer = this.#answer;
    return answer === undefined ? new Promise((resolve) => (this.#settle = resolve)) : Promise.resolve(answer);
  }

  /** The first answer counts; later ones (of an abandoned run) are dropped. */
  end(answer: Answer): Answer {
    if (this.#answer !== undefined) return this.#answer;
    this.#answer = answer;
    if (!this.#abandoned) this.#refuse(this.#refusal ?? CALL_ENDED);
    this.#settle?.(answer);
    return answer;
  }

  cancel(reason: CancelReason): void {
    if (this.ended || this.#cancelled !== undefined) return;
    this.#cancelled = reason;
    switch (reason) {
      case 'drained': // the server is going down: the handler may finish what it began
        break;
      case 'cancelled':
        this.#stop(failure('cancelled'));
        break;
      case 'deadline':
        this.#stop(failure('deadline_exceeded'));
        break;
      case 'input_required':
        this.#abandoned = true;
        this.#exchange.forget(this.id);
        this.end({ outcome: { status: 'error', failure: failure('cancelled') } });
        break;
      default:
        reason satisfies never;
    }
    this.#abort?.abort(reason);
  }

  /** A handler that does not end by itself is given up, so that the thread need not be terminated under its neighbours. */
  #stop(why: Failure): void {
    this.#refuse(why);
    setTimeout(() => this.end({ outcome: { status: 'error', failure: why } }), GIVE_UP_MS).unref();
  }

  #refuse(why: Failure): void {
    this.#refusal = why;
    if (this.#open > 0) this.#exchange.release(this.id, why);
  }
}

function refused(why: Failure): Promise<never> {
  const promise = Promise.reject(leaseholdError(why)) as Promise<never>;
  promise.catch(() => undefined);
  return promise;
}
