// The 2025 era (2024-11-05 to 2025-11-25): sessions over Streamable HTTP, on the SDK's low-level server. One removable module.
// Not responsible for identity (verified before, on every request), Host, Origin, sizes, or streams (`streams`).
// Invariant: an id of a session opens nothing: the verified caller must be its owner, else it is 404 as if it had never been.
import { failure, type FailureCode } from '../../shared/errors.ts';
import type { Answer } from '../answer.ts';
import { faulty, reject, type Rejection, unsupported } from '../classify.ts';
import type { ServerInfo } from '../codec-2026-07-28.ts';
import { rawAt } from '../body.ts';
import { type Envelope, readEnvelope } from '../envelope.ts';
import type { Inbound } from '../inbound.ts';
import { LEGACY_VERSIONS } from '../versions.ts';
import { Batch, splitBatch } from './batch.ts';
import { legacyFailed } from './codec.ts';
import { ByteBudget, EventStore } from './event-store.ts';
import { type HandlerPorts, installHandlers } from './handlers.ts';
import { initializeParams, type InitializeParams } from './initialize.ts';
import { LEGACY_LIMITS, type LegacyLimits } from './limits.ts';
import { isRejection, sdkParams } from './sdk-params.ts';
import { Session } from './session.ts';
import { installSessionHandlers } from './session-handlers.ts';
import { Sessions } from './sessions.ts';
import { SessionStreams } from './streams.ts';

export type { LegacyLimits };

export interface LegacyOptions extends HandlerPorts {
  readonly info: ServerInfo;
  readonly limits?: Partial<LegacyLimits>;
  refuse(answer: Answer, inbound: Inbound, rejection: Rejection): void;
}

const BATCHES_IN = '2025-03-26';
/** The first revision with events that are empty. */
const PRIMING_SINCE = '2025-11-25';

/** A session that ended meanwhile has nobody to tell. */
function ended(): void {}

export class LegacyLeg {
  readonly #options: LegacyOptions;
  readonly #limits: LegacyLimits;
  readonly #sessions: Sessions;
  /** What each tenant's sessions may keep of events. */
  readonly #budgets = new Map<string, ByteBudget>();
  readonly #recheck: NodeJS.Timeout;

  constructor(options: LegacyOptions) {
    this.#options = options;
    this.#limits = { ...LEGACY_LIMITS, ...options.limits };
    this.#sessions = new Sessions(this.#limits);
    this.#recheck = setInterval(() => {
      for (const session of this.#sessions.all()) session.streams.recheck();
    }, this.#limits.recheckMs);
    this.#recheck.unref();
  }

  post(inbound: Inbound, envelope: Envelope, answer: Answer): void {
    if (envelope.method === 'initialize' && envelope.id !== undefined) this.#initialize(inbound, envelope, envelope.id, answer);
    else {
      const session = this.#find(inbound, answer, envelope.id);
      if (session !== undefined) this.#message(session, inbound, envelope, answer);
    }
  }

  /** A body that is an array. Only sessions of the one revision that has batches may send it. */
  batch(inbound: Inbound, body: Buffer, answer: Answer): void {
    const session = this.#find(inbound, answer, undefined);
    if (session === undefined) return;
    const parts = session.client.protocolVersion === BATCHES_IN ? splitBatch(body) : 'Batches are not supported';
    if (typeof parts === 'string') {
      this.#options.refuse(answer, inbound, reject('request_invalid', parts, undefined));
      return;
    }
    const batch = new Batch(answer, parts.length, inbound.correlation);
    for (const part of parts) {
      const envelope = readEnvelope(part);
      const member = batch.member(envelope.id);
      if ('fault' in envelope) this.#options.refuse(member, inbound, faulty(envelope));
      else if (envelope.method === 'initialize') {
        this.#options.refuse(member, inbound, reject('request_invalid', 'initialize stands in no batch', envelope.id));
      } else this.#message(session, inbound, envelope, member);
    }
  }

  get(inbound: Inbound, answer: Answer): void {
    const session = this.#find(inbound, answer, undefined);
    if (session === undefined) return;
    if (!answer.streams) {
      this.#refuse(answer, inbound, 'not_acceptable', undefined);
      return;
    }
    const fault = session.streams.attach(answer, inbound, inbound.headers.lastEventId);
    if (fault !== undefined) this.#options.refuse(answer, inbound, reject('request_invalid', fault, undefined));
  }

  delete(inbound: Inbound, answer: Answer): void {
    const session = this.#find(inbound, answer, undefined);
    if (session === undefined) return;
    this.#sessions.end(session);
    answer.empty(204);
  }

  onToolsetChanged(tenant: string): void {
    for (const { server, capabilities } of this.#sessions.of(tenant)) {
      server.sendToolListChanged().catch(ended);
      if (capabilities.prompts !== undefined) server.sendPromptListChanged().catch(ended);
      if (capabilities.resources !== undefined) server.sendResourceListChanged().catch(ended);
    }
  }

