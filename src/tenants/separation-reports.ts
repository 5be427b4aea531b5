// Tells of tenants that are kept apart after a host died: in the operator's log, in the tenant's audit trail, as a number in readiness.
// Not responsible for keeping them apart (`hosts/separation`).
// Invariant: nothing waits for these records: they tell of what has happened, they allow nothing.
import type { createLog } from '../audit/operational-log.ts';
import type { AuditLog } from '../audit/record.ts';
import type { Hosts, SeparationReport } from '../hosts/pool.ts';
import { newCorrelationId } from '../shared/ids.ts';

export function separationReporter(audit: AuditLog, log: ReturnType<typeof createLog>): (report: SeparationReport) => void {
  return (report) => {
    const { tenant } = report;
    const correlation = newCorrelationId();
    const subject = { tenant, correlation, id: correlation };
    const separated = report.event === 'separated';
    const text = separated
      ? 'a tenant is served by hosts of its own for a while: a host died, or cannot be trusted to live, with work of it'
      : 'a tenant is served by the hosts of its cordon again';
    log[separated ? 'warn' : 'info']({ separation: report }, text);
    const event = separated
      ? ({ ...subject, kind: 'tenant.separated', deaths: report.deaths, until: new Date(report.until).toISOString() } as const)
      : ({ ...subject, kind: 'tenant.returned' } as const);
    audit.append(event).catch((err: unknown) => log.warn({ err, tenant }, 'a separation could not be audited'));
  };
}

/** How many; their names are nobody's business who asks for readiness. */
export function tenantsApart(hosts: Pick<Hosts, 'apart'>): number {
  return new Set(hosts.apart().map(({ tenant }) => tenant)).size;
}
