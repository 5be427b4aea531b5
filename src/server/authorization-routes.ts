// The endpoints of the embedded authorization server: its metadata (RFC 8414) and what that names.
// Not responsible for answering (`login/`) or for pages. Invariant: requests that the guard let through, for these paths only, are handed
// on as they came, with an unread body; where no tenant wants it, there is nothing here; each address has a limit.
import cookie from '@fastify/cookie';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { failure } from '../shared/errors.ts';
import { browserDigest, type Browsers } from './pages/browser.ts';
import type { HttpServerOptions } from './ports.ts';
import { ADDRESS_RATE } from './rates/address-rate.ts';
import { addressKey } from './rates/address-key.ts';
import { refuse } from './refusal.ts';
import { COMMON_HEADERS, CORRELATION_HEADER } from './response-headers.ts';

const WELL_KNOWN = '/.well-known/oauth-authorization-server';
const PER_MINUTE = 300;
/** Whoever registers has no name yet. */
const REGISTRATIONS_PER_MINUTE = 10;
const ADDRESSES = 10_000;

export function authorizationRoutes(
  app: FastifyInstance,
  { authorization, config }: HttpServerOptions,
  browsers: Browsers,
): void {
  if (authorization === undefined) return;
  const below = config.publicUrl === undefined ? '' : new URL(config.publicUrl).pathname.replace(/\/+$/, '');

  async function handle(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (authorization?.wanted !== true) {
      refuse(reply, failure('not_found'), request.correlation);
      return;
    }
    void reply.hijack();
    const { raw, ip, correlation } = request;
    const secret = browsers.known(request);
    const browser = secret === undefined ? undefined : browserDigest(secret);
    for (let i = 0; i < COMMON_HEADERS.length; i += 2) reply.raw.setHeader(COMMON_HEADERS[i] ?? '', COMMON_HEADERS[i + 1] ?? '');
    reply.raw.setHeader(CORRELATION_HEADER, correlation);
    try {
      await authorization.handle({ request: raw, response: reply.raw, address: ip, correlation, browser });
    } catch {
      // Nothing of it is told. What failed is in the log.
      if (!reply.raw.headersSent) reply.raw.writeHead(500);
      reply.raw.end();
    }
  }

  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    await scope.register(cookie);
    await scope.register(rateLimit, {
      max: PER_MINUTE,
      timeWindow: 60_000,
      cache: ADDRESSES,
      keyGenerator: ({ ip }) => addressKey(ip),
      errorResponseBuilder: () => Object.assign(new Error('too many requests'), { code: ADDRESS_RATE, statusCode: 429 }),
    });
    for (const path of new Set([WELL_KNOWN, `${WELL_KNOWN}${below}`, '/oauth/jwks']))
      scope.route({ method: ['GET', 'OPTIONS'], url: path, handler: handle });
    for (const path of ['/oauth/authorize', '/oauth/authorize/:uid']) scope.get(path, handle);
    for (const path of ['/oauth/token', '/oauth/revoke'])
      scope.route({ method: ['POST', 'OPTIONS'], url: path, handler: handle });
    scope.post('/oauth/register', { config: { rateLimit: { max: REGISTRATIONS_PER_MINUTE } } }, handle);
  });
}
