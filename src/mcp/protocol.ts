// The MCP endpoint of all tenants: takes verified exchanges, classifies them and has each answered by its method and era.
// Not responsible for HTTP, identity (both came before) or execution (the backend).
// Invariant: stateless in the 2026 era; every exchange that is taken gets exactly one end; nothing throws out of here.
import { randomBytes } from 'node:crypto';
import { failure, type Failure } from '../shared/errors.ts';
import { type Answer, text } from './answer.ts';
import { NO_COMPLETION, type OperationMethod, requestOf } from './asked.ts';
import { missingCapabilities, roundsOf } from './asking.ts';
import { classify, type InboundCall, type Rejection } from './classify.ts';
import { ModernCodec, type ServerInfo } from './codec-2026-07-28.ts';
import { discover } from './discover.ts';
import { readEnvelope } from './envelope.ts';
import type { Inbound } from './inbound.ts';
import { isBatch } from './legacy/batch.ts';
import { LegacyLeg, type LegacyLimits } from './legacy/leg.ts';
import { logTo } from './log-messages.ts';
import { paramMismatch } from './param-check.ts';
import { errorMessage, statusOf } from './protocol-error.ts';
import { cancelBody } from './result-body.ts';
import type { Caller, McpBackend, OperationResult, Principal } from './ports.ts';
import { SUBSCRIPTION_LIMITS, type SubscriptionLimits, Subscriptions } from './subscriptions.ts';
import { operate, progressTo } from './operate.ts';
import { LIST_OF, listResult } from './lists.ts';
import { failedData, isProtocolFailure } from './tool-failure.ts';
import { traceOf } from './trace.ts';
import { LEGACY_VERSIONS } from './versions.ts';

export interface ProtocolOptions {
  readonly backend: McpBackend;
  readonly info: ServerInfo;
  /** One string per owner of a handle (session, cursor). */
  readonly ownerKey: (principal: Principal) => string;
  /** At least 32 bytes, shared by all servers behind one address. @default random */
  readonly cursorKey?: Uint8Array;
  readonly legacy?: Partial<LegacyLimits>;
  readonly subscriptions?: Partial<SubscriptionLimits>;
}

/** What was read may be another thing the next time. */
const READ_HINTS = '"ttlMs":0,"cacheScope":"private",';

export class Protocol {
  readonly #options: ProtocolOptions;
  readonly #codec: ModernCodec;
  readonly #cursorKey: Uint8Array;
  readonly #legacy: LegacyLeg;
  readonly #subscriptions: Subscriptions;

