// What the SDK's server of a session does for each method: the same handlers as in the 2026 era, behind the SDK's envelope.
// Not responsible for initialize, ping and cancellation, which the SDK's server answers itself.
// Invariant: handlers return empty results to the SDK and leave the real ones with the transport, as bytes.
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  type ServerNotification,
  type ServerRequest,
} from '@modelcontextprotocol/sdk/types.js';
import { FAILURES, type Failure, type FailureCode, failure, publicText } from '../../shared/errors.ts';
import type { Inbound } from '../inbound.ts';
import { NO_COMPLETION, type OperationMethod, requestOf } from '../asked.ts';
import { URL_ELICITATION_REQUIRED, urlElicitations } from '../connect.ts';
import { type ListName, listPage } from '../listing.ts';
import { logTo } from '../log-messages.ts';
import type { Answer } from '../answer.ts';
import { cancelBody } from '../result-body.ts';
import type { Caller, McpBackend, OperationResult, Principal } from '../ports.ts';
import { operate, progressTo } from '../operate.ts';
import { progressTokenOf } from '../classify.ts';
import { errorData } from '../protocol-error.ts';
import { failedData, isProtocolFailure } from '../tool-failure.ts';
import { cursorOf } from '../lists.ts';
import { traceOf } from '../trace.ts';
import { askingOf } from './asking.ts';
import { legacyCalled, legacyResult } from './codec.ts';
import type { Session } from './session.ts';
import type { Pending } from './transport.ts';

export interface HandlerPorts {
  readonly backend: McpBackend;
  readonly cursorKey: Uint8Array;
  readonly ownerKey: (principal: Principal) => string;
  /** Ends the exchange with a failure of the request itself. */
  protocolFailure(answer: Answer, id: string, of: Failure, inbound: Inbound): void;
}

export function installHandlers(session: Session, ports: HandlerPorts): void {
  const { server, transport } = session;
  const list = (name: ListName, { requestId }: Extra): void => {
    listEntries(ports, name, pendingOf(transport.pendingOf(requestId)));
  };
  const run = (method: OperationMethod, name: string, extra: Extra): Promise<void> =>
    runOperation(session, ports, pendingOf(transport.pendingOf(extra.requestId)), method, name, extra);
  const { prompts, resources, completions } = session.capabilities;
  server.setRequestHandler(ListToolsRequestSchema, (_request, extra) => {
    list('tools', extra);
    return { tools: [] };
  });
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    await run('tools/call', params.name, extra);
    return { content: [] };
  });
  if (prompts !== undefined) {
    server.setRequestHandler(ListPromptsRequestSchema, (_request, extra) => {
      list('prompts', extra);
      return { prompts: [] };
    });
    server.setRequestHandler(GetPromptRequestSchema, async ({ params }, extra) => {
      await run('prompts/get', params.name, extra);
      return { messages: [] };
    });
  }
  if (resources !== undefined) {
    server.setRequestHandler(ListResourcesRequestSchema, (_request, extra) => {
      list('resources', extra);
      return { resources: [] };
    });
    server.setRequestHandler(ListResourceTemplatesRequestSchema, (_request, extra) => {
      list('resourceTemplates', extra);
      return { resourceTemplates: [] };
    });
    server.setRequestHandler(ReadResourceRequestSchema, async ({ params }, extra) => {
      await run('resources/read', params.uri, extra);
      return { contents: [] };
    });
  }
  if (completions !== undefined) {
    server.setRequestHandler(CompleteRequestSchema, async (_request, extra) => {
      await run('completion/complete', '', extra);
      return { completion: { values: [] } };
    });
  }
}

type Extra = Pick<RequestHandlerExtra<ServerRequest, ServerNotification>, 'requestId' | 'sendRequest' | 'signal'>;

/** Undefined where the request was cancelled before its handler began: the SDK sends nothing then. */
function pendingOf(pending: Pending | undefined): Pending {
  if (pending === undefined) throw new Error('cancelled');
  return pending;
}

/** What the 2025 era has another JSON-RPC code for (2025-11-25, resources, "Error Handling"). */
const LEGACY_CODES: { readonly [code in FailureCode]?: number } = { resource_unknown: -32002 };

export function mcpError(
  of: Failure,
  correlation: string,
  more: object = {},
  code: number = LEGACY_CODES[of.code] ?? FAILURES[of.code].rpc,
): McpError {
  const error = new McpError(code, publicText(of), { ...more, ...errorData(of, correlation) });
  // The SDK puts "MCP error <code>: " in front, and its client does so again.
  error.message = publicText(of);
  return error;
}

function listEntries({ backend, cursorKey, ownerKey }: HandlerPorts, list: ListName, pending: Pending): void {
  const cursor = cursorOf(pending.envelope);
  if (typeof cursor === 'object') throw mcpError(cursor.failure, pending.inbound.correlation);
  const { principal } = pending.inbound;
  const page = listPage(backend.toolset(principal), list, cursor, () => ownerKey(principal), cursorKey);
  if (page === undefined) throw mcpError(failure('cursor_invalid'), pending.inbound.correlation);
  pending.result = legacyResult(pending.id, principal.tenant, page);
}

async function runOperation(
  session: Session,
  ports: HandlerPorts,
  pending: Pending,
  method: OperationMethod,
  name: string,
  extra: Extra,
): Promise<void> {
  const { signal } = extra;
  const { answer, envelope, id, inbound } = pending;
  const token = answer.streams ? progressTokenOf(envelope) : undefined;
  const notify = (message: string): void => {
    if (!signal.aborted) answer.notify(message);
  };
  const progress = token === undefined ? undefined : progressTo(token, notify);
  const requested = requestOf(method, name, envelope, () => ports.backend.toolset(inbound.principal));
  if (requested === NO_COMPLETION) {
    pending.result = legacyResult(id, inbound.principal.tenant, requested);
    return;
  }
  const asking = answer.streams && method !== 'completion/complete' ? askingOf(extra) : undefined;
  const result: OperationResult =
    'code' in requested
      ? { outcome: { status: 'error', failure: requested } }
      : await operate(ports.backend, callerOf(session, pending, notify), requested, signal, progress, asking);
  if (signal.aborted) {
    cancelBody(result.body);
    return;
  }
  const { outcome } = result;
  const elicitations = outcome.status === 'error' ? urlElicitations(outcome.failure, session.client) : [];
  if (outcome.status === 'error' && elicitations.length > 0) {
    session.elicited(elicitations.map(({ elicitationId }) => elicitationId as string));
    const data = { ...failedData(outcome.failure, inbound.correlation, name), elicitations };
    throw mcpError(outcome.failure, inbound.correlation, data, URL_ELICITATION_REQUIRED);
  }
  if (outcome.status === 'error' && (method !== 'tools/call' || isProtocolFailure(outcome.failure))) {
    const { failure: of } = outcome;
    if (of.code !== 'scope_insufficient') throw mcpError(of, inbound.correlation, failedData(of, inbound.correlation, name));
    // A step-up is told by the HTTP status, which the SDK's server does not know.
    ports.protocolFailure(answer, id, of, inbound);
    pending.result = true;
    return;
  }
  pending.result = await legacyCalled(id, inbound.principal.tenant, result, inbound.correlation);
}

function callerOf(
  { client, logLevel }: Session,
  { answer, envelope, inbound }: Pending,
  notify: (message: string) => void,
): Caller {
  const { correlation, headers, principal } = inbound;
  return {
    principal,
    correlation,
    ...traceOf(envelope, headers),
    client,
    ...(logLevel !== undefined && answer.streams ? { log: logTo(logLevel, notify) } : {}),
  };
}
