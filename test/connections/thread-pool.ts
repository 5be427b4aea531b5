// An `EgressPool` over the real egress entry in a real Piscina pool, without a host process between.
// Not responsible for frames: a lost thread is told as `src/hosts/pool.ts` says.
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { EgressTools } from '../../src/boundary/egress.ts';
import type {
  EgressResult,
  EgressThreadTask,
  FromThread,
  LoadResult,
  ThreadData,
  ThreadHello,
} from '../../src/boundary/thread-messages.ts';
import type { EgressPool } from '../../src/hosts/pool.ts';

export interface ThreadPool extends EgressPool {
  /** Ends the thread under whatever runs. */
  terminate(): Promise<void>;
}

export async function startThreadPool(tools: EgressTools): Promise<ThreadPool> {
  const limits = { threads: 1, heapMb: 64, resultBytes: 1_000_000, logLinesPerCall: 10, progressPerCall: 1000 };
  const pool = new Piscina<EgressThreadTask, LoadResult | EgressResult | undefined>({
    filename: new URL('../../workers/egress.ts', import.meta.url).href,
    name: 'run',
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 256,
    atomics: 'disabled',
    env: {},
    workerData: { kind: 'egress', limits } satisfies ThreadData,
  });
  pool.on('error', () => undefined);
  const bodies = new Map<number, (body: Uint8Array) => void>();
  pool.on('message', ({ port }: ThreadHello) => listen(port));
  function listen(port: MessagePort): void {
    port.on('message', (message: FromThread) => {
      if (message.t === 'body') bodies.get(message.call)?.(message.body);
    });
  }
  const body = new TextEncoder().encode(JSON.stringify(tools));
  await pool.run({ t: 'load', assignment: { tenant: 'acme', bundle: 'b', vars: {} }, body });
  let calls = 0;
  return {
    running: 0,
    awake: true,
    async send(order, requestBody, signal) {
      calls += 1;
      const call = calls;
      const large = new Promise<Uint8Array>((resolve) => bodies.set(call, resolve));
      const cancel = () => void pool.run({ t: 'cancel', call, reason: 'cancelled' }).catch(() => undefined);
      signal.addEventListener('abort', cancel, { once: true });
      try {
        const result = (await pool.run({ t: 'egress', call, order, body: new Uint8Array(requestBody) })) as EgressResult;
        return { outcome: result.outcome, body: result.outcome.status === 'ok' ? (result.body ?? (await large)) : undefined };
      } catch {
        return { outcome: { status: 'transient', sent: true, local: true, detail: 'the worker was lost' }, body: undefined };
      } finally {
        signal.removeEventListener('abort', cancel);
        bodies.delete(call);
      }
    },
    async terminate() {
      await Promise.all(pool.threads.map((thread) => thread.terminate()));
    },
    close: () => pool.destroy(),
  };
}
