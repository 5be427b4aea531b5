// The routes beside the MCP endpoint: is it alive, can it take calls, which version is it.
// Not responsible for knowing (`health` is handed in). Invariant: nothing of any tenant; the estate's path and the pid only to
// somebody on this machine who asks directly.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LEGACY_VERSIONS, MODERN_VERSIONS } from '../mcp/versions.ts';
import type { Exchanges } from './exchanges.ts';
import type { HttpServerOptions } from './ports.ts';
import { JSON_HEADER_OBJECT } from './response-headers.ts';

const LOOPBACK_PEER = /^(?:127\.|::1$|::ffff:127\.)/;
const LOOPBACK_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i;
const PROXIED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

/** A reverse proxy on this machine has a loopback address too, so it must not look like one either. */
function asksFromHere({ raw }: FastifyRequest): boolean {
  return (
    LOOPBACK_PEER.test(raw.socket.remoteAddress ?? '') &&
    LOOPBACK_HOST.test(raw.headers.host ?? '') &&
    PROXIED.every((name) => raw.headers[name] === undefined)
  );
}

export function serviceRoutes(app: FastifyInstance, options: HttpServerOptions, exchanges: Exchanges): void {
  app.get('/healthz', (_request, reply) => {
    void reply.headers(JSON_HEADER_OBJECT).send('{"status":"ok"}');
  });
  app.get('/readyz', (_request, reply) => {
    const { ready, detail } = options.health();
    const taking = ready && !exchanges.draining;
    const status = exchanges.draining ? 'draining' : ready ? 'ready' : 'not ready';
    void reply
      .code(taking ? 200 : 503)
      .headers(JSON_HEADER_OBJECT)
      .send(JSON.stringify({ status, ...detail }));
  });
  app.get('/version', (request, reply) => {
    const { config, version } = options;
    const said = { name: 'leasehold', version, protocolVersions: [...MODERN_VERSIONS, ...LEGACY_VERSIONS] };
    const here = asksFromHere(request) ? { pid: process.pid, estate: config.estate } : {};
    void reply.headers(JSON_HEADER_OBJECT).send(JSON.stringify({ ...said, ...here }));
  });
}
