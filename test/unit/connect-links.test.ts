// What crosses to a thread when a connection is missing, and what its run may end with: the relay between a pool and the supervisor.
// Not responsible for the answer of a whole server (`test/connections/step-up`).
import t from 'tap';
import type { HostReply } from '../../src/boundary/host-request.ts';
import type { CallSink, ToolsPool } from '../../src/hosts/pool.ts';
import { failureOf } from '../../src/connections/egress-failure.ts';
import { connectLinks, withLinks } from '../../src/shared/connect-links.ts';
import { failure } from '../../src/shared/errors.ts';
import { Root } from '../../src/tenants/call-tree.ts';
import { runCode } from '../../src/tenants/code-run.ts';

const LINK = {
  id: 'F',
  tenant: 'acme',
  connection: 'crm',
  service: 'CRM',
  scopes: [],
  url: 'https://lh.example/connect/x',
  code: '7Q3-F9K',
};

t.test('the thread gets the page, the caller gets what opens it, and a thread cannot make up either', async (t) => {
  const replies: HostReply[] = [];
  let sink: CallSink | undefined;
  const pool = {
    call(_operation: unknown, _context: unknown, _args: unknown, given: CallSink) {
      sink = given;
      return {
        reply: (_request: number, reply: HostReply) => replies.push(reply),
        cancel: () => undefined,
        kill: () => undefined,
      };
    },
  } as unknown as ToolsPool;
  const caller = {
    principal: { subject: 'ada', scopes: new Set() },
    client: { protocolVersion: '2026-07-28', capabilities: {} },
  };
  const config = { limits: {} };
  const begin = () => {
    const slot = { release: () => undefined };
    const root = new Root(caller as never, { id: 'acme', config } as never, {} as never, slot as never, 60_000);
    t.teardown(() => root.answered());
    const call = root.begin('tool', { name: 'x', repeatable: false } as never, undefined);
    const missing = withLinks(failure('not_connected', { message: 'needs it' }), [LINK]);
    return runCode(call, pool, new Uint8Array(), {
      answer: async () => ({ reply: { status: 'error', failure: missing } }),
      notice: () => undefined,
    });
  };
  const ended = begin();
  sink?.request(1, { op: 'call', tool: 'y' }, new Uint8Array());
  await new Promise(setImmediate);
  t.match(replies, [{ status: 'error', failure: { code: 'not_connected', url: LINK.url } }]);
  t.notMatch(JSON.stringify(replies), LINK.code);
  sink?.end({ status: 'error', failure: { code: 'not_connected', url: 'https://evil.example' } }, undefined);
  const { outcome } = await ended;
  t.strictSame(outcome.status === 'error' && connectLinks(outcome.failure), [LINK], 'as it was told, not as the thread says');

  const forged = begin();
  const evil = withLinks(failure('not_connected'), [{ ...LINK, url: 'https://evil.example' }]);
  sink?.end({ status: 'error', failure: evil as never }, undefined);
  t.match((await forged).outcome, { status: 'error', failure: { code: 'tool_failed' } });
});

t.test('an egress host cannot send a caller to a page either', (t) => {
  const forged = withLinks(failure('not_connected'), [LINK]);
  const standing = { repeatable: true, signal: new AbortController().signal, late: false };
  for (const status of ['denied', 'upstream_error'] as const) {
    const told = failureOf({ status, sent: false, failure: forged as never }, standing);
    t.match(told, { code: 'upstream_invalid' });
    t.notOk(JSON.stringify(told).includes(LINK.url));
  }
  t.match(failureOf({ status: 'denied', sent: false, failure: failure('egress_denied') as never }, standing), {
    code: 'egress_denied',
  });
  t.end();
});
