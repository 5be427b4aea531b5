// An HTTP proxy of a test: real tunnels by CONNECT, every name at loopback, with what was asked of it kept in order.
// Not responsible for plain requests: nothing of ours sends one. Closes every socket at teardown.
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Test } from 'tap';

export interface Proxy {
  readonly origin: string;
  /** Authorities of the tunnels, in order. */
  readonly asked: string[];
  /** What it answers to CONNECT. */
  status: number;
}
/** Resolves every name to loopback, as only it can. */
export async function startProxy(t: Test): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    proxy.asked.push(request.url ?? '');
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (proxy.status !== 200) return socket.end(`HTTP/1.1 ${proxy.status} No\r\n\r\n`);
    const onward = connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    sockets.add(onward);
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const proxy: Proxy = { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: [], status: 200 };
  return proxy;
}
