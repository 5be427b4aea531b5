// The steps of a person who connects an account: looks at the link, confirms, is sent to the service, comes back.
// Not responsible for pages (`server/pages`) or for OAuth itself (`authorization`).
// Invariant: only the asker goes on, in the browser that began; every step is on record before it counts; a state is used once;
// an unknown, expired, used or foreign link is one and the same answer.
import { timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditLog } from '../../audit/record.ts';
import type { OAuth2Connection } from '../../config/compiled.ts';
import type {
  ConnectFlow,
  FlowStore,
  GrantOwner,
  GrantStore,
  RejectionStore,
  SecretStore,
  StoredFlow,
  StoredGrant,
} from '../../vault/stores.ts';
import { connectGrant } from '../oauth/connect-grant.ts';
import { grantBinding, lackingScopes } from '../oauth/grant-facts.ts';
import { whenFree } from '../oauth/renewal.ts';
import { type Application, Authorization, type AuthorizationPorts, type Exchanged } from './authorization.ts';
import { connectSubject, FLOW_MS } from './connect-link.ts';
import { isShortCode } from './short-code.ts';

/** Who sits in front of the page. */
export interface Visitor {
  /** Digest of the browser's secret; undefined where it brought none. */
  readonly browser: string | undefined;
  /** Who is signed in in it, for a tenant; undefined: nobody. */
  signedIn(tenant: string): GrantOwner | undefined | Promise<GrantOwner | undefined>;
}

/** What the page says of a flow. */
export interface FlowFacts {
  readonly tenant: string;
  /** The service, for people. */
  readonly service: string;
  readonly connection: string;
  /** For whom: a subject, or (undefined) the tenant as a whole. */
  readonly subject: string | undefined;
  readonly scopes: readonly string[];
}

/** Longest that a server that is going down waits for a code exchange. */
const LAST_ANSWER_MS = 5000;

const UNKNOWN = { kind: 'unknown' } as const;
/** `reason`: a code, or words of ours. */
interface Failed {
  readonly kind: 'failed';
  readonly facts: FlowFacts;
  readonly reason: string;
}
export type Looked =
  | typeof UNKNOWN
  | {
      readonly kind: 'confirm';
      readonly facts: FlowFacts;
      /** The short code must be typed. */
      readonly byCode: boolean;
    };
export type Confirmed =
  | typeof UNKNOWN
  | { readonly kind: 'wrong_code'; readonly facts: FlowFacts; readonly guesses: number }
  | Failed
  | { readonly kind: 'go'; readonly facts: FlowFacts; readonly url: string };
export type Answered =
  | typeof UNKNOWN
  | { readonly kind: 'other_browser' }
  | { readonly kind: 'denied'; readonly facts: FlowFacts }
  | Failed
  | {
      readonly kind: 'connected';
      /** As a person knows it, where the service told it. */
      readonly account: string | undefined;
      readonly facts: FlowFacts;
      /** Asked for and not given. */
      readonly lacking: readonly string[];
    };

export interface ConnectFlowPorts extends AuthorizationPorts {
  readonly flows: FlowStore;
  readonly grants: GrantStore;
  readonly rejections: RejectionStore;
  readonly secrets: Pick<SecretStore, 'get'>;
  readonly audit: AuditLog;
  /** As it is configured now. */
  connectionOf(tenant: string, slot: string): { readonly name: string; readonly connection: OAuth2Connection } | undefined;
  /** After the grant is stored. */
  onConnected(flow: { readonly id: string; readonly tenant: string }): void;
}

interface Standing {
  readonly stored: StoredFlow;
  readonly connection: OAuth2Connection;
  readonly facts: FlowFacts;
}

export class ConnectFlows {
  readonly #ports: ConnectFlowPorts;
  readonly #authorization: Authorization;
  /** Answers whose grant is not stored yet. */
  readonly #settling = new Set<Promise<Answered>>();

  constructor(ports: ConnectFlowPorts) {
    this.#ports = ports;
    this.#authorization = new Authorization(ports);
  }

  /** Whether it is still to be seen what comes of the page at an address of ours. */
  isOpen(url: string): boolean {
    const link = url.slice(url.lastIndexOf('/') + 1);
    return this.#ports.flows.byLink(link, this.#ports.now()) !== undefined;
  }

