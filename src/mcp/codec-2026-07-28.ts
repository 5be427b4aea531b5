// Encodes answers in revision 2026-07-28: `resultType`, `serverInfo` in `_meta`, caching hints.
// Not responsible for deciding anything, nor for the HTTP status.
// Invariant: a result's own bytes are spliced in, never parsed; every result names this server (spec, "Per-response protocol fields").
import { type Failure, failure } from '../shared/errors.ts';
import { type Message, text } from './answer.ts';
import { inputRequired } from './asking.ts';
import { openBody } from './result-body.ts';
import type { OperationResult } from './ports.ts';
import { authorMeta, TENANT_META } from './result-meta.ts';
import { ERROR_META, failureMembers, failureMeta } from './tool-failure.ts';

const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';

export interface ServerInfo {
  readonly name: string;
  readonly title: string;
  readonly version: string;
}

export class ModernCodec {
  /** `"io.modelcontextprotocol/serverInfo":{…}}`: how most `_meta` end. */
  readonly #info: string;

  constructor(info: ServerInfo) {
    this.#info = `"${SERVER_INFO}":${JSON.stringify(info)}}`;
  }

  /** `"resultType":"complete","_meta":{…}`: how results begin. A tenant id needs no escaping. */
  #open(tenant: string, meta?: Record<string, unknown>, type: 'complete' | 'input_required' = 'complete'): string {
    const own = meta === undefined ? '' : `${JSON.stringify(meta).slice(1, -1)},`;
    return `"resultType":"${type}","_meta":{${own}"${TENANT_META}":"${tenant}",${this.#info}`;
  }

  /** `members` are JSON text without braces, and more than none. */
  complete(id: string, tenant: string, members: string): Message {
    return text(`{"jsonrpc":"2.0","id":${id},"result":{${this.#open(tenant)},${members}}}`);
  }

  failed(id: string, tenant: string, of: Failure, correlation: string): Message {
    const opening = this.#open(tenant, { [ERROR_META]: failureMeta(of, correlation) });
    return text(`{"jsonrpc":"2.0","id":${id},"result":{${opening},${failureMembers(of, correlation)}}}`);
  }

  /** The outcome of a call that is not a protocol failure. `hints`: members before the body's, each with its comma. Waits for the first bytes of a streamed body. */
  called(
    id: string,
    tenant: string,
    { outcome, body }: OperationResult,
    correlation: string,
    hints = '',
  ): Message | Promise<Message> {
    switch (outcome.status) {
      case 'error':
        return this.failed(id, tenant, outcome.failure, correlation);
      case 'input_required':
        return text(
          `{"jsonrpc":"2.0","id":${id},"result":{${this.#open(tenant, undefined, 'input_required')},${inputRequired(outcome.requests, outcome.state)}}}`,
        );
      case 'ok': {
        const meta = authorMeta(outcome.meta);
        const head = `{"jsonrpc":"2.0","id":${id},"result":{${this.#open(tenant, meta)},${hints}`;
        const opened = body === undefined ? undefined : openBody(body);
        const spliced = (rest: Awaited<typeof opened>): Message =>
          rest === undefined ? this.failed(id, tenant, failure('result_invalid'), correlation) : { head, body: rest, tail: '}' };
        // The body brings the brace that closes the result; the tail closes the message.
        return opened instanceof Promise ? opened.then(spliced) : spliced(opened);
      }
      default:
        return outcome satisfies never;
    }
  }
}
