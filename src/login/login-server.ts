// The embedded authorization server as the rest of Leasehold sees it: requests for its endpoints, and the steps of a person at its pages.
// Not responsible for what the protocol says (`provider`), for pages or for limits of attempts.
// Invariant: the package behind it is loaded when it is first needed; addresses come from the public URL, never from a header; no record,
// no step.
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { AuditLog } from '../audit/record.ts';
import { isTenantId } from '../shared/ids.ts';
import type { UserStore } from '../vault/stores.ts';
import { Consents } from './consents.ts';
import { LoginEvents } from './events.ts';
import { Passwords } from './passwords.ts';
import { completeRequest } from './protocol-request.ts';
import { type Exchange, RunningProvider, type RunningProviderOptions } from './running-provider.ts';
import { type Step, stepOf, texts } from './steps.ts';
import type { Begun, Came, UpstreamSignIn } from './upstream/upstream-sign-in.ts';

export interface LoginServerOptions extends Omit<RunningProviderOptions, 'consents' | 'events'> {
  /** Whether any tenant lets people sign in here. */
  readonly wanted: () => boolean;
  readonly users: Pick<UserStore, 'find'>;
  readonly upstream: Pick<UpstreamSignIn, 'begin' | 'end'>;
  readonly audit: Pick<AuditLog, 'append'>;
}

/** `on`: the browser goes on there. `unknown`: the step is over, or another browser's. */
export type Stepped =
  | { readonly kind: 'on'; readonly to: string }
  | { readonly kind: 'refused' | 'busy' | 'unknown' }
  /** The provider cannot be asked. */
  | { readonly kind: 'unavailable'; readonly provider: string };
/** A provider, by a person. */
export interface Chosen {
  readonly provider: string;
  /** The person is to be asked there who they are, even if that is known. */
  readonly another: boolean;
}
/** What came of the way back from a provider. `retry`: where the person may try again. */
export type Returned =
  | { readonly kind: 'on'; readonly to: string }
  | { readonly kind: 'unknown' | 'other_browser' }
  | { readonly kind: 'denied' | 'not_allowed' | 'failed'; readonly provider: string; readonly retry: string };

const UNKNOWN: Stepped = { kind: 'unknown' };

export class LoginServer {
  readonly #options: LoginServerOptions;
  readonly #events: LoginEvents;
  readonly #consents: Consents;
  readonly #passwords = new Passwords();
  readonly #provider: RunningProvider;

  constructor(options: LoginServerOptions) {
    this.#options = options;
    this.#events = new LoginEvents(options.audit, options.issuer);
    this.#consents = new Consents(options.login, options.now);
    this.#provider = new RunningProvider({ ...options, consents: this.#consents, events: this.#events });
  }

  get wanted(): boolean {
    return this.#options.wanted();
  }

