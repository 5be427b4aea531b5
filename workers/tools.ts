// Entry of a tools thread: builds the wall, says hello, then answers the tasks of its pool.
// Not responsible for what a task does (`sandbox/tools-thread`) or for pools, limits on time, and termination: the host is.
// Invariant: everything this thread will ever load is loaded before the wall stands, and no tenant code runs before it does;
// without a wall (`runtime: "node"`) only in the host of that one tenant.
import { MessageChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import * as typebox from 'typebox';
import * as typeboxCompile from 'typebox/compile';
import * as typeboxError from 'typebox/error';
import * as typeboxValue from 'typebox/value';
import { RUNTIME } from '../src/author/context.ts';
import { type CallResult, giveBody, type ThreadData, type ThreadHello, type ToolsTask } from '../src/boundary/thread-messages.ts';
import * as leasehold from '../src/index.ts';
import { createRequire } from './sandbox/builtins.ts';
import { toolConsole } from './sandbox/console.ts';
import { Exchange } from './sandbox/exchange.ts';
import { lockdown } from './sandbox/lockdown.ts';
import { createNodeRequire, openNodeRuntime } from './sandbox/node-runtime.ts';
import type { Answer } from './sandbox/result.ts';
import { ToolsThread } from './sandbox/tools-thread.ts';

const { limits, modules } = workerData as ThreadData;
const { port1: port, port2 } = new MessageChannel();
const provided = new Map<string, unknown>([
  ['leasehold', leasehold],
  ['typebox', typebox],
  ['typebox/compile', typeboxCompile],
  ['typebox/error', typeboxError],
  ['typebox/value', typeboxValue],
]);
const require = modules === undefined ? createRequire(provided) : createNodeRequire(provided, modules);
const thread = new ToolsThread(limits, new Exchange(port), require);

const stray = (error: unknown): void => {
  // Of no running call: the pool hears of it, and this thread ends.
  if (!thread.stray(error)) throw error;
};
process.on('uncaughtException', stray);
process.on('unhandledRejection', stray);
(modules === undefined ? lockdown : openNodeRuntime)(toolConsole(() => thread.logOfCall()));
Object.defineProperty(globalThis, RUNTIME, { value: Object.freeze({ context: () => thread.context() }) });
parentPort?.postMessage({ t: 'hello', threadId, port: port2 } satisfies ThreadHello, [port2]);

/** Piscina's task function. Never throws, never rejects. */
export function run(task: ToolsTask): unknown {
  switch (task.t) {
    case 'load':
      return thread.load(task.assignment, task.body);
    case 'describe':
      return thread.describe();
    case 'call': {
      const answer = thread.call(task);
      return answer instanceof Promise ? answer.then((late) => resultOf(task.call, late)) : resultOf(task.call, answer);
    }
    case 'cancel':
      return thread.cancel(task.call, task.reason);
    default:
      return task satisfies never;
  }
}

function resultOf(call: number, { outcome, body }: Answer): CallResult {
  if (body === undefined) return { outcome };
  const small = giveBody(port, call, body);
  return small === undefined ? { outcome } : { outcome, body: small };
}
