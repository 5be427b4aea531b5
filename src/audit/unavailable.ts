// What the audit rejects with when a record cannot be made durable.
// Not responsible for deciding what a caller does then: it must not act (fail closed).
// Invariant: carries a code of the failure table; the message is for the operator and holds no value of any record.

export class AuditUnavailable extends Error {
  readonly code = 'audit_unavailable';
  constructor(detail: string, options?: { cause?: unknown }) {
    super(`audit: ${detail}`, options);
    this.name = 'AuditUnavailable';
  }
}

/** The audit folder cannot be used at all: refuse to start, with this one line. */
export class AuditRefused extends Error {
  readonly code = 'audit_refused';
  constructor(detail: string, options?: { cause?: unknown }) {
    super(`audit: ${detail}`, options);
    this.name = 'AuditRefused';
  }
}
