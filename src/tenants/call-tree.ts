// The state of one client request while it runs: the root with its slot, deadline and budget, and the tree of calls in it.
// Not responsible for running anything (`dispatch`, `host-requests`): it only knows what is under way and stops it.
// Invariant: the slot is given back once, after the request was answered and no thread works for it any more; a stop
// reaches every call of the tree, and what does not react within the grace is killed.
import type { CancelReason } from '../boundary/frames.ts';
import type { OperationKind } from '../boundary/operation.ts';
import type { ActiveCall } from '../hosts/pool.ts';
import type { CallOutcome } from '../boundary/outcome.ts';
import type { Asking, Caller } from '../mcp/ports.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { newCorrelationId } from '../shared/ids.ts';
import type { Slot } from './admission/admission.ts';
import type { Rounds } from './asking/rounds.ts';
import type { Runnable, Tenant, Toolset } from './tenant.ts';

/** How long a run may take to notice that it was stopped before its thread is terminated. */
const STOP_GRACE_MS = 500;

/** One operation under way: the client's, or a tool that it called. */
export interface Call {
  readonly root: Root;
  readonly parent: Call | undefined;
  readonly kind: OperationKind;
  readonly spec: Runnable;
  /** Audit id of this operation; the root's is the correlation id. */
  readonly id: string;
  readonly depth: number;
  /** Where it stands in the tree, by numbers of operations; empty for the client's own call (see `asking/journal`). */
  readonly path: string;
  readonly startedAt: number;
  /** Set before a request that must not be repeated leaves for an upstream, here or in a nested call. */
  unsafeSent: boolean;
  /** Set before a value of the store is written or deleted, here or in a nested call: repeating it may count twice. */
  wrote: boolean;
}

type Suspended = Extract<CallOutcome, { status: 'input_required' }>;

export class Root {
  readonly caller: Caller;
  readonly tenant: Tenant;
  readonly toolset: Toolset;
  /** Epoch milliseconds. */
  readonly deadline: number;
  /** How the client can be asked; `rounds` does it where the era has no stream for questions. */
  readonly asking: Asking | undefined;
  rounds: Rounds | undefined;
  #slot: Slot;
  #suspended: Suspended | undefined;
  /** Few at a time, and of most requests one. */
  #live: ActiveCall[] = [];
  #onStop: ((reason: CancelReason) => void)[] = [];
  #stopped: CancelReason | undefined;
  #answered = false;
  #operations = 0;
  #egressCalls = 0;
  #egressBytes = 0;
  #deadlineTimer: NodeJS.Timeout;
  #abort: AbortController | undefined;

  constructor(caller: Caller, tenant: Tenant, toolset: Toolset, slot: Slot, timeoutMs: number, asking?: Asking) {
    this.caller = caller;
    this.asking = asking;
    this.tenant = tenant;
    this.toolset = toolset;
    this.deadline = Math.round(Date.now() + timeoutMs);
    this.#slot = slot;
    this.#deadlineTimer = setTimeout(() => this.stop('deadline'), timeoutMs);
  }

  begin(kind: OperationKind, spec: Runnable, parent: Call | undefined, path = ''): Call {
    return {
      root: this,
      parent,
      kind,
      spec,
      id: parent === undefined ? this.caller.correlation : newCorrelationId(),
      depth: parent === undefined ? 0 : parent.depth + 1,
      path,
      startedAt: performance.now(),
      unsafeSent: false,
      wrote: false,
    };
  }

  /** Counts one operation of a tool (fetch, call, store, elicit); false when the budget of the request is used up. */
  spend(): boolean {
    this.#operations += 1;
    return this.#operations <= this.tenant.config.limits.operationsPerCall;
  }