  /** Rejects where the audit cannot be written. */
  async look(link: string, visitor: Visitor): Promise<Looked> {
    const found = this.#find(link);
    if (found === undefined) return UNKNOWN;
    const { flow } = found.stored;
    const who = await identify(flow, visitor);
    if (who === 'another') return this.#foreign(found);
    await this.#ports.audit.append({ ...connectSubject(flow), kind: 'connect.opened' });
    return { kind: 'confirm', facts: found.facts, byCode: who !== 'asker' };
  }

  /** Rejects where the audit or the store cannot be written. */
  async confirm(link: string, visitor: Visitor, typed: string): Promise<Confirmed> {
    const found = this.#find(link);
    const { browser } = visitor;
    if (found === undefined || browser === undefined) return UNKNOWN;
    const { facts, stored, connection } = found;
    const who = await identify(stored.flow, visitor);
    if (who === 'another') return this.#foreign(found);
    if (who !== 'asker' && !isShortCode(stored.flow.code, typed)) return this.#guessed(found);
    // A right code counts only in its turn, like a wrong one: of guesses at the same time, one is answered.
    const { flow, version, expiresAt } = stored;
    if (!(await whenFree(() => this.#ports.flows.replace(flow, version, expiresAt)))) return UNKNOWN;
    await this.#ports.audit.append({ ...connectSubject(flow), kind: 'connect.confirmed' });
    const application = this.#application(connection, flow);
    if (application === undefined) return this.#failed(found, 'the client secret of the application is not set');
    const begun = await this.#authorization.begin(application);
    if (!begun.ok) return this.#failed(found, begun.reason);
    const { state, verifier, url } = begun;
    const now = this.#ports.now();
    // Somebody may have guessed, or gone on in another window, since the flow was read.
    const latest = this.#ports.flows.byLink(link, now);
    if (latest === undefined) return UNKNOWN;
    const sent = { ...latest.flow, sent: { browser, state, verifier } };
    const kept = await whenFree(() => this.#ports.flows.replace(sent, latest.version, now + FLOW_MS));
    return kept ? { kind: 'go', facts, url } : UNKNOWN;
  }

  /** @param answer the query that the service sent the browser back with. Rejects where the audit or the store cannot be written. */
  async answer(answer: URLSearchParams, visitor: Visitor): Promise<Answered> {
    const { flows } = this.#ports;
    const stored = flows.byState(answer.get('state') ?? '', this.#ports.now());
    const found = stored === undefined ? undefined : this.#standing(stored);
    const sent = stored?.flow.sent;
    if (found === undefined || sent === undefined) return UNKNOWN;
    const { flow, version } = found.stored;
    if (!isSame(sent.browser, visitor.browser)) {
      await this.#ports.audit.append({ ...connectSubject(flow), kind: 'connect.failed', reason: 'another browser' });
      return { kind: 'other_browser' };
    }
    // Once, before anything else: whatever comes of it, this state is used.
    const { sent: _, ...used } = flow;
    const { expiresAt } = found.stored;
    if (!(await whenFree(() => flows.replace({ ...used, answered: true }, version, expiresAt)))) return UNKNOWN;
    const settling = this.#settle(found, answer, sent, visitor);
    this.#settling.add(settling);
    try {
      return await settling;
    } finally {
      this.#settling.delete(settling);
      const latest = flows.byLink(flow.link, this.#ports.now());
      if (latest !== undefined) await whenFree(() => flows.end(flow, latest.version));
    }
  }

  /** What a person has just allowed is still stored, within a few seconds. */
  async close(): Promise<void> {
    const settled = Promise.allSettled(this.#settling);
    await Promise.race([settled, sleep(LAST_ANSWER_MS, undefined, { ref: false })]);
    await this.#authorization.close();
  }

  async #settle(
    found: Standing,
    answer: URLSearchParams,
    sent: NonNullable<ConnectFlow['sent']>,
    visitor: Visitor,
  ): Promise<Answered> {
    const { flow } = found.stored;
    if ((await identify(flow, visitor)) === 'another') return this.#foreign(found);
    const application = this.#application(found.connection, flow);
    if (application === undefined) return this.#failed(found, 'the client secret of the application is not set');
    const finished = await this.#authorization.finish(application, answer, sent);
    if (finished.ok) return this.#connected(found, finished);
    if (finished.denied !== true) return this.#failed(found, finished.reason);
    await this.#ports.audit.append({ ...connectSubject(flow), kind: 'connect.denied', reason: 'by the person, at the service' });
    return { kind: 'denied', facts: found.facts };
  }

  #find(link: string): Standing | undefined {
    const stored = this.#ports.flows.byLink(link, this.#ports.now());
    return stored === undefined || stored.flow.answered === true ? undefined : this.#standing(stored);
  }

  /** Undefined where the connection is not what it was when the link was made. */
  #standing(stored: StoredFlow): Standing | undefined {
    const { key, scopes, binding } = stored.flow;
    const configured = this.#ports.connectionOf(key.tenant, key.slot);
    if (configured === undefined || grantBinding(configured.connection.oauth) !== binding) return undefined;
    const { connection, name } = configured;
    if ((connection.owner === 'tenant') !== (key.owner === undefined)) return undefined;
    const facts: FlowFacts = {
      tenant: name,
      service: connection.oauth.title,
      connection: key.slot,
      subject: key.owner?.subject,
      scopes,
    };
    return { stored, connection, facts };
  }

  #application({ oauth }: OAuth2Connection, { scopes }: ConnectFlow): Application | undefined {
    const ref = oauth.clientSecret;
    if (ref === undefined) return { oauth, secret: undefined, scopes };
    const secret = this.#ports.secrets.get(ref.owner, ref.secret);
    return secret === undefined ? undefined : { oauth, secret, scopes };
  }

  async #foreign({ stored }: Standing): Promise<typeof UNKNOWN> {
    await this.#ports.audit.append({
      ...connectSubject(stored.flow),
      kind: 'connect.denied',
      reason: 'another person is signed in',
    });
    return UNKNOWN;
  }

