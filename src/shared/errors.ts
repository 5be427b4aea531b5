// The one table of failures: what each code means to HTTP, to JSON-RPC, to a human and to an agent.
// Not responsible for exact reasons: those go to the audit and to the author; the public text here never names them.
// Invariant: a failure is a value (`Failure`) that crosses every line unchanged; match on `code`, never on text.
import type { Json } from './json.ts';

export type FailureClass = 'input' | 'credential' | 'transient' | 'upstream' | 'limit' | 'isolation' | 'tool' | 'internal';
export type NextAction =
  | { do: 'fix_arguments'; path: string; reason: string }
  | { do: 'reauthorize'; url: string }
  | { do: 'retry'; afterMs: number }
  | { do: 'contact_operator' }
  | { do: 'none' };

interface Row {
  readonly class: FailureClass;
  /** HTTP status where the failure ends the HTTP request itself (not for tool results, which are 200). */
  readonly http: number;
  /** JSON-RPC error code where the failure is a protocol error. Own codes lie outside -32768..-32000. */
  readonly rpc: number;
  /** What a caller is told when nothing more exact is public. */
  readonly text: string;
  readonly next: NextAction['do'];
}
function row(cls: FailureClass, http: number, rpc: number, next: NextAction['do'], text: string): Row {
  return { class: cls, http, rpc, text, next };
}

/** Every code of Leasehold. The README holds the same table; a pin test compares the two literally. */
export const FAILURES = {
  // what the client sent
  parse_error: row('input', 400, -32700, 'none', 'The body is not valid JSON.'),
  request_invalid: row('input', 400, -32600, 'none', 'The message is not a valid JSON-RPC request.'),
  method_unknown: row('input', 404, -32601, 'none', 'There is no such method.'),
  params_invalid: row('input', 400, -32602, 'none', 'The parameters of the request are invalid.'),
  header_mismatch: row('input', 400, -32020, 'none', 'A header of the request does not match its body.'),
  capability_missing: row('input', 400, -32021, 'none', 'The request needs a client capability that was not declared.'),
  version_unsupported: row('input', 400, -32022, 'none', 'This protocol version is not supported.'),
  body_too_large: row('input', 413, -32600, 'none', 'The request body is larger than allowed.'),
  media_type_unsupported: row('input', 415, -32600, 'none', 'The request must be application/json.'),
  not_acceptable: row('input', 406, -32600, 'none', 'The client must accept application/json and text/event-stream.'),
  header_duplicate: row('input', 400, -32600, 'none', 'A header that must stand once stands more than once.'),
  session_unknown: row('input', 404, -32001, 'none', 'There is no such session. Initialize a new one.'),
  not_found: row('input', 404, -32601, 'none', 'There is nothing here.'),
  method_not_allowed: row('input', 405, -32600, 'none', 'This HTTP method is not allowed here.'),
  tool_unknown: row('input', 400, -32602, 'none', 'There is no such tool.'),
  prompt_unknown: row('input', 400, -32602, 'none', 'There is no such prompt.'),
  /** -32002 in the 2025 era. */
  resource_unknown: row('input', 400, -32602, 'none', 'There is no such resource.'),
  cursor_invalid: row('input', 400, -32602, 'none', 'The cursor is invalid.'),
  state_invalid: row('input', 400, -32602, 'none', 'The requestState is invalid or has expired. Call again without it.'),
  arguments_invalid: row('input', 400, -32602, 'fix_arguments', 'The arguments do not fit the schema of what was called.'),
  // who the client is
  unauthenticated: row('credential', 401, 40100, 'none', 'Authentication is required.'),
  token_invalid: row('credential', 401, 40101, 'none', 'The access token is not valid here.'),
  auth_unavailable: row('transient', 503, 50310, 'retry', 'The access token cannot be checked now.'),
  too_many_requests: row('limit', 429, 42900, 'retry', 'There were too many requests.'),
  scope_insufficient: row('credential', 403, 40301, 'none', 'The access token lacks a scope that this needs.'),
  tenant_mismatch: row('isolation', 403, 40302, 'none', 'The request does not agree on its tenant.'),
  host_forbidden: row('isolation', 403, 40303, 'none', 'This Host is not served here.'),
  origin_forbidden: row('isolation', 403, 40304, 'none', 'This Origin is not allowed here.'),
  // the services behind a tool
  not_connected: row('credential', 200, 50001, 'reauthorize', 'The tool needs an account that is not connected.'),
  credential_rejected: row('credential', 200, 50002, 'contact_operator', 'The service behind the tool refused its credential.'),
  upstream_unavailable: row('transient', 200, 50003, 'retry', 'The service behind the tool is not available now.'),
  upstream_error: row('upstream', 200, 50004, 'none', 'The service behind the tool answered with an error.'),
  upstream_invalid: row(
    'upstream',
    200,
    50005,
    'contact_operator',
    'The service behind the tool sent an answer that could not be used.',
  ),
  egress_denied: row('isolation', 200, 50006, 'contact_operator', 'The tool may not reach that address.'),
  connection_unknown: row(
    'isolation',
    200,
    50007,
    'contact_operator',
    'The tool uses a connection that the tenant does not have.',
  ),
  // limits
  deadline_exceeded: row('limit', 200, 50101, 'retry', 'The call did not end within its deadline.'),
  concurrency_limit: row('limit', 200, 50102, 'retry', 'The tenant has no free slot for another call.'),
  arguments_too_large: row('limit', 200, 50103, 'none', 'The arguments are larger than allowed.'),
  result_too_large: row('limit', 200, 50104, 'none', 'The result is larger than allowed.'),
  heap_limit: row('limit', 200, 50105, 'none', 'The tool used more memory than the tenant may use.'),
  queue_limit: row(
    'limit',
    200,
    50111,
    'retry',
    'The tenant has no free slot for another call, and too many calls wait for one.',
  ),
  rate_limit: row('limit', 200, 50112, 'retry', 'The tenant began more calls than it may in a second.'),
  budget_spent: row('limit', 200, 50113, 'retry', 'The tenant has used up what it may use in a day.'),
  egress_limit: row('limit', 200, 50114, 'none', 'The call asked more of upstreams than one call may.'),
  run_limit: row('limit', 200, 50110, 'retry', 'A thread of the tenant ran without a pause for longer than allowed.'),
  depth_limit: row('limit', 200, 50106, 'none', 'Nested calls are deeper than allowed.'),
  fanout_limit: row('limit', 200, 50107, 'none', 'One call began more nested operations than allowed.'),
  store_quota: row('limit', 200, 50108, 'none', 'The store of the tenant is full or the value is larger than allowed.'),
  journal_full: row(
    'limit',
    200,
    50109,
    'contact_operator',
    'The tool did more before its question to the user than can be kept until the answer.',
  ),
  // tools
  tool_error: row('tool', 200, 50201, 'none', 'The tool reported an error.'),
  tool_failed: row('tool', 200, 50202, 'none', 'The tool failed.'),
  result_invalid: row(
    'tool',
    200,
    50203,
    'contact_operator',
    'The tool returned something that its output schema does not allow.',
  ),
  call_cycle: row('tool', 200, 50204, 'contact_operator', 'The tool called itself through other tools.'),
  elicit_after_effect: row(
    'tool',
    200,
    50205,
    'contact_operator',
    'The tool asked the user after it had already changed something.',
  ),
  elicit_unsupported: row('tool', 200, 50206, 'none', 'The client cannot ask its user, and the tool needs an answer.'),
  answer_invalid: row('input', 200, 50209, 'none', 'The client gave an answer that does not fit what it was asked.'),
  replay_mismatch: row(
    'tool',
    200,
    50210,
    'contact_operator',
    'The tool did something else when it ran again with the answer to its question, so it was stopped.',
  ),
  toolset_broken: row('tool', 200, 50207, 'contact_operator', 'The tools of the tenant could not be loaded.'),
  cancelled: row('tool', 200, 50208, 'none', 'The call was cancelled.'),
  // the runtime
  worker_lost: row('transient', 200, 50301, 'retry', 'The worker of the call was lost. Nothing was changed; call again.'),
  outcome_unknown: row(
    'internal',
    200,
    50302,
    'none',
    'The worker of the call was lost after a request that may have changed something.',
  ),
  draining: row('transient', 503, 50303, 'retry', 'The server is shutting down.'),
  audit_unavailable: row('internal', 503, 50304, 'contact_operator', 'The audit trail cannot be written, so nothing is done.'),
  internal_error: row('internal', 500, -32603, 'contact_operator', 'Something went wrong inside the server.'),
} as const satisfies Record<string, Row>;

