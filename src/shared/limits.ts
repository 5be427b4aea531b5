// The limits of one tenant: names, units, defaults and bounds, as one schema. What is advertised here is what is enforced.
// Not responsible for enforcing: admission and dispatch (supervisor), hosts and threads do, each by these names.
// Invariant: durations end in `Ms`, sizes in `Bytes` or `Mb` (MiB).
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

/** A budget that most tenants do not have. */
function budget(description: string) {
  return Type.Optional(Type.Integer({ minimum: 0, description }));
}

function integer(fallback: number, minimum: number, maximum: number, description: string) {
  return Type.Integer({ default: fallback, minimum, maximum, description });
}

export const LimitsSchema = Type.Object(
  {
    threads: integer(1, 1, 16, 'Worker threads of the tools pool.'),
    heapMb: integer(64, 16, 4096, 'JavaScript heap of one tools thread, MiB.'),
    offHeapMb: integer(64, 16, 4096, 'Memory of one tools thread outside its heap (buffers), MiB.'),
    runMs: integer(5000, 100, 600_000, 'Longest run of a tools thread without a pause: what does not await holds up all else.'),
    concurrentCalls: integer(32, 1, 10_000, 'Calls of the tenant under way at once; nested calls run in the slot of their root.'),
    subjectRequestsPerSecond: integer(
      0,
      0,
      1_000_000,
      'Requests that one subject may begin in a second; as many may come at once. 0: no limit.',
    ),
    callsPerSubject: integer(32, 1, 10_000, 'Calls of one subject under way at once.'),
    callsPerSecond: integer(1000, 1, 1_000_000, 'Calls that may begin in a second; as many may come at once.'),
    queueLength: integer(64, 0, 10_000, 'Calls that may wait for a slot.'),
    queueWaitMs: integer(2000, 0, 60_000, 'Longest wait for a slot; a call that would wait longer is refused at once.'),
    weight: integer(1, 1, 100, 'Share of the server where all tenants together want more than it can do.'),
    callDeadlineMs: integer(30_000, 100, 600_000, 'Longest duration of a call, nested work included.'),
    argumentsBytes: integer(1_048_576, 1024, 16_777_216, 'Largest arguments of a call.'),
    resultBytes: integer(8_388_608, 1024, 67_108_864, 'Largest result of a call.'),
    nestingDepth: integer(8, 0, 32, 'Deepest chain of nested calls.'),
    operationsPerCall: integer(
      256,
      1,
      10_000,
      'Requests (fetch, call, store, elicit) that one call, its nested calls included, may make.',
    ),
    upstreamBytes: integer(5_242_880, 1024, 67_108_864, 'Largest response body of one egress request, after decompression.'),
    egressCallsPerCall: integer(128, 0, 10_000, 'Requests to upstreams that one call, its nested calls included, may make.'),
    egressBytesPerCall: integer(
      52_428_800,
      0,
      1_073_741_824,
      'Bytes to and from upstreams of one call, its nested calls included.',
    ),
    logLinesPerCall: integer(1000, 0, 100_000, 'Log lines kept of one call; further ones are counted and dropped.'),
    logLinesPerSecond: integer(
      2000,
      1,
      100_000,
      'Log lines kept of the tenant in a second; further ones are counted and dropped.',
    ),
    progressPerCall: integer(1000, 0, 100_000, 'Progress notifications of one call that are passed on.'),
    progressPerSecond: integer(100, 1, 10_000, 'Progress notifications of one call that are passed on in a second.'),
    idleMs: integer(60_000, 100, 86_400_000, 'A pool without a call for this long is ended; the next call starts it again.'),
    callsPerDay: budget('Calls in a day (UTC). Absent: any number.'),
    cpuSecondsPerDay: budget("CPU time of the tenant's tools threads in a day (UTC), seconds. Absent: any."),
    egressBytesPerDay: budget('Bytes to and from upstreams in a day (UTC). Absent: any number.'),
    storeBytes: integer(16_777_216, 0, 1_073_741_824, 'Sum of all values in the store of the tenant.'),
  },
  { additionalProperties: false },
);
export type Limits = Static<typeof LimitsSchema>;

/** The limits that are refused or cut by name. */
export type LimitName = keyof Limits;

/** A value in the store of a tool, at most. */
export const STORE_VALUE_BYTES = 65_536;

/** The defaults alone. */
export const DEFAULT_LIMITS: Limits = Object.freeze(Value.Default(LimitsSchema, {}) as Limits);
