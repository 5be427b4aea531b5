// Answers what a running tool asks for (`ctx.*`), by the rules of the call that asked.
// Not responsible for egress recovery (`connections/egress-call`) or for how a nested call runs (`dispatch`).
// Invariant: every request counts against the budget of its root; the answer is data, never a throw, never a credential.
import type { FetchRequest, HostRequest, StoreRequest } from '../boundary/host-request.ts';
import type { AuditLog } from '../audit/record.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { STORE_VALUE_BYTES } from '../shared/limits.ts';
import type { ValueStore } from '../vault/stores.ts';
import { askNow } from './asking/session.ts';
import { subjectOf } from './call-records.ts';
import { type Call, markWrote } from './call-tree.ts';
import type { Replied } from './code-run.ts';

export interface HostRequestPorts {
  readonly audit: AuditLog;
  readonly values: ValueStore;
  fetch(call: Call, ask: FetchRequest, body: Uint8Array): Promise<Replied>;
  /** `path`: of the nested call in the tree. */
  nested(call: Call, tool: string, args: Uint8Array, path: string): Promise<Replied>;
}

export function refused(reason: Failure): Replied {
  return { reply: { status: 'error', failure: reason } };
}

/** One answer per request; never rejects. */
export function answerHostRequest(ports: HostRequestPorts, call: Call, ask: HostRequest, body: Uint8Array): Promise<Replied> {
  const { rounds } = call.root;
  if (!call.root.spend()) {
    const limit = call.root.tenant.config.limits.operationsPerCall;
    return Promise.resolve(
      refused(
        failure('fanout_limit', {
          message: `The call has reached its limit operationsPerCall (${limit}).`,
          limit: 'operationsPerCall',
        }),
      ),
    );
  }
  if (rounds === undefined) return perform(ports, call, ask, body, '');
  return rounds.operation(call, ask, body, (path) => perform(ports, call, ask, body, path)).catch(unexpected);
}

async function perform(ports: HostRequestPorts, call: Call, ask: HostRequest, body: Uint8Array, path: string): Promise<Replied> {
  try {
    switch (ask.op) {
      case 'fetch':
        return await ports.fetch(call, ask, body);
      case 'call':
        return await ports.nested(call, ask.tool, body, path);
      case 'store':
        return await useStore(ports, call, ask, body);
      case 'ask':
        return await askNow(call, call.root.asking, ask, body);
      default:
        return ask satisfies never;
    }
  } catch (error) {
    return unexpected(error);
  }
}

function unexpected(error: unknown): Replied {
  if (!(error instanceof Error)) return refused(failure('internal_error', { detail: 'unknown' }));
  // A vault says in words for the operator why it does not open.
  const detail = error.name === 'VaultError' ? error.message : error.name;
  return refused(failure('internal_error', { detail }));
}

async function useStore(ports: HostRequestPorts, call: Call, ask: StoreRequest, value: Uint8Array): Promise<Replied> {
  const { tenant, caller } = call.root;
  const subject = ask.scope === 'subject' ? caller.principal.subject : undefined;
  if (ask.action === 'get') {
    const found = ports.values.get(tenant.id, subject, ask.key, Date.now());
    return { reply: { status: 'ok' }, ...(found === undefined ? {} : { body: found }) };
  }
  if (value.length > STORE_VALUE_BYTES) {
    return refused(failure('store_quota', { message: `A value in the store may have at most ${STORE_VALUE_BYTES} bytes.` }));
  }
  await ports.audit.append({
    ...subjectOf(call),
    kind: 'store.write',
    scope: ask.scope,
    action: ask.action,
    bytes: value.length,
  });
  markWrote(call);
  if (ask.action === 'delete') {
    ports.values.delete(tenant.id, subject, ask.key);
    return { reply: { status: 'ok' } };
  }
  const expiresAt = ask.ttlMs === undefined ? undefined : Date.now() + ask.ttlMs;
  const { storeBytes } = tenant.config.limits;
  if (!ports.values.set(tenant.id, subject, ask.key, value, expiresAt, storeBytes)) {
    return refused(
      failure('store_quota', {
        message: `The store of the tenant has reached its limit storeBytes (${storeBytes}).`,
        limit: 'storeBytes',
      }),
    );
  }
  return { reply: { status: 'ok' } };
}
