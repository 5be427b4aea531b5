// Pins the failure table: literally, against the README, and what an agent is told to do.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { FAILURES, failure, isFailureCode, nextAction, publicText, withoutDetail } from '../../src/shared/errors.ts';

/** Written by hand: a change of the table is a change of what clients rely on. Never computed from the table itself. */
const PINNED: Record<string, readonly [cls: string, http: number, rpc: number, next: string]> = {
  parse_error: ['input', 400, -32700, 'none'],
  request_invalid: ['input', 400, -32600, 'none'],
  method_unknown: ['input', 404, -32601, 'none'],
  params_invalid: ['input', 400, -32602, 'none'],
  header_mismatch: ['input', 400, -32020, 'none'],
  capability_missing: ['input', 400, -32021, 'none'],
  version_unsupported: ['input', 400, -32022, 'none'],
  body_too_large: ['input', 413, -32600, 'none'],
  media_type_unsupported: ['input', 415, -32600, 'none'],
  not_acceptable: ['input', 406, -32600, 'none'],
  header_duplicate: ['input', 400, -32600, 'none'],
  session_unknown: ['input', 404, -32001, 'none'],
  not_found: ['input', 404, -32601, 'none'],
  method_not_allowed: ['input', 405, -32600, 'none'],
  tool_unknown: ['input', 400, -32602, 'none'],
  prompt_unknown: ['input', 400, -32602, 'none'],
  resource_unknown: ['input', 400, -32602, 'none'],
  cursor_invalid: ['input', 400, -32602, 'none'],
  state_invalid: ['input', 400, -32602, 'none'],
  arguments_invalid: ['input', 400, -32602, 'fix_arguments'],
  unauthenticated: ['credential', 401, 40100, 'none'],
  token_invalid: ['credential', 401, 40101, 'none'],
  auth_unavailable: ['transient', 503, 50310, 'retry'],
  too_many_requests: ['limit', 429, 42900, 'retry'],
  scope_insufficient: ['credential', 403, 40301, 'none'],
  tenant_mismatch: ['isolation', 403, 40302, 'none'],
  host_forbidden: ['isolation', 403, 40303, 'none'],
  origin_forbidden: ['isolation', 403, 40304, 'none'],
  not_connected: ['credential', 200, 50001, 'reauthorize'],
  credential_rejected: ['credential', 200, 50002, 'contact_operator'],
  upstream_unavailable: ['transient', 200, 50003, 'retry'],
  upstream_error: ['upstream', 200, 50004, 'none'],
  upstream_invalid: ['upstream', 200, 50005, 'contact_operator'],
  egress_denied: ['isolation', 200, 50006, 'contact_operator'],
  connection_unknown: ['isolation', 200, 50007, 'contact_operator'],
  deadline_exceeded: ['limit', 200, 50101, 'retry'],
  concurrency_limit: ['limit', 200, 50102, 'retry'],
  arguments_too_large: ['limit', 200, 50103, 'none'],
  result_too_large: ['limit', 200, 50104, 'none'],
  heap_limit: ['limit', 200, 50105, 'none'],
  queue_limit: ['limit', 200, 50111, 'retry'],
  rate_limit: ['limit', 200, 50112, 'retry'],
  budget_spent: ['limit', 200, 50113, 'retry'],
  egress_limit: ['limit', 200, 50114, 'none'],
  run_limit: ['limit', 200, 50110, 'retry'],
  depth_limit: ['limit', 200, 50106, 'none'],
  fanout_limit: ['limit', 200, 50107, 'none'],
  store_quota: ['limit', 200, 50108, 'none'],
  journal_full: ['limit', 200, 50109, 'contact_operator'],
  tool_error: ['tool', 200, 50201, 'none'],
  tool_failed: ['tool', 200, 50202, 'none'],
  result_invalid: ['tool', 200, 50203, 'contact_operator'],
  call_cycle: ['tool', 200, 50204, 'contact_operator'],
  elicit_after_effect: ['tool', 200, 50205, 'contact_operator'],
  elicit_unsupported: ['tool', 200, 50206, 'none'],
  answer_invalid: ['input', 200, 50209, 'none'],
  replay_mismatch: ['tool', 200, 50210, 'contact_operator'],
  toolset_broken: ['tool', 200, 50207, 'contact_operator'],
  cancelled: ['tool', 200, 50208, 'none'],
  worker_lost: ['transient', 200, 50301, 'retry'],
  outcome_unknown: ['internal', 200, 50302, 'none'],
  draining: ['transient', 503, 50303, 'retry'],
  audit_unavailable: ['internal', 503, 50304, 'contact_operator'],
  internal_error: ['internal', 500, -32603, 'contact_operator'],
};

t.test('the table is what is pinned', async (t) => {
  t.strictSame(Object.keys(FAILURES).sort(), Object.keys(PINNED).sort(), 'no code comes or goes unseen');
  for (const [code, row] of Object.entries(FAILURES)) t.strictSame([row.class, row.http, row.rpc, row.next], PINNED[code], code);
});

t.test('the README shows the same table', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = [...readme.matchAll(/^\| `([a-z_]+)` \| (\w+) \| (\d+) \| (-?\d+) \| (\w+) \|$/gm)].map(
    ([, code, cls, http, rpc, next]) => [code, [cls, Number(http), Number(rpc), next]],
  );
  t.strictSame(Object.fromEntries(rows), PINNED);
});

t.test('own JSON-RPC codes stay out of the reserved range, unless the protocol defines them', async (t) => {
  // JSON-RPC 2.0, and MCP: SessionNotFound as the reference servers send it, 2026-07-28 basic/transports and basic/versioning.
  const defined = new Set([-32700, -32600, -32601, -32602, -32603, -32001, -32002, -32020, -32021, -32022]);
  for (const [code, { rpc }] of Object.entries(FAILURES)) t.ok(defined.has(rpc) || rpc > -32000 || rpc < -32768, code);
});

t.test('the next action comes with what it needs', async (t) => {
  t.strictSame(nextAction(failure('arguments_invalid', { path: '/q', reason: 'is required' })), {
    do: 'fix_arguments',
    path: '/q',
    reason: 'is required',
  });
  t.strictSame(nextAction(failure('not_connected', { url: 'https://x.example/connect/1' })), {
    do: 'reauthorize',
    url: 'https://x.example/connect/1',
  });
  t.strictSame(nextAction(failure('not_connected')), { do: 'contact_operator' }, 'no link, no invitation to open one');
  t.strictSame(nextAction(failure('worker_lost', { retryAfterMs: 5 })), { do: 'retry', afterMs: 5 });
  t.strictSame(nextAction(failure('tool_error', { retryAfterMs: 7 })), { do: 'retry', afterMs: 7 });
  t.strictSame(nextAction(failure('outcome_unknown')), { do: 'none' }, 'calling again is wrong advice');
});

t.test('a detail never leaves', async (t) => {
  t.strictSame(withoutDetail(failure('tool_failed', { detail: 'TypeError at x' })), { code: 'tool_failed' });
  t.notMatch(publicText(failure('tool_failed', { detail: 'TypeError at x' })), /TypeError/);
  t.equal(isFailureCode('__proto__'), false);
  t.equal(isFailureCode('toString'), false);
});
