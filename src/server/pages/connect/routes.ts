// The way of a browser through connecting an account: the link, the confirmation, and the way back from the service.
// Not responsible for deciding anything (`connections/connect`) or for what is said (`views`).
// Invariant: looking changes nothing; what goes on needs a form of this page, from this origin, out of this browser.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ConnectFlows, Visitor } from '../../../connections/connect/connect-flow.ts';
import { browserDigest, type Browsers, formToken, isFormToken } from '../browser.ts';
import { sendPage } from '../page.ts';
import { formOf, type PageRoutes } from '../scope.ts';
import { answeredPage, confirmedPage, confirmPage, FORM_OLD, UNKNOWN_LINK } from './views.ts';

/** Who is signed in in the browser of a request, for a tenant; undefined: nobody. */
export type SignedInSubject = (request: FastifyRequest, tenant: string) => ReturnType<Visitor['signedIn']>;

export interface ConnectPagePorts {
  readonly flows: Pick<ConnectFlows, 'look' | 'confirm' | 'answer'>;
  /** @default nobody is ever signed in */
  readonly signedInSubject?: SignedInSubject;
}

interface Params {
  link: string;
}
type LinkRequest = FastifyRequest<{ Params: Params }>;

const LINK = /^[A-Za-z0-9_-]{32}$/;
/** Per address; the guesses of one link are counted, too. */
const FORM_LIMIT = { rateLimit: { max: 30, timeWindow: 60_000 } };

export function connectPages({ flows, signedInSubject }: ConnectPagePorts): PageRoutes {
  function visitorOf(request: FastifyRequest, browser: string | undefined): Visitor {
    return {
      browser: browser === undefined ? undefined : browserDigest(browser),
      signedIn: (tenant) => signedInSubject?.(request, tenant),
    };
  }

  return (scope, browsers) => {
    scope.get('/connect/callback', async (request, reply) => {
      const answer = new URL(request.url, 'http://localhost').searchParams;
      const answered = await flows.answer(answer, visitorOf(request, browsers.known(request)));
      return sendPage(reply, answeredPage(answered));
    });
    scope.get<{ Params: Params }>('/connect/:link', (request, reply) => look(request, reply, browsers));
    scope.post<{ Params: Params }>('/connect/:link', { config: FORM_LIMIT }, (request, reply) =>
      confirm(request, reply, browsers),
    );
  };

  async function look(request: LinkRequest, reply: FastifyReply, browsers: Browsers): Promise<FastifyReply> {
    const { link } = request.params;
    if (!LINK.test(link)) return sendPage(reply, UNKNOWN_LINK);
    const browser = browsers.ensure(request, reply);
    const looked = await flows.look(link, visitorOf(request, browser));
    if (looked.kind === 'unknown') return sendPage(reply, UNKNOWN_LINK);
    return sendPage(reply, confirmPage({ ...looked, link, csrf: formToken(browser, purposeOf(link)) }));
  }

  async function confirm(request: LinkRequest, reply: FastifyReply, browsers: Browsers): Promise<FastifyReply> {
    const { link } = request.params;
    if (!LINK.test(link)) return sendPage(reply, UNKNOWN_LINK);
    const { csrf, code = '' } = formOf(request);
    const browser = browsers.known(request);
    if (browser === undefined || !isFormToken(browser, purposeOf(link), csrf)) return sendPage(reply, FORM_OLD);
    const confirmed = await flows.confirm(link, visitorOf(request, browser), code);
    return sendPage(reply, confirmedPage(confirmed, { link, csrf: formToken(browser, purposeOf(link)) }));
  }
}

function purposeOf(link: string): string {
  return `connect ${link}`;
}
