// The audit of what commands do to tokens.
// Not responsible for tokens or for writing (`command-audit`). Invariant: no record, no change.
import type { CompiledServer } from '../config/compiled.ts';
import { auditCommand } from './command-audit.ts';

export interface TokenChange {
  readonly kind: 'token.created' | 'token.revoked';
  readonly tenant: string;
  readonly subject: string;
  /** Its public id. */
  readonly token: string;
}

/** Resolves when the changes are on disk. */
export function auditTokens(config: CompiledServer, changes: readonly TokenChange[]): Promise<void> {
  return auditCommand(config, changes);
}
