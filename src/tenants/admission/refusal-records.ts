// Refused calls in the audit trail: at most one record a second for the same caller, tool and reason, with their number.
// Not responsible for refusing. A refused call has done nothing, so nothing waits for its record.
// Invariant: a flood of calls is no flood of records; what is counted here is written within a second, and at the end.
import type { AuditLog, AuditSubject } from '../../audit/record.ts';
import type { FailureCode } from '../../shared/errors.ts';
import { newCorrelationId } from '../../shared/ids.ts';
import type { RefusalRecords } from './entry.ts';

const EVERY_MS = 1000;
/** Callers, tools and reasons told apart within a second; further ones are counted with the last one of their tenant. */
const MAX_APART = 1000;

interface Refused {
  readonly subject: Omit<AuditSubject, 'id'>;
  readonly tool: string;
  readonly code: FailureCode;
  readonly limit: string | undefined;
  count: number;
}

export interface RefusalRecorder extends RefusalRecords {
  /** Resolves when everything so far is written. */
  close(): Promise<void>;
}

export function createRefusalRecords(audit: AuditLog, onLost: (error: unknown) => void): RefusalRecorder {
  let apart = new Map<string, Refused>();
  let timer: NodeJS.Timeout | undefined;

  async function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const all = [...apart.values()];
    apart = new Map();
    const written = all.map(({ subject, tool, code, limit, count }) =>
      audit.append({
        ...subject,
        kind: 'call.refused',
        id: newCorrelationId(),
        tool,
        code,
        count,
        ...(limit === undefined ? {} : { limit }),
      }),
    );
    for (const { status, ...result } of await Promise.allSettled(written)) {
      if (status === 'rejected') onLost((result as { reason: unknown }).reason);
    }
  }

  return {
    refused(subject, tool, code, limit) {
      const { tenant, issuer, subject: who } = subject;
      const exact = JSON.stringify([tenant, issuer, who, tool, code, limit]);
      const key = apart.has(exact) || apart.size < MAX_APART ? exact : tenant;
      const known = apart.get(key);
      if (known === undefined) apart.set(key, { subject, tool, code, limit, count: 1 });
      else known.count += 1;
      timer ??= setTimeout(() => void write(), EVERY_MS).unref();
    },
    close: write,
  };
}
