// A real HTTP server of a test: on loopback, port 0, plain or TLS, with what it received kept in order.
// Not responsible for answers: the test gives the handler. Closes every connection at the end.
import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Number of the connection, from 1. */
  readonly connection: number;
}
export interface Upstream {
  /** `http://127.0.0.1:port`, or https. */
  readonly origin: string;
  readonly port: number;
  readonly received: Received[];
  close(): Promise<void>;
}
export type Handler = (request: Received, response: ServerResponse, raw: IncomingMessage) => void;

const fixture = (name: string) => readFileSync(new URL(`../fixtures/upstream/${name}`, import.meta.url));
export const TEST_CERTIFICATE = fixture('test-only-cert.pem');

export async function startUpstream(handler: Handler, { tls = false, host = '127.0.0.1' } = {}): Promise<Upstream> {
  const received: Received[] = [];
  const numbers = new WeakMap<Socket, number>();
  let connections = 0;
  const listener: RequestListener = (raw, response) => {
    const parts: Buffer[] = [];
    raw.on('data', (part: Buffer) => parts.push(part));
    raw.on('end', () => {
      const request: Received = {
        method: raw.method ?? '',
        url: raw.url ?? '',
        headers: raw.headers,
        body: Buffer.concat(parts).toString(),
        connection: numbers.get(raw.socket) ?? 0,
      };
      received.push(request);
      handler(request, response, raw);
    });
  };
  const server = tls
    ? createTlsServer({ key: fixture('test-only-key.pem'), cert: TEST_CERTIFICATE }, listener)
    : createServer(listener);
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    connections += 1;
    numbers.set(socket, connections);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function json(response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