  /** A request for an endpoint of the protocol. */
  async handle({ request, response, ...facts }: Exchange): Promise<void> {
    const callback = await this.#provider.callback();
    this.#events.know(request, facts);
    completeRequest(request, { ...this.#options, issuer: this.#options.issuer(), address: facts.address });
    await callback(request, response);
  }

  /** What the person is asked, or undefined where there is no such step in this browser. */
  async look(exchange: Exchange, uid: string): Promise<Step | undefined> {
    const found = await this.#provider.interaction(exchange, uid);
    return found === undefined ? undefined : stepOf(found, { ...this.#options, provider: await this.#provider.get() });
  }

  async signIn(exchange: Exchange, uid: string, name: string, password: string): Promise<Stepped> {
    const found = await this.#provider.interaction(exchange, uid);
    if (found?.prompt.name !== 'login' || !this.#options.subjects.accounts) return UNKNOWN;
    const user = this.#options.users.find(name);
    const matches = await this.#passwords.matches(password, user?.password);
    if (matches === undefined) return { kind: 'busy' };
    const { address } = exchange;
    const tenant = this.#options.access.tenantOf(found.params['resource']);
    const about = { client: String(found.params['client_id']), address };
    // It may have been changed while it was compared, or waited for that.
    if (!matches || user === undefined || this.#options.users.find(name)?.password !== user.password) {
      const known = user === undefined ? { reason: 'no such user' } : { subject: name, reason: 'wrong password' };
      await this.#append(exchange, { kind: 'login.failed', tenant, ...about, ...known });
      return { kind: 'refused' };
    }
    await this.#append(exchange, { kind: 'login.signed_in', tenant, ...about, subject: name });
    return { kind: 'on', to: await this.#provider.signedIn(exchange, found, name) };
  }

  /** Sends the browser to a provider. */
  async signInWith(exchange: Exchange, uid: string, { provider: name, another }: Chosen): Promise<Stepped> {
    const found = await this.#provider.interaction(exchange, uid);
    const { access, subjects, upstream } = this.#options;
    const tenant = access.tenantOf(found?.params['resource']);
    const ways = tenant === undefined ? [] : subjects.waysInto(tenant).providers;
    const way = ways.find((one) => one.name === name);
    const { browser } = exchange;
    if (found?.prompt.name !== 'login' || tenant === undefined || way === undefined || browser === undefined) return UNKNOWN;
    const begun: Begun = { uid, provider: name, tenant, client: texts(found.params).client_id };
    const again = another || found.prompt.reasons.some((reason) => reason !== 'no_session');
    const sent = await upstream.begin(begun, browser, again);
    if (sent.ok) return { kind: 'on', to: sent.url };
    await this.#failed(exchange, begun, sent.reason);
    return { kind: 'unavailable', provider: way.oauth.title };
  }

  /** @param answer the query that a provider sent the browser back with */
  async returned(exchange: Exchange, answer: URLSearchParams): Promise<Returned> {
    const came = await this.#options.upstream.end(answer, exchange.browser);
    if (came.kind !== 'who') return this.#refused(exchange, came);
    const { begun, who } = came;
    const { provider, tenant, client } = begun;
    // The state is of this browser, and was begun at this step in it.
    const found = await this.#provider.interactionOf(begun.uid);
    if (found?.prompt.name !== 'login') {
      await this.#failed(exchange, begun, 'the step is over');
      return { kind: 'unknown' };
    }
    const { address } = exchange;
    await this.#append(exchange, { kind: 'login.signed_in', tenant, client, address, subject: who.subject, provider });
    this.#options.subjects.rememberName(who.subject, who.called);
    return { kind: 'on', to: await this.#provider.signedIn(exchange, found, who.subject) };
  }

  async allow(exchange: Exchange, uid: string): Promise<Stepped> {
    const { access } = this.#options;
    const found = await this.#provider.interaction(exchange, uid);
    const accountId = found?.session?.accountId;
    const tenant = access.tenantOf(found?.params['resource']);
    const member = accountId === undefined || tenant === undefined ? undefined : access.memberOf(tenant, accountId);
    if (found?.prompt.name !== 'consent' || accountId === undefined || tenant === undefined || member === undefined)
      return UNKNOWN;
    const { client_id: client, redirect_uri: redirectUri, resource, scope } = texts(found.params);
    const provider = await this.#provider.get();
    const known = await provider.Client.find(client);
    if (known === undefined) return UNKNOWN;
    const asked = scope.split(' ');
    const scopes = access.allowed(member, asked);
    await this.#append(exchange, { kind: 'login.consented', tenant, subject: accountId, client, scopes });
    const key = { account: accountId, client, tenant, redirectUri };
    this.#consents.remember(key, scopes, known.clientIdMetadataDocument === true);
    const grant = new provider.Grant({ accountId, clientId: client });
    const { missingOIDCScope } = found.prompt.details;
    if (missingOIDCScope !== undefined) grant.addOIDCScope(missingOIDCScope.join(' '));
    grant.addResourceScope(resource, scopes.join(' '));
    const refused = asked.filter((one) => !scopes.includes(one));
    if (refused.length > 0) grant.rejectResourceScope(resource, refused.join(' '));
    return this.#on(exchange, { consent: { grantId: await grant.save() } }, true);
  }

  async deny(exchange: Exchange, uid: string): Promise<Stepped> {
    const found = await this.#provider.interaction(exchange, uid);
    if (found === undefined) return UNKNOWN;
    const { client_id: client } = texts(found.params);
    const subject = found.session?.accountId;
    await this.#append(exchange, {
      kind: 'login.denied',
      tenant: this.#options.access.tenantOf(found.params['resource']),
      client,
      ...(subject === undefined ? {} : { subject }),
      address: exchange.address,
    });
    return this.#on(exchange, { error: 'access_denied', error_description: 'the person did not allow it' }, false);
  }

  /** Signs out, and begins the same request anew. */
  async another(exchange: Exchange, uid: string): Promise<Stepped> {
    const found = await this.#provider.interaction(exchange, uid);
    if (found === undefined) return UNKNOWN;
    await this.signOut(exchange);
    const query = new URLSearchParams(texts(found.params));
    // A provider would give the same person again without asking.
    query.set('prompt', [...new Set(['login', ...(query.get('prompt') ?? '').split(' ')])].join(' ').trim());
    return { kind: 'on', to: `${this.#options.issuer()}/oauth/authorize?${query.toString()}` };
  }

  /** Whether somebody was signed in. */
  async signOut(exchange: Exchange): Promise<boolean> {
    const session = await this.#provider.session(exchange);
    if (session?.accountId === undefined) return false;
    const { accountId: subject } = session;
    await this.#append(exchange, { kind: 'login.signed_out', subject, address: exchange.address });
    await session.destroy();
    return true;
  }

  /** Who is signed in in this browser, where that one is a member of the tenant. */
  async signedIn(request: IncomingMessage, tenant: string): Promise<{ issuer: string; subject: string } | undefined> {
    if (!this.wanted || !isTenantId(tenant)) return undefined;
    const subject = (await this.#provider.session({ request, response: new ServerResponse(request) }))?.accountId;
    const { access, issuer } = this.#options;
    return subject === undefined || access.memberOf(tenant, subject) === undefined ? undefined : { issuer: issuer(), subject };
  }

  async #on(exchange: Exchange, result: Record<string, unknown>, merge: boolean): Promise<Stepped> {
    return { kind: 'on', to: await this.#provider.go(exchange, result, merge) };
  }

  async #refused(exchange: Exchange, came: Exclude<Came, { kind: 'who' }>): Promise<Returned> {
    await this.#failed(exchange, came.begun, came.reason);
    if (came.kind === 'unknown' || came.kind === 'used') return { kind: 'unknown' };
    if (came.kind === 'other_browser') return { kind: 'other_browser' };
    const { uid, provider } = came.begun;
    // The same account would only be refused again.
    const retry = `${this.#options.issuer()}/sign-in/${uid}${came.kind === 'not_allowed' ? '?another' : ''}`;
    return { kind: came.kind, retry, provider: this.#options.subjects.titleOf(provider) };
  }

  #failed(exchange: Exchange, begun: Begun | undefined, reason: string): Promise<void> {
    const { tenant, client, provider } = begun ?? {};
    const about = { ...(client === undefined ? {} : { client }), ...(provider === undefined ? {} : { provider }) };
    return this.#append(exchange, { kind: 'login.failed', tenant, ...about, address: exchange.address, reason });
  }

  #append({ request, address, correlation }: Exchange, event: Parameters<LoginEvents['append']>[1]): Promise<void> {
    this.#events.know(request, { address, correlation });
    return this.#events.append(request, event);
  }
}
