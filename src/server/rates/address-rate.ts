// The limit of requests per address, before anybody is asked who they are: @fastify/rate-limit around the routes, where the operator
// wants it. Without it there is no hook, so it costs nothing.
// Not responsible for refusals that are not too many (`refusal-gate`). Invariant: bounded memory; healthy checks are not counted.
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { addressKey } from './address-key.ts';

const ADDRESSES = 10_000;
/** `code` of the error that the error handler of the app gets. */
export const ADDRESS_RATE = 'LEASEHOLD_ADDRESS_RATE';

/** @param perSecond 0: no limit. @param add routes that count */
export function limitedByAddress(app: FastifyInstance, perSecond: number, add: (scope: FastifyInstance) => void): void {
  if (perSecond === 0) {
    add(app);
    return;
  }
  void app.register(async (scope) => {
    await scope.register(rateLimit, { global: false });
    // Of the scope and not of the routes: those verify credentials in hooks of their own, which come after.
    scope.addHook(
      'onRequest',
      scope.rateLimit({
        max: perSecond,
        timeWindow: 1000,
        cache: ADDRESSES,
        keyGenerator: ({ ip }) => addressKey(ip),
        errorResponseBuilder: () => Object.assign(new Error('too many requests'), { code: ADDRESS_RATE, statusCode: 429 }),
      }),
    );
    add(scope);
  });
}