  /** The guess is taken before it is told, so that guesses at the same time are counted one by one. */
  async #guessed({ stored, facts }: Standing): Promise<Confirmed> {
    const { flow, version, expiresAt } = stored;
    const guesses = flow.guesses - 1;
    const { flows, audit } = this.#ports;
    const taken = await whenFree(() =>
      guesses > 0 ? flows.replace({ ...flow, guesses }, version, expiresAt) : flows.end(flow, version),
    );
    await audit.append({ ...connectSubject(flow), kind: 'connect.denied', reason: `wrong code, ${guesses} guesses left` });
    return taken && guesses > 0 ? { kind: 'wrong_code', facts, guesses } : UNKNOWN;
  }

  async #failed({ stored, facts }: Standing, reason: string): Promise<Failed> {
    await this.#ports.audit.append({ ...connectSubject(stored.flow), kind: 'connect.failed', reason });
    return { kind: 'failed', facts, reason };
  }

  async #connected(
    { stored, connection, facts }: Standing,
    { tokens, account }: Extract<Exchanged, { ok: true }>,
  ): Promise<Answered> {
    const { key, scopes, asker, id } = stored.flow;
    const { grants, rejections, audit, now } = this.#ports;
    const connected = {
      key,
      connection,
      tokens,
      requested: scopes,
      subject: asker,
      flow: id,
      ...(account === undefined ? {} : { account }),
    };
    const grant: StoredGrant = await connectGrant({ grants, rejections, audit, now }, connected);
    this.#ports.onConnected({ id, tenant: key.tenant });
    return { kind: 'connected', account, facts, lacking: lackingScopes(grant, connection.oauth, scopes) };
  }
}

/** `another`: of the issuer of the asker, and somebody else. Who is signed in elsewhere, or nowhere, proves it with the code. */
async function identify({ asker, key }: ConnectFlow, visitor: Visitor): Promise<'asker' | 'another' | 'unproven'> {
  const who = await visitor.signedIn(key.tenant);
  if (who === undefined || who.issuer !== asker.issuer) return 'unproven';
  return who.subject === asker.subject ? 'asker' : 'another';
}

function isSame(expected: string, given: string | undefined): boolean {
  if (given === undefined) return false;
  const [left, right] = [Buffer.from(expected), Buffer.from(given)];
  return left.length === right.length && timingSafeEqual(left, right);
}
