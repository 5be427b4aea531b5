// Entry of an egress thread: the declared tools of one tenant and its connections, for one life of the thread.
// Not responsible for recovery or policy: it runs what the supervisor orders and reports what became of it.
// Invariant: loaded once, for one tenant; nothing throws across; no tenant code and no tenant file ever runs here.
import { setImmediate as turn } from 'node:timers/promises';
import { MessageChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import { type EgressTools, EgressToolsSchema } from '../src/boundary/egress.ts';
import {
  type EgressResult,
  type EgressTask,
  type EgressThreadTask,
  giveBody,
  type LoadResult,
  type LoadTask,
  type ThreadData,
  type ThreadHello,
} from '../src/boundary/thread-messages.ts';
import { type Failure, failure } from '../src/shared/errors.ts';
import { NumberMap } from '../src/shared/number-map.ts';
import { DeclaredTools } from './bindings/declared-tool.ts';
import { createClients } from '../src/shared/net/net-settings.ts';
import { LeaseBook } from './egress/lease.ts';
import { type OrderRooms, runOrder } from './egress/run-order.ts';
import { createSchemaCheck } from './schema-check.ts';

const { limits, net } = workerData as ThreadData;
const { port1: port, port2: hostPort } = new MessageChannel();
const clients = createClients(net);
const leases = new LeaseBook();
const checkTools = createSchemaCheck(EgressToolsSchema);
const running = new NumberMap<AbortController>();

let announceLoad: (loaded: OrderRooms | Failure) => void = () => undefined;
const loaded = new Promise<OrderRooms | Failure>((resolve) => {
  announceLoad = resolve;
});
let assigned = false;

export async function run(task: EgressThreadTask): Promise<LoadResult | EgressResult | undefined> {
  switch (task.t) {
    case 'load':
      return load(task);
    case 'egress':
      return egress(task);
    case 'cancel':
      running.get(task.call)?.abort();
      return undefined;
    default:
      return task satisfies never;
  }
}

function load(task: LoadTask): LoadResult {
  if (assigned) return { ok: false, failure: failure('internal_error', { detail: 'an egress thread is loaded once' }) };
  assigned = true;
  const tools = readTools(task.body);
  if (tools === undefined) {
    const broken = failure('toolset_broken', { detail: 'the declared tools are not of their schema' });
    announceLoad(broken);
    return { ok: false, failure: broken };
  }
  announceLoad({ tools: new DeclaredTools(tools), clients, leases, resultBytes: limits.resultBytes });
  return { ok: true };
}

function readTools(body: Uint8Array): EgressTools | undefined {
  try {
    const tools: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
    return checkTools(tools) === undefined ? (tools as EgressTools) : undefined;
  } catch {
    return undefined;
  }
}

async function egress({ call, order, body }: EgressTask): Promise<EgressResult> {
  const abort = new AbortController();
  running.set(call, abort);
  try {
    const rooms = await loaded;
    if ('code' in rooms) return { outcome: { status: 'denied', sent: false, failure: failure('toolset_broken') } };
    const { outcome, body: answer } = await runOrder(rooms, order, body, abort.signal);
    // undici frees a connection one turn after its response: who asks again at once must find it, and not open another.
    await turn();
    const given = answer === undefined ? undefined : giveBody(port, call, answer);
    return given === undefined ? { outcome } : { outcome, body: given };
  } catch (error) {
    // A defect of ours. Whether the request had left is not known here, so it is said to have.
    const detail = error instanceof Error ? error.name : 'unknown';
    return { outcome: { status: 'upstream_error', sent: true, failure: failure('internal_error', { detail }) } };
  } finally {
    running.delete(call);
  }
}

parentPort?.postMessage({ t: 'hello', threadId, port: hostPort } satisfies ThreadHello, [hostPort]);
