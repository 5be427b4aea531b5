// One request to an upstream in the name of a call: the call's tenant, deadline, trace and scopes, and nothing of its own.
// Not responsible for recovery, leases or records of egress (`connections/egress-call`).
// Invariant: a request that must not be repeated marks the call, and all that wait for it, before it leaves. Never rejects.
import type { EgressAsk, EgressCall, EgressSettled } from '../connections/egress-call.ts';
import { failure } from '../shared/errors.ts';
import { subjectOf } from './call-records.ts';
import { type Call, markUnsafe } from './call-tree.ts';

export async function sendFor(
  call: Call,
  slot: string,
  ask: EgressAsk,
  body: Uint8Array,
  egress: EgressCall,
): Promise<EgressSettled> {
  const { root, spec } = call;
  const connection = root.tenant.config.connections.get(slot);
  if (connection === undefined || root.toolset.egress === undefined) return { ok: false, failure: failure('connection_unknown') };
  const { tenant: _tenant, id: _id, ...subject } = subjectOf(call);
  const scopes = spec.binding === undefined ? spec.connections?.[slot]?.scopes : spec.binding.scopesNeeded;
  return egress({
    tenant: root.tenant.id,
    pool: root.toolset.egress,
    connection,
    ask,
    body,
    upstreamBytes: root.tenant.config.limits.upstreamBytes,
    subject: { ...subject, parent: call.id },
    traceparent: root.caller.traceparent,
    tracestate: root.caller.tracestate,
    baggage: root.caller.baggage,
    deadline: root.deadline,
    repeatable: spec.repeatable,
    ...(scopes === undefined ? {} : { scopes }),
    signal: root.signal,
    onUnsafeSent: () => markUnsafe(call),
  });
}
