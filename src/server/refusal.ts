// How the edge says no before the protocol is asked: one JSON shape for every refusal, and for paths that do not exist.
// Not responsible for deciding. Invariant: public text and a correlation id; no detail, no stack, no echo of the request.
import type { FastifyReply } from 'fastify';
import { FAILURES, type Failure } from '../shared/errors.ts';
import { errorMessage } from '../mcp/protocol-error.ts';
import { CORRELATION_HEADER, JSON_HEADER_OBJECT } from './response-headers.ts';

/**
 * An unread body up to here is read and dropped (within the time of a request), since a client that is cut off while it writes may
 * never see the answer; a larger one, or one of unknown length, ends the connection.
 */
const SKIPPED_BYTES = 16_777_216;

export function refuse(reply: FastifyReply, of: Failure, correlation: string, headers: Record<string, string> = {}): void {
  const sent = reply.request.raw.headers;
  const length = sent['transfer-encoding'] === undefined ? Number(sent['content-length'] ?? 0) : Number.POSITIVE_INFINITY;
  if (length <= SKIPPED_BYTES) reply.removeHeader('connection');
  else reply.header('connection', 'close');
  reply
    .code(FAILURES[of.code].http)
    .headers(JSON_HEADER_OBJECT)
    .header(CORRELATION_HEADER, correlation)
    .headers(headers)
    .send(errorMessage(undefined, of, correlation));
}
