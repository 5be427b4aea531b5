// The audit of what commands do to tokens: recorded durably first, done then.
// Not responsible for tokens.
// Invariant: no record, no change. A server has its audit folder for itself while it runs, so commands have one of their
// own below it in the data folder: `<data>/cli/audit/<tenant>.jsonl`, chained like the server's.
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type AuditTrail, createAuditLog } from '../audit/log.ts';
import { AuditRefused } from '../audit/unavailable.ts';
import type { CompiledServer } from '../config/compiled.ts';
import { newCorrelationId } from '../shared/ids.ts';
import { UserError } from './command.ts';
import { leaseholdVersion } from './version-of.ts';

export interface TokenChange {
  readonly kind: 'token.created' | 'token.revoked';
  readonly tenant: string;
  readonly subject: string;
  /** Its public id. */
  readonly token: string;
}

/** Two commands at once take turns. */
const TURN_MS = 50;
const LONGEST_MS = 5000;

/** Resolves when the changes are on disk. */
export async function auditTokens(config: CompiledServer, changes: readonly TokenChange[]): Promise<void> {
  if (changes.length === 0) return;
  const log = await openLog(join(config.dataDir, 'cli'));
  try {
    const correlation = newCorrelationId();
    const client = `leasehold-cli/${leaseholdVersion()}`;
    const common = { issuer: 'leasehold', client, correlation };
    await Promise.all(changes.map((change) => log.append({ ...common, ...change, id: newCorrelationId() })));
  } catch (error) {
    throw new UserError(`the audit cannot be written, so nothing was changed (${String((error as Error).message)})`);
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
