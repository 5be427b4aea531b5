// The part of the HTTP edge that serves pages to browsers: cookies, forms, their limits, and errors as pages.
// Not responsible for any page. The MCP routes are outside of it: their bodies stay bytes.
// Invariant: a form is taken only from a page of this very origin, and is small; whatever fails in here is a page, without a detail.
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import rateLimit from '@fastify/rate-limit';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Browsers } from './browser.ts';
import { html } from './html.ts';
import { type Page, sendPage } from './page.ts';

const FORM_BYTES = 16_384;
/** Per address: a person does not come near it. */
const REQUESTS_PER_MINUTE = 300;

/** Adds routes to the scope. Runs once, before the server listens. */
export type PageRoutes = (scope: FastifyInstance, browsers: Browsers) => void;

/** A form as it was sent: of a field that stands twice, nothing. */
export type Form = { readonly [field: string]: string | undefined };

export function formOf({ body }: FastifyRequest): Form {
  if (typeof body !== 'object' || body === null) return {};
  return Object.fromEntries(Object.entries(body).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

export const FAILED: Page = {
  status: 500,
  title: 'Something went wrong',
  body: html`<p>The server could not do that. Go back and try again; if it happens again, tell the operator of this server.</p>`,
};
const FOREIGN: Page = {
  status: 403,
  title: 'This form is not ours',
  body: html`<p>The request did not come from a page of this server, so nothing was done. Open the link again and use the form there.</p>`,
};
const OFTEN: Page = {
  status: 429,
  title: 'Too many requests',
  body: html`<p>Wait a minute, then try again.</p>`,
};
const UNREADABLE: Page = {
  status: 400,
  title: 'This request cannot be read',
  body: html`<p>Go back and try again.</p>`,
};

/** Takes what the app knows: no other error of a route may come out with its text. */
function pageFor(error: FastifyError): Page {
  const { statusCode = 500 } = error;
  if (statusCode === 429) return OFTEN;
  return statusCode < 500 ? { ...UNREADABLE, status: statusCode } : FAILED;
}

/** Same origin, by the browser's own word: CORS origins that are allowed for MCP clients do not count here. */
export function isSameOrigin({ headers }: FastifyRequest): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') return false;
  return origin !== undefined && URL.parse(origin)?.host === host?.toLowerCase();
}

export function servePages(app: FastifyInstance, browsers: Browsers, routes: readonly PageRoutes[]): void {
  if (routes.length === 0) return;
  void app.register(async (scope) => {
    await scope.register(cookie);
    await scope.register(formbody, { bodyLimit: FORM_BYTES });
    await scope.register(rateLimit, { max: REQUESTS_PER_MINUTE, timeWindow: 60_000 });
    scope.removeContentTypeParser('application/json');
    scope.setErrorHandler((error: FastifyError, _request, reply) => sendPage(reply, pageFor(error)));
    scope.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
      if (request.method === 'GET' || isSameOrigin(request)) return undefined;
      return sendPage(reply, FOREIGN);
    });
    for (const add of routes) add(scope, browsers);
  });
}
