// The memory that a Node process holds after a garbage collection, asked through its inspector.
// Not responsible for what the process does. Invariant: only servers that the benchmark itself started with `inspectArgs` are
// asked, on loopback; figures of load are never taken from a process that is inspected.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { memoryBytes } from './processes.ts';

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Collects twice (the second frees what finalizers let go), then reads the proportional set size, in bytes. */
export async function heldBytes(pid: number, inspectorPort: number): Promise<number> {
  const listed = await fetch(`http://127.0.0.1:${inspectorPort}/json/list`);
  const [target] = (await listed.json()) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  await once(socket, 'open');
  for (const id of [1, 2]) {
    socket.send(JSON.stringify({ id, method: 'HeapProfiler.collectGarbage' }));
    await once(socket, 'message');
  }
  const bytes = memoryBytes(pid);
  // A process with a debugger attached waits for it when it ends.
  socket.close();
  await once(socket, 'close');
  return bytes;
}
