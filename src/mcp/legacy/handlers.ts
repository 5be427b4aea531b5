// What the SDK's server of a session does for each method: the same handlers as in the 2026 era, behind the SDK's envelope.
// Not responsible for initialize, ping and cancellation, which the SDK's server answers itself.
// Invariant: handlers return empty results to the SDK and leave the real ones with the transport, as bytes.
import { CallToolRequestSchema, ListToolsRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js';
import { FAILURES, type Failure, failure, publicText } from '../../shared/errors.ts';
import { textAt } from '../envelope.ts';
import type { Inbound } from '../inbound.ts';
import { listPage } from '../listing.ts';
import { logTo } from '../log-messages.ts';
import type { Answer } from '../answer.ts';
import { cancelBody } from '../result-body.ts';
import type { Caller, McpBackend, Principal } from '../ports.ts';
import { operate, progressTo } from '../tools-call.ts';
import { progressTokenOf } from '../classify.ts';
import { errorData } from '../protocol-error.ts';
import { isProtocolFailure } from '../tool-failure.ts';
import { cursorOf } from '../tools-list.ts';
import { traceparentOf, tracestateOf } from '../trace.ts';
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
  server.setRequestHandler(ListToolsRequestSchema, (_request, extra) => {
    listTools(ports, pendingOf(transport.pendingOf(extra.requestId)));
    return { tools: [] };
  });
  server.setRequestHandler(CallToolRequestSchema, async (request, extra) => {
    await callTheTool(session, ports, pendingOf(transport.pendingOf(extra.requestId)), request.params.name, extra.signal);
    return { content: [] };
  });
}

/** Undefined where the request was cancelled before its handler began: the SDK sends nothing then. */
function pendingOf(pending: Pending | undefined): Pending {
  if (pending === undefined) throw new Error('cancelled');
  return pending;
}

export function mcpError(of: Failure, correlation: string): McpError {
  const error = new McpError(FAILURES[of.code].rpc, publicText(of), errorData(of, correlation));
  // The SDK puts "MCP error <code>: " in front, and its client does so again.
  error.message = publicText(of);
  return error;
}

function listTools({ backend, cursorKey, ownerKey }: HandlerPorts, pending: Pending): void {
  const cursor = cursorOf(pending.envelope);
  if (typeof cursor === 'object') throw mcpError(cursor.failure, pending.inbound.correlation);
  const { principal } = pending.inbound;
  const page = listPage(backend.toolset(principal), cursor, () => ownerKey(principal), cursorKey);
  if (page === undefined) throw mcpError(failure('cursor_invalid'), pending.inbound.correlation);
  pending.result = legacyResult(pending.id, page);
}

async function callTheTool(
  session: Session,
  ports: HandlerPorts,
  pending: Pending,
  tool: string,
  signal: AbortSignal,
): Promise<void> {
  const { answer, envelope, id, inbound } = pending;
  const token = answer.streams ? progressTokenOf(envelope) : undefined;
  const notify = (message: string): void => {
    if (!signal.aborted) answer.notify(message);
  };
  const progress = token === undefined ? undefined : progressTo(token, notify);
  const result = await operate(ports.backend, callerOf(session, pending, notify), { kind: 'tool', name: tool }, envelope, signal, progress);
  if (signal.aborted) {
    cancelBody(result.body);
    return;
  }
  const { outcome } = result;
  if (outcome.status === 'error' && isProtocolFailure(outcome.failure)) {
    if (outcome.failure.code !== 'scope_insufficient') throw mcpError(outcome.failure, inbound.correlation);
    // A step-up is told by the HTTP status, which the SDK's server does not know.
    ports.protocolFailure(answer, id, outcome.failure, inbound);
    pending.result = true;
    return;
  }
  pending.result = await legacyCalled(id, result, inbound.correlation);
}

function callerOf({ client, logLevel }: Session, { answer, envelope, inbound }: Pending, notify: (message: string) => void): Caller {
  const { bytes, meta } = envelope;
  const { correlation, headers, principal } = inbound;
  const traced = textAt(bytes, meta?.get('traceparent')) ?? headers.traceparent;
  const tracestate = tracestateOf(textAt(bytes, meta?.get('tracestate')) ?? headers.tracestate, traced);
  return {
    principal,
    correlation,
    traceparent: traceparentOf(traced),
    client,
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(logLevel !== undefined && answer.streams ? { log: logTo(logLevel, notify) } : {}),
  };
}
