// `ctx.store.tenant` and `ctx.store.subject`: values that outlive the thread.
// Not responsible for sealing, quotas or whose rows they are: the supervisor takes tenant and subject from its own copy of the call.
// Invariant: what would be refused for its size is refused here, before it crosses.
import type { Store } from '../../src/author/context.ts';
import { leaseholdError } from '../../src/author/errors.ts';
import type { StoreRequest } from '../../src/boundary/host-request.ts';
import { failure } from '../../src/shared/errors.ts';
import type { Json } from '../../src/shared/json.ts';
import { STORE_VALUE_BYTES } from '../../src/shared/limits.ts';
import type { Ask } from './connection.ts';

const KEY_CHARACTERS = 512;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function createStore(scope: StoreRequest['scope'], ask: Ask): Store {
  return Object.freeze({
    async get<T extends Json = Json>(key: string): Promise<T | undefined> {
      const { body } = await ask({ op: 'store', scope, action: 'get', key: keyOf(key) });
      return body.byteLength === 0 ? undefined : (JSON.parse(decoder.decode(body)) as T);
    },
    async set(key: string, value: Json, options: { ttlMs?: number } = {}): Promise<void> {
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) throw new TypeError('A value in the store must be JSON; use delete to remove one.');
      const body = encoder.encode(text);
      if (body.byteLength > STORE_VALUE_BYTES) {
        throw leaseholdError(failure('store_quota', { message: `A value in the store has at most ${STORE_VALUE_BYTES} bytes.` }));
      }
      const request = { op: 'store', scope, action: 'set', key: keyOf(key) } as const;
      await ask(options.ttlMs === undefined ? request : { ...request, ttlMs: ttlOf(options.ttlMs) }, body);
    },
    async delete(key: string): Promise<void> {
      await ask({ op: 'store', scope, action: 'delete', key: keyOf(key) });
    },
  });
}

function keyOf(key: string): string {
  if (typeof key !== 'string' || key === '' || key.length > KEY_CHARACTERS) {
    throw new TypeError(`A key of the store must be a text of 1 to ${KEY_CHARACTERS} characters.`);
  }
  return key;
}

function ttlOf(ttlMs: number): number {
  if (!Number.isFinite(ttlMs) || ttlMs < 1) throw new TypeError('ttlMs must be a positive number of milliseconds.');
  return Math.ceil(ttlMs);
}
