// What an active thread of each kind weighs in its host, beside a bare worker that loads the same code.
// Not responsible for judging the figures (`bars`).
// Invariant: a figure is the growth of the hosts over N further tenants divided by N, so that what the process has once
// does not count; proportional set size, so that shared pages do not count twice.
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { memoryBytes, treeOf } from '../load/processes.ts';
import type { Target } from '../load/requests.ts';
import type { BenchOptions } from '../options.ts';
import { endpointOf, Estate } from '../subjects.ts';
import { bareWorkers, timedCall, timedEcho } from './start.ts';

export interface MemoryFigures {
  readonly supervisorMb: number;
  readonly hostsIdleMb: number;
  readonly toolsThreadMb: number;
  readonly bareToolsThreadMb: number;
  readonly egressThreadMb: number;
  readonly bareEgressThreadMb: number;
}

const MB = 1024 * 1024;
const round = (bytes: number) => Math.round((bytes / MB) * 10) / 10;
const SETTLE_MS = 500;
const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

function hostsBytes(supervisor: number): number {
  return treeOf(supervisor)
    .slice(1)
    .reduce((sum, pid) => sum + memoryBytes(pid), 0);
}

export async function memoryFigures(options: BenchOptions): Promise<MemoryFigures> {
  const upstream = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"item":"here"}');
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const estate = await Estate.create({ spares: 0, egress: { privateOrigins: [origin] } });
  try {
    const ids = Array.from({ length: options.samples }, (_, index) => `t${index}`);
    const tenant = { connections: { upstream: { type: 'none', origins: [origin] } } };
    for (const id of ids) await estate.addTenant(id, tenant);
    const tokens = new Map<string, string>();
    for (const id of ids) tokens.set(id, await estate.token(id));
    const server = await estate.serve();
    const target = (id: string): Target => ({ url: endpointOf(server, id), token: tokens.get(id) as string });
    const fetchItem = (id: string) => timedCall(target(id), 'fetch_item', { id: '1' }, 'here');
    const growth = async (act: (id: string) => Promise<unknown>) => {
      const [first = '', ...others] = ids;
      await act(first);
      await settle();
      const before = hostsBytes(server.pid);
      for (const id of others) await act(id);
      await settle();
      return (hostsBytes(server.pid) - before) / others.length;
    };
    await settle();
    const hostsIdle = hostsBytes(server.pid);
    const tools = await growth((id) => timedEcho(target(id)));
    const egress = await growth(fetchItem);
    const supervisor = memoryBytes(server.pid);
    await server.stop();
    const bareTools = await bareWorkers('tools', options.samples);
    const bareEgress = await bareWorkers('egress', options.samples);
    return {
      supervisorMb: round(supervisor),
      hostsIdleMb: round(hostsIdle),
      toolsThreadMb: round(tools),
      bareToolsThreadMb: round(bareTools.bytesPerThread),
      egressThreadMb: round(egress),
      bareEgressThreadMb: round(bareEgress.bytesPerThread),
    };
  } finally {
    upstream.close();
    await estate.remove();
  }
}
