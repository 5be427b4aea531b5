// Who needs a credential, for what, and until when.
// Not responsible for finding one (`credentials`). Invariant: tenant and identity come from the call, never from a tool.
import type { AuditSubject } from '../audit/record.ts';
import type { CompiledConnection } from '../config/compiled.ts';

export interface CredentialAsk {
  readonly tenant: string;
  readonly connection: CompiledConnection;
  /** Who asks, for the audit and as owner of a user's grant. */
  readonly subject: Omit<AuditSubject, 'id' | 'tenant'>;
  /** Scopes of the upstream that the tool needs. */
  readonly scopes: readonly string[];
  /** Epoch milliseconds. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}
