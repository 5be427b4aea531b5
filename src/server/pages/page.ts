// One page: its document, and the headers it goes out with.
// Not responsible for what is on it or for who may see it.
// Invariant: no script, no frame, no foreign resource, nothing cached; a form of a page goes to this server only.
import type { FastifyReply } from 'fastify';
import { CORRELATION_HEADER } from '../response-headers.ts';
import { type Html, html, link } from './html.ts';
import { STYLE, STYLE_SOURCE } from './style.ts';

export interface Page {
  /** Also the heading. */
  readonly title: string;
  readonly body: Html;
  /** @default 200 */
  readonly status?: number;
  /** Where the browser goes on to by itself; the body has the same link. A redirect would not do: `form-action` holds for those too. */
  readonly onTo?: string;
}

/**
 * `same-origin`: with `no-referrer` browsers send `Origin: null` with a form, which the guard refuses; other sites learn nothing of
 * the address either way.
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = Object.freeze({
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src ${STYLE_SOURCE}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'x-robots-tag': 'noindex',
});

export function documentOf({ title, body, onTo }: Page): string {
  // The style is a constant of ours: as a value it would be escaped, and its hash would not fit.
  const head = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${onTo === undefined ? undefined : html`<meta http-equiv="refresh" content="0; url=${link(onTo)}">`}
<title>${title} · Leasehold</title>
`;
  const rest = html`
</head>
<body>
<main>
<h1>${title}</h1>
${body}
<footer>This page belongs to Leasehold, the server that runs the tools you are using.</footer>
</main>
</body>
</html>
`;
  return `${head.toString()}<style>${STYLE}</style>${rest.toString()}`;
}

export function sendPage(reply: FastifyReply, page: Page): FastifyReply {
  return reply
    .code(page.status ?? 200)
    .headers(PAGE_HEADERS)
    .header(CORRELATION_HEADER, reply.request.correlation)
    .send(documentOf(page));
}