  onResourceUpdated(tenant: string, uri: string): void {
    for (const session of this.#sessions.of(tenant)) {
      if (!session.watched.has(uri) || !this.#options.backend.readable(session.principal, uri)) continue;
      session.server.sendResourceUpdated({ uri }).catch(ended);
    }
  }

  /** 2025-11-25, "Completion Notifications": to the client that was asked, and to no other. */
  onElicitationComplete(tenant: string, elicitationId: string): void {
    const params = { elicitationId };
    const message = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/elicitation/complete', params });
    // Past the SDK's server, which does not know what its client declared (see `initialize`).
    for (const { streams, elicitations } of this.#sessions.of(tenant))
      if (elicitations.delete(elicitationId)) streams.tell(message);
  }

  sessions(tenant?: string): number {
    return this.#sessions.count(tenant);
  }

  close(): void {
    clearInterval(this.#recheck);
    this.#sessions.close();
  }

  #initialize(inbound: Inbound, envelope: Envelope, id: string, answer: Answer): void {
    const params = initializeParams(envelope);
    if ('kind' in params) {
      this.#options.refuse(answer, inbound, params);
      return;
    }
    const { principal } = inbound;
    const owner = this.#options.ownerKey(principal);
    if (!this.#sessions.admit(principal.tenant, owner)) {
      this.#refuse(answer, inbound, 'concurrency_limit', id);
      return;
    }
    const view = this.#options.backend.toolset(principal);
    const session = new Session(
      this.#sessions.newId(),
      principal,
      owner,
      this.#options.info,
      view,
      this.#limits.requestsPerSession,
      this.#newStreams(principal.tenant, params.client.protocolVersion),
    );
    session.client = params.client;
    installHandlers(session, this.#options);
    installSessionHandlers(session, this.#options.backend);
    this.#sessions.add(session);
    this.#begin(session, inbound, envelope, id, params, answer).catch(() => this.#refuse(answer, inbound, 'internal_error', id));
  }

  async #begin(
    session: Session,
    inbound: Inbound,
    envelope: Envelope,
    id: string,
    { message }: InitializeParams,
    answer: Answer,
  ): Promise<void> {
    await session.server.connect(session.transport);
    const headers = ['mcp-session-id', session.id];
    session.transport.request({ id, inbound, envelope, answer, headers }, 'initialize', message);
  }

  /** The caller's session, or undefined after a refusal. */
  #find(inbound: Inbound, answer: Answer, id: string | undefined): Session | undefined {
    const { headers, principal } = inbound;
    if (headers.protocolVersion !== undefined && !LEGACY_VERSIONS.includes(headers.protocolVersion)) {
      this.#options.refuse(answer, inbound, unsupported(headers.protocolVersion, id, LEGACY_VERSIONS));
      return undefined;
    }
    if (headers.session === undefined) {
      this.#options.refuse(answer, inbound, reject('request_invalid', 'Mcp-Session-Id is missing; initialize first', id));
      return undefined;
    }
    const session = this.#sessions.find(headers.session, this.#options.ownerKey(principal));
    if (session === undefined) this.#refuse(answer, inbound, 'session_unknown', id);
    else session.principal = principal;
    return session;
  }

  #message(session: Session, inbound: Inbound, envelope: Envelope, answer: Answer): void {
    const { body, id, method, params } = envelope;
    const { transport } = session;
    if (method === undefined) {
      transport.response(JSON.parse(body.bytes.toString('utf8')) as object);
      answer.empty(202);
    } else if (id === undefined) {
      const cancelled = params?.get('requestId');
      if (method === 'notifications/cancelled' && cancelled !== undefined) transport.cancel(rawAt(body, cancelled));
      else if (method === 'notifications/initialized') transport.notification(method, undefined);
      answer.empty(202);
    } else {
      const forSdk = sdkParams(method, envelope);
      if (isRejection(forSdk)) {
        this.#options.refuse(answer, inbound, forSdk);
        return;
      }
      const wrapped = session.streams.wrap(answer, () =>
        legacyFailed(id, inbound.principal.tenant, failure('result_too_large'), inbound.correlation),
      );
      if (!transport.request({ id, inbound, envelope, answer: wrapped }, method, forSdk)) {
        this.#refuse(wrapped, inbound, 'concurrency_limit', id);
      }
    }
  }

  #newStreams(tenant: string, protocolVersion: string): SessionStreams {
    let budget = this.#budgets.get(tenant);
    if (budget === undefined) this.#budgets.set(tenant, (budget = new ByteBudget(this.#limits.eventBytesPerTenant)));
    const streams = new SessionStreams(new EventStore(this.#limits.eventBytesPerSession, budget));
    streams.priming = protocolVersion >= PRIMING_SINCE;
    return streams;
  }

  #refuse(answer: Answer, inbound: Inbound, code: FailureCode, id: string | undefined): void {
    this.#options.refuse(answer, inbound, { kind: 'rejection', failure: failure(code), id });
  }
}
