// The small objects that stand where Node's own would lead out of the thread: process, performance, crypto, Atomics.
// Not responsible for console (`console`) and Headers (`headers`).
// Invariant: nothing here holds a reference to what it stands for, other than single functions that need no `this`.
import type * as NodeCrypto from 'node:crypto';
import { INSTEAD_OF_PROCESS } from './allow-list.ts';

/** Plain facts and the tick queue. Events are accepted and never happen: libraries wait for `exit` to clean up. */
export function processFacade(): object {
  const real = process;
  const facade: Record<string, unknown> = {
    title: 'tool',
    version: real.version,
    versions: Object.freeze({ node: real.versions.node }),
    platform: real.platform,
    arch: real.arch,
    release: Object.freeze({ name: 'node' }),
    pid: 1,
    argv: [],
    execArgv: [],
    env: {},
    cwd: () => '/',
    nextTick: (task: (...args: unknown[]) => void, ...args: unknown[]) => real.nextTick(task, ...args),
    hrtime: Object.assign((since?: [number, number]) => real.hrtime(since), { bigint: () => real.hrtime.bigint() }),
    uptime: () => real.uptime(),
    emitWarning: () => undefined,
  };
  for (const name of ['on', 'once', 'off', 'addListener', 'prependListener', 'removeListener', 'removeAllListeners']) {
    facade[name] = () => facade;
  }
  facade['emit'] = () => false;
  facade['listenerCount'] = () => 0;
  facade['listeners'] = () => [];
  for (const [name, instead] of Object.entries(INSTEAD_OF_PROCESS)) {
    facade[name] = () => {
      throw new Error(`process.${name} is not available in tools: ${instead}.`);
    };
  }
  return facade;
}

export function performanceFacade(): object {
  const real = process;
  let loaded: Performance | undefined;
  const clock = (): Performance => (loaded ??= real.getBuiltinModule('node:perf_hooks').performance);
  return Object.freeze({
    get timeOrigin() {
      return clock().timeOrigin;
    },
    now: () => clock().now(),
    mark: () => undefined,
    measure: () => undefined,
  });
}

/**
 * No `subtle`: its jobs run in the thread pool of the whole process, where eight of them hold up every tenant's.
 * Node's module is loaded when it is first used, as above: it weighs as much as a small tool.
 */
export function cryptoFacade(): object {
  const real = process;
  let loaded: typeof NodeCrypto | undefined;
  const crypto = () => (loaded ??= real.getBuiltinModule('node:crypto'));
  return Object.freeze({
    getRandomValues: <T extends Uint8Array<ArrayBuffer>>(array: T): T => crypto().getRandomValues(array),
    randomUUID: () => crypto().randomUUID(),
  });
}

/** The pool's worker code counts its answers with `Atomics.add`, so the object stays; what blocks a thread does not. */
export function atomicsFacade(): object {
  const kept = ['add', 'and', 'or', 'xor', 'sub', 'load', 'store', 'exchange', 'compareExchange', 'isLockFree'] as const;
  return Object.freeze(Object.fromEntries(kept.map((name) => [name, (Atomics as unknown as Record<string, unknown>)[name]])));
}
