// The HTTP edge: builds the Fastify app around the protocol, listens, drains.
// Not responsible for identity, tools or the protocol: they are handed in, or built from what is.
// Invariant: nothing that a client sends makes a 5xx or is answered with more than the error table's public text.
import { Server as NetServer, type Socket } from 'node:net';
import { fastify, type FastifyError, type FastifyInstance } from 'fastify';
import { ownerKey } from '../auth/principal.ts';
import { Protocol } from '../mcp/protocol.ts';
import { failure, type FailureCode } from '../shared/errors.ts';
import { newCorrelationId } from '../shared/ids.ts';
import { AllowList } from './allow-list.ts';
import { authorizationRoutes } from './authorization-routes.ts';
import { Denials } from './denials.ts';
import { Exchanges } from './exchanges.ts';
import { guard, MAX_HEADERS } from './guard.ts';
import { mcpRoute } from './mcp-route.ts';
import { Browsers } from './pages/browser.ts';
import { servePages } from './pages/scope.ts';
import { metadataRoutes } from './metadata-routes.ts';
import { askHolder, PortInUse } from './port-in-use.ts';
import type { HttpServer, HttpServerOptions, HttpTimeouts } from './ports.ts';
import { ADDRESS_RATE, limitedByAddress } from './rates/address-rate.ts';
import { Turns } from './rates/turns.ts';
import { refuse } from './refusal.ts';
import { serviceRoutes } from './service-routes.ts';

const TIMEOUTS: HttpTimeouts = {
  headersMs: 10_000,
  requestMs: 60_000,
  keepAliveMs: 72_000,
  checkMs: 2000,
  streamCommentMs: 15_000,
  stallMs: 60_000,
};
const MAX_CONNECTIONS = 8192;
/** Connections that wait to be accepted: with Node's 511, a burst of one client makes the others' first packet wait for a second. */
const BACKLOG = 4096;
const MAX_HEADER_BYTES = 16_384;

/** What Fastify refuses itself, in our words. */
const REFUSED: { readonly [code: string]: FailureCode } = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_unsupported',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request_invalid',
  FST_ERR_BAD_URL: 'not_found',
  [ADDRESS_RATE]: 'too_many_requests',
};

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { config } = options;
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  const exchanges = new Exchanges(timeouts.streamCommentMs);
  const denials = new Denials(options);
  const turns = new Turns();
  const protocol = new Protocol({
    backend: options.backend,
    info: { name: 'leasehold', title: 'Leasehold', version: options.version },
    ownerKey,
    ...(options.cursorKey === undefined ? {} : { cursorKey: options.cursorKey }),
    ...(options.legacy === undefined ? {} : { legacy: options.legacy }),
  });
  const app = createApp(config, timeouts);
  app.server.maxHeadersCount = MAX_HEADERS + 1;
  app.server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
  let allowed = new AllowList(config, config.listen.port);

  app.decorateRequest('correlation', '');
  app.decorateRequest('principal', undefined);
  app.decorateRequest('where', undefined);
  app.addHook('onRequest', (request, reply, next) => {
    request.correlation = newCorrelationId();
    const refused = guard(request.raw, allowed, config.routing.header);
    if (refused === undefined) next();
    else void denials.edge(request, reply, refused);
  });
  // A body stays bytes until `readEnvelope`.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setNotFoundHandler((request, reply) => refuse(reply, failure('not_found'), request.correlation));
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const code = REFUSED[error.code] ?? ((error.statusCode ?? 500) < 500 ? 'request_invalid' : 'internal_error');
    if (code === 'too_many_requests') denials.tooMany(request, reply, 1000, 'addressPerSecond');
    else if (code !== 'body_too_large') refuse(reply, failure(code), request.correlation);
    else
      refuse(
        reply,
        failure(code, { message: `The request body is larger than the limit bodyBytes (${config.bodyBytes}).` }),
        request.correlation,
      );
  });
  serviceRoutes(app, options, exchanges);
  limitedByAddress(app, config.rates.addressPerSecond, (scope) => {
    metadataRoutes(scope, options);
    mcpRoute(scope, { options, protocol, exchanges, denials, turns, stallMs: timeouts.stallMs });
  });
  const browsers = new Browsers(config.publicUrl?.startsWith('https:') === true);
  authorizationRoutes(app, options, browsers);
  servePages(app, browsers, options.pages ?? []);

  return {
    async listen() {
      const { host, port } = config.listen;
      try {
        await app.listen({ host, port, backlog: BACKLOG });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        throw new PortInUse(port, await askHolder(host, port));
      }
      const address = app.server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      allowed = new AllowList(config, bound);
      return { url: config.publicUrl ?? localUrl(host, bound), port: bound };
    },
    onToolsetChanged: (tenant) => protocol.onToolsetChanged(tenant),
    onResourceUpdated: (tenant, uri) => protocol.onResourceUpdated(tenant, uri),
    onElicitationComplete: (tenant, id) => protocol.onElicitationComplete(tenant, id),
    get active() {
      return exchanges.active;
    },
    get sessions() {
      return protocol.sessions();
    },
    async close(drainMs) {
      // Not http's own `close`, which cuts kept-alive connections at once, in the middle of a request too: they get their 503.
      NetServer.prototype.close.call(app.server);
      protocol.endSubscriptions();
      // Nothing joins a line any more.
      exchanges.draining = true;
      await turns.emptied();
      await exchanges.drain(drainMs);
      protocol.close();
      app.server.closeAllConnections();
      await denials.close();
      await app.close();
    },
  };
}

function createApp(config: HttpServerOptions['config'], timeouts: HttpTimeouts): FastifyInstance {
  return fastify({
    logger: false,
    bodyLimit: config.bodyBytes,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    // Only what a configured proxy says of a peer's address is believed.
    trustProxy: config.trustedProxies.length === 0 ? false : [...config.trustedProxies],
    // Draining is our own affair: a call gets its coded answer.
    return503OnClosing: false,
    forceCloseConnections: false,
    exposeHeadRoutes: false,
    requestIdHeader: false,
    genReqId: () => '',
    http: {
      headersTimeout: timeouts.headersMs,
      connectionsCheckingInterval: timeouts.checkMs,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    clientErrorHandler,
  });
}

const RAW_STATUS: { readonly [code: string]: string } = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/**
 * Bytes that are no HTTP request, or come too slowly. There is no request to answer in our shape; and where a response to an earlier
 * one is under way (`_httpMessage`, as Node's own default asks), a second answer would be taken for its.
 */
function clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
  const { code } = error;
  if (code === 'ECONNRESET' || !socket.writable || Reflect.get(socket, '_httpMessage')) {
    socket.destroy();
    return;
  }
  const status = RAW_STATUS[code ?? ''] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

function localUrl(host: string, port: number): string {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${local}:${port}`;
}