  /** Counts a request to an upstream; the failure where one of the limits on them is used up. */
  spendEgress(bytes: number): Failure | undefined {
    const { egressCallsPerCall, egressBytesPerCall } = this.tenant.config.limits;
    this.#egressCalls += 1;
    this.#egressBytes += bytes;
    if (this.#egressCalls > egressCallsPerCall) return egressLimit('egressCallsPerCall', egressCallsPerCall);
    return this.#egressBytes > egressBytesPerCall ? egressLimit('egressBytesPerCall', egressBytesPerCall) : undefined;
  }
  /** Bytes that upstreams may still send. */
  get egressBytesLeft(): number {
    return this.tenant.config.limits.egressBytesPerCall - this.#egressBytes;
  }
  received(bytes: number): void {
    this.#egressBytes += bytes;
  }

  get stopped(): CancelReason | undefined {
    return this.#stopped;
  }

  /** Answered or stopped. */
  get over(): boolean {
    return this.#answered || this.#stopped !== undefined;
  }

  /** The run is abandoned: the client is told to come again with answers. */
  suspend(outcome: Suspended): void {
    this.#suspended = outcome;
    this.stop('input_required');
  }
  get suspended(): Suspended | undefined {
    return this.#suspended;
  }

  /** Aborts when the request is stopped: for egress. Made on first use, since most calls never need one. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#stopped !== undefined) this.#abort.abort(this.#stopped);
    }
    return this.#abort.signal;
  }

  /** Calls back at once where the request is already stopped. */
  onStop(listener: (reason: CancelReason) => void): void {
    if (this.#stopped === undefined) this.#onStop.push(listener);
    else listener(this.#stopped);
  }
  offStop(listener: (reason: CancelReason) => void): void {
    remove(this.#onStop, listener);
  }

  /** A thread begins to work for this request; pair with `ended`. */
  working(active: ActiveCall): void {
    this.#live.push(active);
    if (this.#stopped !== undefined) this.#stopOne(active, this.#stopped);
  }
  ended(active: ActiveCall): void {
    remove(this.#live, active);
    this.#releaseWhenDone();
  }

  stop(reason: CancelReason): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    this.#abort?.abort(reason);
    // Of those of now: one may end while it is stopped.
    const live = [...this.#live];
    for (const active of live) this.#stopOne(active, reason);
    for (const listener of this.#onStop.splice(0)) listener(reason);
  }

  /** The client has its answer; whatever still runs is stopped, requests to upstreams that nobody waits for included. */
  answered(): void {
    this.#answered = true;
    clearTimeout(this.#deadlineTimer);
    this.stop('cancelled');
    this.#releaseWhenDone();
  }

  #stopOne(active: ActiveCall, reason: CancelReason): void {
    active.cancel(reason);
    const kill = setTimeout(() => {
      if (this.#live.includes(active)) active.kill();
    }, STOP_GRACE_MS);
    kill.unref();
  }

  #releaseWhenDone(): void {
    if (this.#answered && this.#live.length === 0) this.#slot.release();
  }
}

function remove<T>(from: T[], one: T): void {
  const at = from.indexOf(one);
  if (at !== -1) from.splice(at, 1);
}

function egressLimit(limit: string, value: number): Failure {
  return failure('egress_limit', { message: `The call has reached its limit ${limit} (${value}).`, limit });
}

/** Marks the call and all that wait for it: a lost worker above it can no longer be called "nothing happened". */
export function markUnsafe(call: Call): void {
  for (let at: Call | undefined = call; at !== undefined && !at.unsafeSent; at = at.parent) at.unsafeSent = true;
}

export function markWrote(call: Call): void {
  for (let at: Call | undefined = call; at !== undefined && !at.wrote; at = at.parent) at.wrote = true;
}

/** Whether anything of the client's request was sent that must not be repeated. */
export function isUnsafe(call: Call): boolean {
  let at = call;
  while (at.parent !== undefined) at = at.parent;
  return at.unsafeSent;
}

/** Before this revision a structured result was an object (MCP 2025-06-18, "Structured Content"). */
const ANY_SINCE = '2026-07-28';
/** Whether the result goes to a client that takes nothing else; results of nested calls go to tools. */
export function objectsOnly({ depth, root }: Call): boolean {
  return depth === 0 && root.caller.client.protocolVersion < ANY_SINCE;
}

/** Whether the tool is already under way above this call. */
export function isCycle(call: Call, tool: string): boolean {
  for (let at: Call | undefined = call; at !== undefined; at = at.parent)
    if (at.kind === 'tool' && at.spec.name === tool) return true;
  return false;
}
