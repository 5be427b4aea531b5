// The embedded authorization server as the rest of Leasehold sees it: requests for its endpoints, and the steps of a person at its pages.
// Not responsible for what the protocol says (`provider`), for pages or for limits of attempts.
// Invariant: the package behind it is loaded when it is first needed; addresses come from the public URL, never from a header; no record,
// no step.
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Interaction, Provider } from 'oidc-provider';
import type { AuditLog } from '../audit/record.ts';
import { isTenantId } from '../shared/ids.ts';
import type { LoginStore, UserStore } from '../vault/stores.ts';
import { Consents } from './consents.ts';
import { LoginEvents, type RequestFacts } from './events.ts';
import { Passwords } from './passwords.ts';
import { completeRequest } from './protocol-request.ts';
import type { ErrorPage, ProviderOptions } from './provider.ts';
import { type Step, stepOf, texts } from './steps.ts';

export interface LoginServerOptions extends Pick<ProviderOptions, 'access' | 'fetch' | 'onFailure'> {
  /** Public URL of the server, without a trailing slash; known once it listens. */
  readonly issuer: () => string;
  /** Whether any tenant lets people sign in here. */
  readonly wanted: () => boolean;
  readonly login: LoginStore;
  readonly users: Pick<UserStore, 'find'>;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly errorPage: (error: string) => ErrorPage;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** One request of a browser, as Node has it, and what the edge found out about it. */
export interface Exchange extends RequestFacts {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** `on`: the browser goes on there. `unknown`: the step is over, or another browser's. */
export type Stepped = { readonly kind: 'on'; readonly to: string } | { readonly kind: 'refused' | 'busy' | 'unknown' };

const UNKNOWN: Stepped = { kind: 'unknown' };
interface Running {
  readonly provider: Provider;
  readonly callback: ReturnType<Provider['callback']>;
  readonly until: number;
}

export class LoginServer {
  readonly #options: LoginServerOptions;
  readonly #events: LoginEvents;
  readonly #consents: Consents;
  readonly #passwords = new Passwords();
  #running: Promise<Running> | undefined;

  constructor(options: LoginServerOptions) {
    this.#options = options;
    this.#events = new LoginEvents(options.audit, options.issuer);
    this.#consents = new Consents(options.login, options.now);
  }

  get wanted(): boolean {
    return this.#options.wanted();
  }

