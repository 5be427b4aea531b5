// What a bad upstream does to a tenant: answers late, answers with bombs, has a name that resolves slowly. On loopback.
// Not responsible for who calls it. Invariant: bounded; `close` ends every open connection.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

const SLOW_MS = 20_000;
const BOMB_BYTES = 314_572_800;

export interface Upstream {
  readonly port: number;
  /** `address:port` of a name server that never answers. */
  readonly nameServer: string;
  close(): Promise<void>;
}

export async function startUpstream(): Promise<Upstream> {
  const bomb = gzipSync(Buffer.alloc(BOMB_BYTES, 32), { level: 9 });
  const server: Server = createServer((request, response) => {
    if (request.url !== '/bomb') {
      const timer = setTimeout(() => response.end('{}'), SLOW_MS);
      response.on('close', () => clearTimeout(timer));
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bomb);
  });
  server.listen(0, '127.0.0.1');
  const names: Socket = createSocket('udp4');
  names.bind(0, '127.0.0.1');
  await Promise.all([once(server, 'listening'), once(names, 'listening')]);
  return {
    port: (server.address() as AddressInfo).port,
    nameServer: `127.0.0.1:${names.address().port}`,
    async close() {
      names.close();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
