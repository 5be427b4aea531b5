// One request to an upstream in the name of a call: the call's tenant, deadline, trace and scopes, and nothing of its own.
// Not responsible for recovery, leases or records of egress (`connections/egress-call`).
// Invariant: a request that must not be repeated marks the call, and all that wait for it, before it leaves. Never rejects.
import type { EgressAsk, EgressCall, EgressSettled } from '../connections/egress-call.ts';
import type { BodyStream } from '../hosts/pool.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { subjectOf } from './call-records.ts';
import { type Call, markUnsafe } from './call-tree.ts';
import type { Usage } from './usage.ts';

export interface EgressPorts {
  readonly egress: EgressCall;
  readonly usage: Pick<Usage, 'addEgress'>;
}

export async function sendFor(
  call: Call,
  slot: string,
  ask: EgressAsk,
  body: Uint8Array,
  { egress, usage }: EgressPorts,
): Promise<EgressSettled> {
  const { root, spec } = call;
  const connection = root.tenant.config.connections.get(slot);
  if (connection === undefined || root.toolset.egress === undefined) return { ok: false, failure: failure('connection_unknown') };
  const refusal = root.spendEgress(body.length);
  if (refusal !== undefined) return { ok: false, failure: refusal };
  const { tenant: _tenant, id: _id, ...subject } = subjectOf(call);
  const { upstreamBytes } = root.tenant.config.limits;
  const left = root.egressBytesLeft;
  const scopes = spec.binding === undefined ? spec.connections?.[slot]?.scopes : spec.binding.scopesNeeded;
  const settled = await egress({
    tenant: root.tenant.id,
    pool: root.toolset.egress,
    connection,
    ask,
    body,
    upstreamBytes: Math.min(upstreamBytes, Math.max(1, left)),
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
  const count = (bytes: number): void => {
    root.received(bytes);
    usage.addEgress(root.tenant.id, bytes);
  };
  usage.addEgress(root.tenant.id, body.length);
  if (!settled.ok) {
    if (settled.failure.code !== 'result_too_large') return settled;
    return tooLarge(settled.failure, left < upstreamBytes ? 'egressBytesPerCall' : 'upstreamBytes', root);
  }
  if (settled.body instanceof Uint8Array) count(settled.body.length);
  return settled.body === undefined || settled.body instanceof Uint8Array
    ? settled
    : { ...settled, body: counted(settled.body, count) };
}

function tooLarge(of: Failure, limit: 'egressBytesPerCall' | 'upstreamBytes', { tenant }: Call['root']): EgressSettled {
  const message = `The answer of the service is larger than the limit ${limit} (${tenant.config.limits[limit]}) allows.`;
  return { ok: false, failure: { ...of, limit, message } };
}

/** The same body, each of its parts counted when it has come. */
function counted(body: BodyStream, count: (bytes: number) => void): BodyStream {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const part of body) {
        count(part.length);
        yield part;
      }
    },
    cancel: () => body.cancel(),
  };
}