  /** A request for an endpoint of the protocol. */
  async handle({ request, response, ...facts }: Exchange): Promise<void> {
    const { callback } = await this.#run();
    this.#events.know(request, facts);
    completeRequest(request, { ...this.#options, issuer: this.#options.issuer(), address: facts.address });
    await callback(request, response);
  }

  /** What the person is asked, or undefined where there is no such step in this browser. */
  async look(exchange: Exchange, uid: string): Promise<Step | undefined> {
    const found = await this.#interaction(exchange, uid);
    return found === undefined ? undefined : stepOf(found, (await this.#run()).provider, this.#options.access);
  }

  async signIn(exchange: Exchange, uid: string, name: string, password: string): Promise<Stepped> {
    const found = await this.#interaction(exchange, uid);
    if (found === undefined || found.prompt.name !== 'login') return UNKNOWN;
    const user = this.#options.users.find(name);
    const matches = await this.#passwords.matches(password, user?.password);
    if (matches === undefined) return { kind: 'busy' };
    const { address } = exchange;
    const tenant = this.#options.access.tenantOf(found.params['resource']);
    const about = { client: String(found.params['client_id']), address };
    if (!matches || user === undefined) {
      const known = user === undefined ? { reason: 'no such user' } : { subject: name, reason: 'wrong password' };
      await this.#append(exchange, { kind: 'login.failed', tenant, ...about, ...known });
      return { kind: 'refused' };
    }
    await this.#append(exchange, { kind: 'login.signed_in', tenant, ...about, subject: name });
    return this.#go(exchange, { login: { accountId: name, remember: false } }, false);
  }

  async allow(exchange: Exchange, uid: string): Promise<Stepped> {
    const { access } = this.#options;
    const found = await this.#interaction(exchange, uid);
    const accountId = found?.session?.accountId;
    const tenant = access.tenantOf(found?.params['resource']);
    const member = accountId === undefined || tenant === undefined ? undefined : access.memberOf(tenant, accountId);
    if (found?.prompt.name !== 'consent' || accountId === undefined || tenant === undefined || member === undefined)
      return UNKNOWN;
    const { client_id: client, redirect_uri: redirectUri, resource, scope } = texts(found.params);
    const { provider } = await this.#run();
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
    return this.#go(exchange, { consent: { grantId: await grant.save() } }, true);
  }

  async deny(exchange: Exchange, uid: string): Promise<Stepped> {
    const found = await this.#interaction(exchange, uid);
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
    return this.#go(exchange, { error: 'access_denied', error_description: 'the person did not allow it' }, false);
  }

  /** Signs out, and begins the same request anew. */
  async another(exchange: Exchange, uid: string): Promise<Stepped> {
    const found = await this.#interaction(exchange, uid);
    if (found === undefined) return UNKNOWN;
    await this.signOut(exchange);
    const query = new URLSearchParams(texts(found.params));
    return { kind: 'on', to: `${this.#options.issuer()}/oauth/authorize?${query.toString()}` };
  }

  /** Whether somebody was signed in. */
  async signOut(exchange: Exchange): Promise<boolean> {
    const session = await this.#session(exchange);
    if (session?.accountId === undefined) return false;
    const { accountId: subject } = session;
    await this.#append(exchange, { kind: 'login.signed_out', subject, address: exchange.address });
    await session.destroy();
    return true;
  }

  /** Who is signed in in this browser, where that one is a member of the tenant. */
  async signedIn(request: IncomingMessage, tenant: string): Promise<{ issuer: string; subject: string } | undefined> {
    if (!this.wanted || !isTenantId(tenant)) return undefined;
    const subject = (await this.#session({ request, response: new ServerResponse(request) }))?.accountId;
    const { access, issuer } = this.#options;
    return subject === undefined || access.memberOf(tenant, subject) === undefined ? undefined : { issuer: issuer(), subject };
  }

  async #run(): Promise<Running> {
    const running = await this.#running;
    if (running !== undefined && this.#options.now() < running.until) return running;
    const starting = this.#start();
    this.#running = starting;
    starting.catch(() => (this.#running = undefined));
    return starting;
  }

  async #start(): Promise<Running> {
    const { makeProvider } = await import('./provider.ts');
    const { issuer, users } = this.#options;
    const { provider, until } = makeProvider({
      ...this.#options,
      issuer: issuer(),
      interactionUrl: (uid) => `${issuer()}/sign-in/${uid}`,
      consents: this.#consents,
      events: this.#events,
      userExists: (name) => users.find(name) !== undefined,
    });
    return { provider, callback: provider.callback(), until };
  }

  async #interaction({ request, response }: Exchange, uid: string): Promise<Interaction | undefined> {
    const { provider } = await this.#run();
    try {
      const found = await provider.interactionDetails(request, response);
      return found.uid === uid ? found : undefined;
    } catch (error) {
      if (error instanceof Error && error.name === 'SessionNotFound') return undefined;
      throw error;
    }
  }

  async #session({ request, response }: Pick<Exchange, 'request' | 'response'>) {
    const { provider } = await this.#run();
    return provider.Session.get(provider.createContext(request, response));
  }

  async #go({ request, response }: Exchange, result: Record<string, unknown>, merge: boolean): Promise<Stepped> {
    const { provider } = await this.#run();
    const to = await provider.interactionResult(request, response, result, { mergeWithLastSubmission: merge });
    return { kind: 'on', to };
  }

  #append({ request, address, correlation }: Exchange, event: Parameters<LoginEvents['append']>[1]): Promise<void> {
    this.#events.know(request, { address, correlation });
    return this.#events.append(request, event);
  }
}
