// Whether and when a request is sent again: pure.
// Not responsible for sending or for the breaker.
// Invariant: a request that may have had an effect is repeated only where repeating it is harmless.
import type { LoadedBinding } from '../boundary/binding.ts';
import type { FetchRequest } from '../boundary/host-request.ts';

/** Times that one request is sent, at most. */
export const ATTEMPTS = 3;
const BASE_MS = 100;
const LONGEST_MS = 2000;

/** RFC 9110 9.2.2: their effect is the same once or many times. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** What the binding says of itself counts more than its kind. */
export function isRepeatableBinding(binding: LoadedBinding): boolean {
  const { idempotent, idempotencyKey } = binding;
  return idempotent ?? (idempotencyKey !== undefined || isSafeByKind(binding));
}

function isSafeByKind(binding: LoadedBinding): boolean {
  switch (binding.kind) {
    case 'rest':
      return IDEMPOTENT.has(binding.method);
    case 'graphql':
      return binding.operation.type === 'query';
    case 'jsonrpc':
      return false;
    default:
      return binding satisfies never;
  }
}

export function isRepeatableFetch(request: FetchRequest): boolean {
  return request.idempotencyKey !== undefined || IDEMPOTENT.has(request.method.toUpperCase());
}

/**
 * Milliseconds to wait before the next attempt, or undefined where there must be none.
 * @param attempt number of the attempt that failed, from 1
 * @param retryAfterMs what the upstream asked for: never undercut
 * @param leftMs time until the deadline; a wait that would use it up is not begun
 * @param random in [0, 1): full jitter, so that callers who failed together do not come back together
 */
export function backoffMs(attempt: number, retryAfterMs: number | undefined, leftMs: number, random: number): number | undefined {
  if (attempt >= ATTEMPTS) return undefined;
  const jittered = random * Math.min(BASE_MS * 2 ** attempt, LONGEST_MS);
  const wait = Math.ceil(Math.max(jittered, retryAfterMs ?? 0));
  return wait < leftMs ? wait : undefined;
}
