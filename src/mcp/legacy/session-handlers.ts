// What a client says to its session rather than to a tool: the level of log messages, and which resources it watches.
// Not responsible for lists and calls (`handlers`) or for sending what was asked for (`streams`, `leg`).
// Invariant: what a session remembers for its client is bounded; a resource that the caller may not read cannot be watched.
import { copied } from '../body.ts';
import { SetLevelRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { failure } from '../../shared/errors.ts';
import { isLogLevel } from '../log-messages.ts';
import type { McpBackend } from '../ports.ts';
import { mcpError } from './handlers.ts';
import type { Session } from './session.ts';

const URI_CHARACTERS = 2048;
const URIS = 256;

export function installSessionHandlers(session: Session, backend: McpBackend): void {
  const { server, transport } = session;
  server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
    if (isLogLevel(params.level)) session.logLevel = params.level;
    return {};
  });
  if (session.capabilities.resources === undefined) return;
  server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }, { requestId }) => {
    const inbound = transport.pendingOf(requestId)?.inbound;
    if (inbound === undefined) throw new Error('cancelled');
    const { correlation, principal } = inbound;
    if (uri.length > URI_CHARACTERS || !backend.readable(principal, uri))
      throw mcpError(failure('resource_unknown'), correlation);
    if (session.watched.size >= URIS && !session.watched.has(uri)) throw mcpError(failure('concurrency_limit'), correlation);
    session.watched.add(copied(uri));
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params: { uri } }) => {
    session.watched.delete(uri);
    return {};
  });
}