  constructor(options: ProtocolOptions) {
    this.#options = options;
    this.#codec = new ModernCodec(options.info);
    this.#cursorKey = options.cursorKey ?? randomBytes(32);
    this.#subscriptions = new Subscriptions({ ...SUBSCRIPTION_LIMITS, ...options.subscriptions }, ({ principal }, uri) =>
      options.backend.readable(principal, uri),
    );
    this.#legacy = new LegacyLeg({
      backend: options.backend,
      info: options.info,
      ownerKey: options.ownerKey,
      cursorKey: this.#cursorKey,
      refuse,
      protocolFailure: (answer, id, of, inbound) => this.#protocolFailure(answer, id, of, inbound),
      ...(options.legacy === undefined ? {} : { limits: options.legacy }),
    });
  }

  post(inbound: Inbound, body: Buffer, answer: Answer): void {
    this.#guarded(inbound, answer, () => {
      const { protocolVersion } = inbound.headers;
      if (isBatch(body) && (protocolVersion === undefined || LEGACY_VERSIONS.includes(protocolVersion))) {
        this.#legacy.batch(inbound, body, answer);
        return;
      }
      const classified = classify(inbound.headers, readEnvelope(body));
      switch (classified.kind) {
        case 'call':
          this.#call(classified, inbound, answer);
          break;
        case 'rejection':
          refuse(answer, inbound, classified);
          break;
        case 'notification':
          answer.empty(202);
          break;
        case 'legacy':
          this.#legacy.post(inbound, classified.envelope, answer);
          break;
        default:
          classified satisfies never;
      }
    });
  }

  /** The stream of a 2025-era session. */
  get(inbound: Inbound, answer: Answer): void {
    this.#guarded(inbound, answer, () => this.#legacy.get(inbound, answer));
  }

  /** Ends a 2025-era session. */
  delete(inbound: Inbound, answer: Answer): void {
    this.#guarded(inbound, answer, () => this.#legacy.delete(inbound, answer));
  }

  /** Tells the tenant's open streams that its lists are others. */
  onToolsetChanged(tenant: string): void {
    this.#subscriptions.onToolsetChanged(tenant);
    this.#legacy.onToolsetChanged(tenant);
  }

  onResourceUpdated(tenant: string, uri: string): void {
    this.#subscriptions.onResourceUpdated(tenant, uri);
    this.#legacy.onResourceUpdated(tenant, uri);
  }

  /** What a client was asked to have its user do in a browser is done. */
  onElicitationComplete(tenant: string, id: string): void {
    this.#legacy.onElicitationComplete(tenant, id);
  }

  /** The server is going down: who listens gets a graceful end before the streams are cut. */
  endSubscriptions(): void {
    this.#subscriptions.close();
  }

  /** Sessions under way, of one tenant or of all. */
  sessions(tenant?: string): number {
    return this.#legacy.sessions(tenant);
  }

  close(): void {
    this.#subscriptions.close();
    this.#legacy.close();
  }

  #guarded(inbound: Inbound, answer: Answer, act: () => void): void {
    try {
      act();
    } catch {
      refuse(answer, inbound, { kind: 'rejection', failure: failure('internal_error'), id: undefined });
    }
  }

  #call(call: InboundCall, inbound: Inbound, answer: Answer): void {
    const { backend, ownerKey } = this.#options;
    const { principal } = inbound;
    switch (call.method) {
      case 'tools/call':
      case 'prompts/get':
      case 'resources/read':
      case 'completion/complete':
        void this.#operate(call, call.method, inbound, answer).catch(() =>
          refuse(answer, inbound, { kind: 'rejection', failure: failure('internal_error'), id: call.id }),
        );
        break;
      case 'tools/list':
      case 'prompts/list':
      case 'resources/list':
      case 'resources/templates/list': {
        const view = backend.toolset(principal);
        const listed = listResult(call, LIST_OF[call.method], view, () => ownerKey(principal), this.#cursorKey);
        if (typeof listed === 'string') answer.send(200, this.#codec.complete(call.id, principal.tenant, listed));
        else refuse(answer, inbound, listed);
        break;
      }
      case 'server/discover':
        answer.send(200, this.#codec.complete(call.id, principal.tenant, discover(backend.toolset(principal))));
        break;
      case 'subscriptions/listen': {
        const rejection = this.#subscriptions.open(call, inbound, ownerKey(principal), answer);
        if (rejection !== undefined) refuse(answer, inbound, rejection);
        break;
      }
      default:
        call.method satisfies never;
    }
  }

  async #operate(call: InboundCall, method: OperationMethod, inbound: Inbound, answer: Answer): Promise<void> {
    const { progressToken, envelope, id, name } = call;
    const { backend } = this.#options;
    const { correlation, principal } = inbound;
    const mismatch =
      method === 'tools/call' ? paramMismatch(backend.tool(principal, name), inbound.headers, envelope) : undefined;
    if (mismatch !== undefined) {
      refuse(answer, inbound, mismatch);
      return;
    }
    const requested = requestOf(method, name, envelope, () => backend.toolset(principal));
    if (requested === NO_COMPLETION) {
      answer.send(200, this.#codec.complete(id, principal.tenant, requested));
      return;
    }
    const asking = method === 'completion/complete' ? undefined : roundsOf(envelope);
    if (asking !== undefined && 'code' in asking) {
      refuse(answer, inbound, { kind: 'rejection', failure: asking, id });
      return;
    }
    const told = progressToken !== undefined && answer.streams;
    const progress = told ? progressTo(progressToken, (message) => answer.notify(message)) : undefined;
    const result: OperationResult =
      'code' in requested
        ? { outcome: { status: 'error', failure: requested } }
        : await operate(backend, callerOf(call, inbound, answer), requested, answer.signal, progress, asking);
    const { outcome } = result;
    if (answer.signal.aborted) {
      cancelBody(result.body);
      return;
    }
    const missing = outcome.status === 'error' ? missingCapabilities(outcome.failure) : undefined;
    if (missing !== undefined) {
      refuse(answer, inbound, { kind: 'rejection', failure: failure('capability_missing'), id, data: missing });
      return;
    }
    if (outcome.status === 'error' && (method !== 'tools/call' || isProtocolFailure(outcome.failure))) {
      this.#protocolFailure(answer, id, outcome.failure, inbound, call);
      return;
    }
    const message = this.#codec.called(id, principal.tenant, result, correlation, method === 'resources/read' ? READ_HINTS : '');
    answer.send(200, message instanceof Promise ? await message : message);
  }

  /** A failure that ends the request itself; missing scopes are named in a challenge, so that a client can step up. */
  #protocolFailure(answer: Answer, id: string, of: Failure, { correlation, scopeChallenge }: Inbound, call?: InboundCall): void {
    const data = call === undefined ? {} : failedData(of, correlation, call.name);
    const message = text(errorMessage(id, of, correlation, data));
    if (of.code !== 'scope_insufficient') answer.send(statusOf(of), message);
    else answer.send(403, message, ['www-authenticate', scopeChallenge(scopesOf(of))]);
  }
}

/** Scopes that a `scope_insufficient` names in its data: `{ scopes: [...] }`. */
function scopesOf({ data }: Failure): string[] {
  const scopes = typeof data === 'object' && data !== null && !Array.isArray(data) ? data['scopes'] : undefined;
  return Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === 'string') : [];
}

function callerOf(
  { client, envelope, logLevel }: InboundCall,
  { correlation, headers, principal }: Inbound,
  answer: Answer,
): Caller {
  const logs = logLevel !== undefined && answer.streams;
  return {
    principal,
    correlation,
    ...traceOf(envelope, headers),
    client,
    ...(logs ? { log: logTo(logLevel, (message) => answer.notify(message)) } : {}),
  };
}

function refuse(answer: Answer, { correlation }: Inbound, { failure: of, id, data }: Rejection): void {
  answer.send(statusOf(of), text(errorMessage(id, of, correlation, data)));
}