export type FailureCode = keyof typeof FAILURES;
export function isFailureCode(value: unknown): value is FailureCode {
  return typeof value === 'string' && Object.hasOwn(FAILURES, value);
}

/** A failure as plain data. `message` is public; `detail` is for the audit and the author only and never leaves to a client. */
export interface Failure {
  readonly code: FailureCode;
  readonly message?: string;
  /** JSON pointer of the argument at fault, with `reason`: class input. */
  readonly path?: string;
  readonly reason?: string;
  readonly retryAfterMs?: number;
  /** The page to open: class credential. */
  readonly url?: string;
  /** Name of the limit that was met: class limit. */
  readonly limit?: string;
  /** What the author of a `ToolError` gave as its code and data. */
  readonly toolCode?: string;
  readonly data?: Json;
  readonly detail?: string;
}

export function failure(code: FailureCode, more: Omit<Failure, 'code'> = {}): Failure {
  return { code, ...more };
}

/** Tells a failure from the value that a step gives when it succeeds (which must not have a `code`). */
export function isFailure(value: object): value is Failure {
  return 'code' in value && isFailureCode(value.code);
}

/** The failure as a client may see it. */
export function withoutDetail(of: Failure): Failure {
  if (of.detail === undefined) return of;
  const { detail: _, ...rest } = of;
  return rest;
}

const DEFAULT_RETRY_MS = 1000;

/** What the caller should do next, from the table and the failure's own data. */
export function nextAction(of: Failure): NextAction {
  const next = FAILURES[of.code].next;
  switch (next) {
    case 'fix_arguments':
      return { do: next, path: of.path ?? '', reason: of.reason ?? '' };
    case 'reauthorize':
      return of.url === undefined ? { do: 'contact_operator' } : { do: next, url: of.url };
    case 'retry':
      return { do: next, afterMs: of.retryAfterMs ?? DEFAULT_RETRY_MS };
    case 'contact_operator':
    case 'none':
      return of.retryAfterMs === undefined ? { do: next } : { do: 'retry', afterMs: of.retryAfterMs };
    default:
      return next satisfies never;
  }
}

/** The sentence a caller reads. */
export function publicText(of: Failure): string {
  return of.message ?? FAILURES[of.code].text;
}
