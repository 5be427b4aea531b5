// The audit records of a call: who asked for what, and how it ended.
// Not responsible for writing them. Pure.
// Invariant: argument names and sizes, codes and positions; never a value, a message of the tenant's code, or a secret.
import type { ArgumentShape, AuditEvent, AuditSubject } from '../audit/record.ts';
import type { CallOutcome } from '../boundary/outcome.ts';
import type { Caller } from '../mcp/ports.ts';
import { FAILURES } from '../shared/errors.ts';
import type { Call } from './call-tree.ts';

export function subjectOf(call: Call): AuditSubject {
  const { caller, tenant } = call.root;
  return {
    tenant: tenant.id,
    ...callerSubject(caller),
    id: call.id,
    ...(call.parent === undefined ? {} : { parent: call.parent.id }),
  };
}

/** Who a request is of, before it is a call. */
export function callerSubject({ principal, client, correlation, traceparent }: Caller): Omit<AuditSubject, 'id' | 'tenant'> {
  return {
    issuer: principal.issuer,
    subject: principal.subject,
    credential: principal.credentialId,
    correlation,
    trace: traceparent,
    ...(client.name === undefined ? {} : { client: `${client.name}/${client.version ?? ''}` }),
  };
}

/** What the records of an operation other than a tool call are named after. */
const FAMILY = {
  prompt: 'prompt',
  resource: 'resource',
  complete_prompt: 'completion',
  complete_resource: 'completion',
} as const;

export function requestRecord(call: Call, subject: AuditSubject, args: readonly ArgumentShape[]): AuditEvent {
  const { kind, depth, spec } = call;
  const resumes = call.parent === undefined ? call.root.rounds?.resumes : undefined;
  const common = {
    ...subject,
    bundle: call.root.toolset.hash,
    args,
    depth,
    deadline: call.root.deadline,
    ...(resumes === undefined ? {} : { resumes }),
  };
  if (kind === 'tool') return { ...common, kind: 'call.request', tool: spec.name };
  return { ...common, kind: `${FAMILY[kind]}.request`, name: spec.name };
}

export function outcomeRecord(
  call: Call,
  subject: AuditSubject,
  outcome: CallOutcome,
  resultBytes: number | undefined,
): AuditEvent {
  const { kind, spec } = call;
  const common = {
    ...subject,
    ...(kind === 'tool'
      ? { kind: 'call.outcome' as const, tool: spec.name }
      : { kind: `${FAMILY[kind]}.outcome` as const, name: spec.name }),
    bundle: call.root.toolset.hash,
    durationMs: Math.round((performance.now() - call.startedAt) * 1000) / 1000,
  };
  if (outcome.status !== 'error') {
    return { ...common, outcome: outcome.status, ...(resultBytes === undefined ? {} : { resultBytes }) };
  }
  const { code, limit, path, toolCode } = outcome.failure;
  const reason = toolCode ?? path ?? limit;
  return { ...common, outcome: FAILURES[code].class, code, ...(reason === undefined ? {} : { reason }) };
}
