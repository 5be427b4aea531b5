// The operator's own address: metrics, liveness and readiness, apart from what clients can reach.
// Not responsible for the numbers (handed in). Nobody is asked for a token here: bind it to loopback, or to a network of your own.
// Invariant: reads only; nothing secret, no subject; Host and Origin are checked as at the front door.
import { fastify } from 'fastify';
import { failure } from '../shared/errors.ts';
import { newCorrelationId } from '../shared/ids.ts';
import { AllowList } from './allow-list.ts';
import { guard } from './guard.ts';
import { askHolder, PortInUse } from './port-in-use.ts';
import type { Health, HttpServerOptions } from './ports.ts';
import { refuse } from './refusal.ts';
import { JSON_HEADER_OBJECT } from './response-headers.ts';

export interface AdminOptions {
  readonly config: HttpServerOptions['config'];
  readonly listen: { readonly host: string; readonly port: number };
  readonly health: () => Health;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

export interface AdminServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Rejects with a `PortInUse` where the port is taken. */
export async function startAdmin({ config, listen, health, metrics }: AdminOptions): Promise<AdminServer> {
  const app = fastify({ logger: false, exposeHeadRoutes: false, forceCloseConnections: true, requestTimeout: 10_000 });
  let allowed: AllowList | undefined;
  app.addHook('onRequest', (request, reply, next) => {
    const refused = allowed === undefined ? failure('not_found') : guard(request.raw, allowed);
    if (refused === undefined) next();
    else refuse(reply, refused, newCorrelationId());
  });
  app.setNotFoundHandler((_request, reply) => refuse(reply, failure('not_found'), newCorrelationId()));
  app.get('/metrics', async (_request, reply) => reply.header('content-type', metrics.contentType).send(await metrics.text()));
  app.get('/healthz', (_request, reply) => void reply.headers(JSON_HEADER_OBJECT).send('{"status":"ok"}'));
  app.get('/readyz', (_request, reply) => {
    const { ready, detail } = health();
    const body = JSON.stringify({ status: ready ? 'ready' : 'not ready', ...detail });
    void reply
      .code(ready ? 200 : 503)
      .headers(JSON_HEADER_OBJECT)
      .send(body);
  });
  try {
    await app.listen({ ...listen });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new PortInUse(listen.port, await askHolder(listen.host, listen.port));
  }
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : listen.port;
  allowed = new AllowList({ ...config, listen }, port);
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return { url: `http://${host}:${port}`, close: () => app.close() };
}
