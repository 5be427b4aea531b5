// The catalogue of frames between the supervisor and a host process, one union per direction.
// Not responsible for bytes (`frame-codec`) or for meaning (each side is one exhaustive switch).
// Invariant: `call` is the supervisor's own number, unique for the life of a host process; a frame for a call that is
// settled or unknown is dropped. Every frame from a host is untrusted input.
import { type Static, type TSchema, Type } from 'typebox';
import { CallContextSchema } from './call-context.ts';
import { EgressOrderSchema, EgressOutcomeSchema } from './egress.ts';
import { HostReplySchema, HostRequestSchema, NoticeSchema } from './host-request.ts';
import { OperationSchema } from './operation.ts';
import { FailureSchema, OutcomeSchema } from './outcome.ts';

const Id = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** True: more bytes of this frame's body follow in `chunk` frames under the same stream. Absent: the body is whole. */
const More = Type.Optional(Type.Literal(true));
function frame<T extends string, P extends Record<string, TSchema>>(t: T, properties: P) {
  return Type.Object({ t: Type.Literal(t), ...properties }, { additionalProperties: false });
}

export const CANCEL_REASONS = ['cancelled', 'deadline', 'drained', 'input_required'] as const;
export type CancelReason = (typeof CANCEL_REASONS)[number];

/** How far V8's own limit lies above `heapMb`. It ends the process for one large store, so it must hardly ever be met. */
export const HARD_HEAP_FACTOR = 8;

// ---- supervisor -> host ----------------------------------------------------------------------------------------
export const PoolLimitsSchema = Type.Object(
  {
    threads: Type.Integer({ minimum: 1 }),
    /** JavaScript heap of one thread, MiB. V8's own limit lies `HARD_HEAP_FACTOR` above it. */
    heapMb: Type.Integer({ minimum: 1 }),
    /** Memory of one thread outside its heap, MiB; absent: as much as its work needs. */
    offHeapMb: Type.Optional(Type.Integer({ minimum: 1 })),
    /** Longest run of one thread without a turn of its event loop, milliseconds; absent: any. */
    runMs: Type.Optional(Type.Integer({ minimum: 1 })),
    resultBytes: Type.Integer(),
    logLinesPerCall: Type.Integer(),
    progressPerCall: Type.Integer(),
    /** A thread serves one call and is replaced by a fresh one; absent: calls of a tenant share their threads. */
    isolation: Type.Optional(Type.Literal('call')),
  },
  { additionalProperties: false },
);
export type PoolLimits = Static<typeof PoolLimitsSchema>;

/** What a pool serves. Body of the frame: tools = the bundle's script (UTF-8); egress = `EgressTools` JSON. */
export const AssignmentSchema = Type.Object(
  {
    tenant: Type.String(),
    /** SHA-256 of the bundle, hex. Names the script in stack traces. */
    bundle: Type.String(),
    /** `ctx.vars` of the tenant. */
    vars: Type.Record(Type.String(), Type.Unknown()),
  },
  { additionalProperties: false },
);
export type Assignment = Static<typeof AssignmentSchema>;

export const ToHostSchema = Type.Union([
  /** Starts a pool: with an assignment (and body) for a tenant, without one as a warm spare that is assigned later, once. */
  frame('open', { pool: Id, limits: PoolLimitsSchema, assignment: Type.Optional(AssignmentSchema), more: More }),
  frame('assign', { pool: Id, assignment: AssignmentSchema, more: More }),
  /** Ends a pool: running calls get `drainMs`, then its threads are terminated. */
  frame('close', { pool: Id, drainMs: Type.Integer({ minimum: 0 }) }),
  /** Asks a tools pool for its manifest; answered by `described`. */
  frame('describe', { pool: Id, call: Id }),
  /** Body: arguments as JSON text. */
  frame('call', { pool: Id, call: Id, operation: OperationSchema, context: CallContextSchema, more: More }),
  frame('egress', { pool: Id, call: Id, order: EgressOrderSchema, more: More }),
  /** Answer to a `request` of a running call. */
  frame('reply', { call: Id, request: Id, reply: HostReplySchema, more: More }),
  /** Asks the run to stop: its `ctx.signal` aborts. */
  frame('cancel', { call: Id, reason: Type.Enum(CANCEL_REASONS) }),
  /** Terminates the thread that runs the call; its neighbours on that thread get `worker_lost`. */
  frame('kill', { call: Id }),
  /** The supervisor consumed `bytes` of a body under way from this host. Streams are named in `body-sender`. */
  frame('credit', { stream: Type.String(), bytes: Type.Integer({ minimum: 1 }) }),
  /** `lost`: the source of the body broke off; what has arrived of it is not whole and must not be used. */
  frame('chunk', { stream: Type.String(), more: More, lost: Type.Optional(Type.Literal(true)) }),
  frame('ping', { seq: Id }),
]);
export type ToHost = Static<typeof ToHostSchema>;

/** Of a pool: those of its limit, one more where each call has its own, and as many that are ending. */
export const MAX_THREADS = 64;

// ---- host -> supervisor ----------------------------------------------------------------------------------------
export const FromHostSchema = Type.Union([
  frame('ready', { pid: Id, node: Type.String() }),
  frame('opened', { pool: Id, readyMs: Type.Number() }),
  /** The threads that the pool has now, by the numbers that Node gives them in this process. Said before they run anything. */
  frame('threads', { pool: Id, ids: Type.Array(Id, { maxItems: MAX_THREADS }) }),
  /** The pool cannot serve: the bundle failed at load (`failure.detail` holds the stack) or a thread could not start. `closed` follows. */
  frame('broken', { pool: Id, failure: FailureSchema }),
  /** The threads of the pool are gone. */
  frame('closed', { pool: Id }),
  /** Body: the manifest as JSON. */
  frame('described', { call: Id, more: More }),
  /** The one end of a call of a tools pool. Body: see `CallOutcome`. */
  frame('outcome', { call: Id, outcome: OutcomeSchema, more: More }),
  /** The one end of an egress order. */
  frame('egressed', { call: Id, outcome: EgressOutcomeSchema, more: More }),
  /** A running call asks; answered by `reply` with the same numbers. */
  frame('request', { call: Id, request: Id, ask: HostRequestSchema, more: More }),
  /** What the threads of a pool use, told while they work: CPU time since the last one, and what they hold now. */
  frame('usage', {
    pool: Id,
    cpuUs: Type.Integer({ minimum: 0, maximum: 1e9 }),
    threads: Type.Integer({ minimum: 0, maximum: 1024 }),
    heapBytes: Type.Integer({ minimum: 0, maximum: 2 ** 43 }),
  }),
  frame('notice', { call: Id, notice: NoticeSchema }),
  /** Something went wrong in a thread after or outside any call (late throw, unhandled rejection). For the author's log. */
  frame('pool_error', { pool: Id, detail: Type.String({ maxLength: 16_384 }) }),
  frame('chunk', { stream: Type.String(), more: More }),
  frame('pong', { seq: Id }),
]);
export type FromHost = Static<typeof FromHostSchema>;
