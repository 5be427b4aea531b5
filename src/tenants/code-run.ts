// One run of a tenant's code (a tool, prompt, resource or completion) in its pool: relays what it asks and says, and settles exactly once.
// Not responsible for records, policy or judging the outcome (`dispatch`), nor for answering requests (`host-requests`).
// Invariant: the caller is answered by whichever comes first, the outcome or a stop; what comes later is dropped.
import type { CallContext } from '../boundary/call-context.ts';
import type { CancelReason } from '../boundary/frames.ts';
import type { HostReply, HostRequest, Notice } from '../boundary/host-request.ts';
import type { CallOutcome } from '../boundary/outcome.ts';
import type { ActiveCall, Body, CallSink, ToolsPool } from '../hosts/pool.ts';
import { withoutLinks } from '../shared/connect-links.ts';
import { FAILURES, type Failure, type FailureClass, type FailureCode, failure } from '../shared/errors.ts';
import { type Call, objectsOnly, type Root } from './call-tree.ts';

export interface Ended {
  readonly outcome: CallOutcome;
  readonly body?: Body;
}

export interface Replied {
  readonly reply: HostReply;
  readonly body?: Body;
}

/** What a run needs from around it. */
export interface RunPorts {
  /** Answers a request of the running tool; never rejects. */
  answer(call: Call, ask: HostRequest, body: Uint8Array): Promise<Replied>;
  notice(call: Call, notice: Notice): void;
}

/** What a host or thread may say of a run by itself. The rest (who is who, what is allowed, links) is the supervisor's to say. */
const OWN_CLASSES: ReadonlySet<FailureClass> = new Set(['limit', 'tool', 'upstream', 'transient']);
const OWN_CODES: ReadonlySet<FailureCode> = new Set([
  'arguments_invalid',
  'tool_unknown',
  'prompt_unknown',
  'resource_unknown',
  'internal_error',
]);

const STOPPED: Record<CancelReason, FailureCode> = {
  cancelled: 'cancelled',
  deadline: 'deadline_exceeded',
  drained: 'draining',
  input_required: 'cancelled',
};

/** How a call ends that was stopped for `reason` before it had an outcome. */
export function stoppedOutcome({ suspended }: Root, reason: CancelReason): Ended {
  if (reason === 'input_required' && suspended !== undefined) return { outcome: suspended };
  return { outcome: { status: 'error', failure: failure(STOPPED[reason]) } };
}

function contextOf(call: Call): CallContext {
  const { caller, tenant, deadline } = call.root;
  const { client, principal } = caller;
  return {
    tenant: tenant.id,
    subject: principal.subject,
    scopes: [...principal.scopes],
    requestId: caller.correlation,
    traceparent: caller.traceparent,
    depth: call.depth,
    deadline,
    ...(caller.tracestate === undefined ? {} : { tracestate: caller.tracestate }),
    ...(caller.baggage === undefined ? {} : { baggage: caller.baggage }),
    ...(objectsOnly(call) ? { objectsOnly: true } : {}),
    ...(client.name === undefined ? {} : { client: { name: client.name, version: client.version ?? '' } }),
  };
}

class CodeRun implements CallSink {
  readonly #call: Call;
  readonly #ports: RunPorts;
  readonly #settle: (ended: Ended) => void;
  readonly #stop = (reason: CancelReason): void => this.#finish(stoppedOutcome(this.#call.root, reason));
  #active: ActiveCall | undefined;
  #settled = false;
  /** Failures that this run was answered with, by code: it may end with one of them. */
  #told: Map<FailureCode, Failure> | undefined;

  constructor(call: Call, ports: RunPorts, settle: (ended: Ended) => void) {
    this.#call = call;
    this.#ports = ports;
    this.#settle = settle;
  }

  begin(pool: ToolsPool, args: Uint8Array): void {
    const { root, kind, spec } = this.#call;
    this.#active = pool.call({ kind, name: spec.name }, contextOf(this.#call), args, this);
    root.working(this.#active);
    root.onStop(this.#stop);
  }

  request(request: number, ask: HostRequest, body: Uint8Array): void {
    if (this.#settled) return;
    void this.#ports.answer(this.#call, ask, body).then((replied) => {
      if (this.#settled) return cancelBody(replied.body);
      if (replied.reply.status === 'error') (this.#told ??= new Map()).set(replied.reply.failure.code, replied.reply.failure);
      this.#active?.reply(request, forTheTenant(replied.reply), replied.body);
    });
  }

  notice(notice: Notice): void {
    if (!this.#settled) this.#ports.notice(this.#call, notice);
  }

  end(outcome: CallOutcome, body: Body | undefined): void {
    if (this.#active !== undefined) this.#call.root.ended(this.#active);
    if (this.#settled) return cancelBody(body);
    const believed = this.#believe(outcome);
    this.#finish(body === undefined ? { outcome: believed } : { outcome: believed, body });
  }

  /** A thread is untrusted: a code of the supervisor's, or a link, counts only as it was told to this run. */
  #believe(outcome: CallOutcome): CallOutcome {
    if (outcome.status !== 'error') return outcome;
    const { code } = outcome.failure;
    if (OWN_CLASSES.has(FAILURES[code].class) || OWN_CODES.has(code)) return outcome;
    const told = this.#told?.get(code);
    return { status: 'error', failure: told ?? failure('tool_failed', { detail: `the thread ended the call with ${code}` }) };
  }

  #finish(ended: Ended): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#call.root.offStop(this.#stop);
    this.#settle(ended);
  }
}

/** The run itself is told all of a failure: it may end with it. Its code is not shown what opens a page for somebody. */
function forTheTenant(reply: HostReply): HostReply {
  return reply.status === 'error' ? { status: 'error', failure: withoutLinks(reply.failure as Failure) } : reply;
}

/** Gives up what is left of a body that nobody will read. */
export function cancelBody(body: Body | undefined): void {
  if (body !== undefined && !(body instanceof Uint8Array)) body.cancel();
}

/** Runs the operation; resolves once, never rejects. */
export function runCode(call: Call, pool: ToolsPool, args: Uint8Array, ports: RunPorts): Promise<Ended> {
  return new Promise((resolve) => new CodeRun(call, ports, resolve).begin(pool, args));
}
