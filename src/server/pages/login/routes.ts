// The way of a person through signing in and allowing an application, and signing out.
// Not responsible for deciding anything (`login/`) or for what is said (`views`).
// Invariant: looking changes nothing; what goes on needs a form of this page, from this origin, out of this browser, or the answer of a
// provider to which such a form has led.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { LoginServer, Stepped } from '../../../login/login-server.ts';
import type { Exchange } from '../../../login/running-provider.ts';
import type { Step } from '../../../login/steps.ts';
import { browserDigest, type Browsers, formToken, isFormToken } from '../browser.ts';
import { sendPage } from '../page.ts';
import { formOf, type PageRoutes } from '../scope.ts';
import { Attempts } from './attempts.ts';
import { returnedPage, unavailablePage } from './provider-views.ts';
import { BUSY, consentPage, FORM_OLD, notMemberPage, onPage, SIGNED_OUT, signInPage, signOutPage, STEP_OVER } from './views.ts';

interface Params {
  uid: string;
}
/** `another`: not the account that the provider would give by itself. */
interface Query {
  another?: string;
}
interface StepRoute {
  Params: Params;
  Querystring: Query;
}
type StepRequest = FastifyRequest<StepRoute>;

const UID = /^[A-Za-z0-9_-]{1,64}$/;
const FORM_LIMIT = { rateLimit: { max: 60, timeWindow: 60_000 } };
const SIGN_OUT = 'sign out';

/** @param browser its secret */
function exchangeOf({ raw, ip, correlation }: FastifyRequest, reply: FastifyReply, browser?: string): Exchange {
  const digest = browser === undefined ? undefined : browserDigest(browser);
  return { request: raw, response: reply.raw, address: ip, correlation, browser: digest };
}

export function loginPages(login: LoginServer): PageRoutes {
  const attempts = new Attempts();

  async function look(request: StepRequest, reply: FastifyReply, browsers: Browsers): Promise<FastifyReply> {
    const { uid } = request.params;
    const step = login.wanted && UID.test(uid) ? await login.look(exchangeOf(request, reply), uid) : undefined;
    if (step === undefined) return sendPage(reply, STEP_OVER);
    return sendPage(reply, pageOf(step, formToken(browsers.ensure(request, reply), purposeOf(uid))));
  }

  async function act(request: StepRequest, reply: FastifyReply, browsers: Browsers): Promise<FastifyReply> {
    const { uid } = request.params;
    if (!login.wanted || !UID.test(uid)) return sendPage(reply, STEP_OVER);
    const form = formOf(request);
    const browser = browsers.known(request);
    if (browser === undefined || !isFormToken(browser, purposeOf(uid), form['csrf'])) return sendPage(reply, FORM_OLD);
    const exchange = exchangeOf(request, reply, browser);
    const { password = '', provider = '', do: what } = form;
    // Before it is counted: however it is written, it is one account.
    const name = (form['name'] ?? '').trim().toLowerCase();
    const isSignIn = what === 'sign-in';
    const often = isSignIn && !attempts.take(request.ip, name);
    const stepped: Stepped = often ? { kind: 'refused' } : await go();
    if (stepped.kind === 'on') return sendPage(reply, onPage(stepped.to));
    if (stepped.kind === 'busy') return sendPage(reply, BUSY);
    if (stepped.kind === 'unavailable') return sendPage(reply, unavailablePage(stepped.provider, request.correlation));
    const step = stepped.kind === 'refused' ? await login.look(exchange, uid) : undefined;
    if (step?.kind !== 'sign_in') return sendPage(reply, STEP_OVER);
    return sendPage(reply, signInPage(step, formToken(browser, purposeOf(uid)), often ? 'often' : 'wrong'));

    async function go(): Promise<Stepped> {
      if (isSignIn) return login.signIn(exchange, uid, name, password);
      if (what === 'sign-in-with')
        return login.signInWith(exchange, uid, { provider, another: request.query.another !== undefined });
      if (what === 'allow') return login.allow(exchange, uid);
      if (what === 'another') return login.another(exchange, uid);
      return login.deny(exchange, uid);
    }
  }

  async function comeBack(request: FastifyRequest, reply: FastifyReply, browsers: Browsers): Promise<FastifyReply> {
    if (!login.wanted) return sendPage(reply, STEP_OVER);
    const answer = new URL(request.url, 'http://localhost').searchParams;
    const returned = await login.returned(exchangeOf(request, reply, browsers.known(request)), answer);
    return sendPage(reply, returnedPage(returned, request.correlation));
  }

  async function signOut(request: FastifyRequest, reply: FastifyReply, browsers: Browsers): Promise<FastifyReply> {
    const browser = browsers.known(request);
    if (!login.wanted || browser === undefined || !isFormToken(browser, SIGN_OUT, formOf(request)['csrf']))
      return sendPage(reply, FORM_OLD);
    await login.signOut(exchangeOf(request, reply));
    return sendPage(reply, SIGNED_OUT);
  }

  return (scope, browsers) => {
    scope.get('/sign-in/callback', { config: FORM_LIMIT }, (request, reply) => comeBack(request, reply, browsers));
    scope.get<StepRoute>('/sign-in/:uid', (request, reply) => look(request, reply, browsers));
    scope.post<StepRoute>('/sign-in/:uid', { config: FORM_LIMIT }, (request, reply) => act(request, reply, browsers));
    scope.get('/sign-out', (request, reply) =>
      sendPage(reply, login.wanted ? signOutPage(formToken(browsers.ensure(request, reply), SIGN_OUT)) : STEP_OVER),
    );
    scope.post('/sign-out', { config: FORM_LIMIT }, (request, reply) => signOut(request, reply, browsers));
  };
}

function pageOf(step: Step, csrf: string) {
  if (step.kind === 'sign_in') return signInPage(step, csrf);
  return step.kind === 'consent' ? consentPage(step, csrf) : notMemberPage(step, csrf);
}

function purposeOf(uid: string): string {
  return `sign-in ${uid}`;
}
