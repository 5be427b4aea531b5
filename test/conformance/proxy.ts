// A proxy on loopback that adds a bearer token to every request: the official suite and the inspector cannot, or need not.
// Not responsible for anything else: bytes pass both ways as they come, and a client that goes away is gone behind it too.
// Invariant: a Host or Origin that names this proxy becomes the server's own; every other one is passed on as it was sent.
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Proxy {
  readonly url: string;
  close(): Promise<void>;
}

/** `target`: an MCP endpoint. The returned URL is its twin, without the need of a token. */
export async function addToken(target: string, token: string): Promise<Proxy> {
  const { host, hostname, pathname, port } = new URL(target);
  let own = '';
  const server: Server = createServer((incoming, response) => {
    const rawHeaders = [...incoming.rawHeaders, 'authorization', `Bearer ${token}`].map((text) =>
      text.replace(new RegExp(`^(https?://)?(?:localhost|127\\.0\\.0\\.1):${own}$`), `$1${host}`),
    );
    const outgoing = request({ hostname, port, path: pathname, method: incoming.method, headers: rawHeaders }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  own = String((server.address() as AddressInfo).port);
  return {
    url: `http://localhost:${own}/mcp`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
