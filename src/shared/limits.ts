// The limits of one tenant: names, units, defaults and bounds, as one schema. What is advertised here is what is enforced.
// Not responsible for enforcing: admission and dispatch (supervisor), hosts and threads do, each by these names.
// Invariant: durations end in `Ms`, sizes in `Bytes` or `Mb` (MiB).
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

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
    logLinesPerCall: integer(1000, 0, 100_000, 'Log lines kept of one call; further ones are counted and dropped.'),
    idleMs: integer(60_000, 100, 86_400_000, 'A pool without a call for this long is ended; the next call starts it again.'),
    storeBytes: integer(16_777_216, 0, 1_073_741_824, 'Sum of all values in the store of the tenant.'),
  },
  { additionalProperties: false },
);
export type Limits = Static<typeof LimitsSchema>;

/** A value in the store of a tool, at most. */
export const STORE_VALUE_BYTES = 65_536;

/** The defaults alone. */
export const DEFAULT_LIMITS: Limits = Object.freeze(Value.Default(LimitsSchema, {}) as Limits);
