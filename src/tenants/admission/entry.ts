// The door of a tenant: budget of the day, then a slot; what is refused here is counted and recorded.
// Not responsible for fairness (`admission`), for counting days (`usage`) or for calls that are let in.
// Invariant: a refusal names its limit in the answer, in the audit trail and in the metrics.
import { FAILURES, type Failure, type FailureClass, type FailureCode, isFailure } from '../../shared/errors.ts';
import type { AuditSubject } from '../../audit/record.ts';
import type { OperationCall } from '../../mcp/ports.ts';
import { callerSubject } from '../call-records.ts';
import type { Runnable, Tenant } from '../tenant.ts';
import type { Usage } from '../usage.ts';
import type { Admission, Slot } from './admission.ts';

/** Where calls and limits are counted, for the metrics. */
export interface CallCounts {
  called(tenant: string, end: FailureClass | 'ok' | 'input_required'): void;
  limited(tenant: string, limit: string): void;
}

export interface RefusalRecords {
  /** Never rejects; `correlation` of the first of several that are recorded as one. */
  refused(subject: Omit<AuditSubject, 'id'>, tool: string, code: FailureCode, limit: string | undefined): void;
}

export interface EntryPorts {
  readonly admission: Admission;
  readonly usage: Usage;
  readonly counts: CallCounts;
  readonly refusals: RefusalRecords;
}

export class Entry {
  readonly #ports: EntryPorts;

  constructor(ports: EntryPorts) {
    this.#ports = ports;
  }

  /** `patienceMs`: until the deadline of the call. */
  slot(inbound: OperationCall, tenant: Tenant, spec: Runnable, patienceMs: number): Slot | Failure | Promise<Slot | Failure> {
    const { limits } = tenant.config;
    const { issuer, subject } = inbound.caller.principal;
    const slot =
      this.#ports.usage.begin(tenant.id, limits) ??
      this.#ports.admission.admit({
        tenant: tenant.id,
        subject: `${issuer} ${subject}`,
        limits,
        patienceMs,
        signal: inbound.signal,
      });
    if (slot instanceof Promise) return slot.then((late) => this.#told(late, inbound, tenant, spec));
    return this.#told(slot, inbound, tenant, spec);
  }

  /** Notes a call that is refused before it begins, for whatever reason, and gives the reason back. */
  refuse(reason: Failure, { caller }: OperationCall, tenant: Tenant, spec: Runnable): Failure {
    const { counts, refusals } = this.#ports;
    counts.called(tenant.id, FAILURES[reason.code].class);
    if (reason.limit !== undefined) counts.limited(tenant.id, reason.limit);
    refusals.refused({ tenant: tenant.id, ...callerSubject(caller) }, spec.name, reason.code, reason.limit);
    return reason;
  }

  #told(slot: Slot | Failure, inbound: OperationCall, tenant: Tenant, spec: Runnable): Slot | Failure {
    return isFailure(slot) ? this.refuse(slot, inbound, tenant, spec) : slot;
  }
}
