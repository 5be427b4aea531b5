// The audit of what commands change: recorded durably first, done then.
// Not responsible for the changes.
// Invariant: no record, no change. A server has its audit folder for itself while it runs, so commands have one of their
// own below it in the data folder: `<data>/cli/audit/<tenant>.jsonl`, chained like the server's.
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type AuditTrail, createAuditLog } from '../audit/log.ts';
import type { AuditEvent } from '../audit/record.ts';
import { AuditRefused } from '../audit/unavailable.ts';
import type { CompiledServer } from '../config/compiled.ts';
import { newCorrelationId } from '../shared/ids.ts';
import { UserError } from './command.ts';
import { leaseholdVersion } from './version-of.ts';

type WithoutContext<E> = E extends AuditEvent ? Omit<E, 'issuer' | 'client' | 'correlation' | 'id'> & { issuer?: string } : never;
/** An event without what all events of one command share. */
export type CommandEvent = WithoutContext<AuditEvent>;

/** Two commands at once take turns. */
const TURN_MS = 50;
const LONGEST_MS = 5000;

/** Resolves when the events are on disk. */
export async function auditCommand(config: CompiledServer, events: readonly CommandEvent[]): Promise<void> {
  if (events.length === 0) return;
  await withCommandAudit(config, async (log) => {
    try {
      await Promise.all(events.map((event) => log.append(commandEvent(event))));
    } catch (error) {
      throw new UserError(`the audit cannot be written, so nothing was changed (${String((error as Error).message)})`);
    }
  });
}

function commandEvent(event: CommandEvent): AuditEvent {
  const correlation = newCorrelationId();
  return { issuer: 'leasehold', ...event, client: `leasehold-cli/${leaseholdVersion()}`, correlation, id: correlation };
}

/** For commands whose work writes records of its own. */
export async function withCommandAudit<T>(config: CompiledServer, use: (log: AuditTrail) => Promise<T>): Promise<T> {
  const log = await openLog(join(config.dataDir, 'cli'));
  try {
    return await use(log);
  } finally {
    await log.close();
  }
}

async function openLog(dataDir: string): Promise<AuditTrail> {
  const deadline = performance.now() + LONGEST_MS;
  for (;;) {
    try {
      return await createAuditLog({ dataDir, mode: 'strict', supervisorId: 'cli' });
    } catch (error) {
      if (!(error instanceof AuditRefused)) throw error;
      if (performance.now() > deadline) throw new UserError(error.message);
      await wait(TURN_MS);
    }
  }
}
