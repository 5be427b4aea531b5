// How the edge says no before the protocol is asked: one JSON shape for every refusal, and for paths that do not exist.
// Not responsible for deciding. Invariant: public text and a correlation id; no detail, no stack, no echo of the request.
import type { FastifyReply } from 'fastify';
import { FAILURES, type Failure } from '../shared/errors.ts';
import { errorMessage } from '../mcp/protocol-error.ts';
import { JSON_HEADER_OBJECT } from './response-headers.ts';

/** An unread body up to here is read and dropped, so that the connection can be used again; a larger one ends it. */
const SKIPPED_BYTES = 65_536;

export function refuse(reply: FastifyReply, of: Failure, correlation: string, headers: Record<string, string> = {}): void {
  const { method, headers: sent } = reply.request.raw;
  const length = sent['transfer-encoding'] === undefined ? Number(sent['content-length'] ?? 0) : Number.POSITIVE_INFINITY;
  if (method !== 'GET' && !(length <= SKIPPED_BYTES)) reply.header('connection', 'close');
  reply
    .code(FAILURES[of.code].http)
    .headers(JSON_HEADER_OBJECT)
    .headers(headers)
    .send(errorMessage(undefined, of, correlation));
}
