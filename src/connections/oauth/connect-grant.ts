// Stores what a person just allowed: the last step of every way to connect an account.
// Not responsible for the way there (pages, PKCE, state, who may connect for whom).
// Invariant: on record before it is stored, and durable when this resolves; a renewal of the grant that it replaces is dropped.
import type { AuditLog, AuditSubject } from '../../audit/record.ts';
import type { OAuth2Connection } from '../../config/compiled.ts';
import { newCorrelationId } from '../../shared/ids.ts';
import type { GrantKey, GrantStore, RejectionStore, StoredGrant } from '../../vault/stores.ts';
import { newGrant } from './grant-facts.ts';
import { whenFree } from './renewal.ts';
import type { Tokens } from './token-answer.ts';

export interface ConnectPorts {
  readonly grants: GrantStore;
  readonly rejections: RejectionStore;
  readonly audit: AuditLog;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}
export interface Connected {
  /** From `grantKey`. */
  readonly key: GrantKey;
  readonly connection: OAuth2Connection;
  /** From `tokensOf`. */
  readonly tokens: Tokens;
  /** Scopes that were asked for. */
  readonly requested: readonly string[];
  /** The account as a person knows it, where the service told it. */
  readonly account?: string;
  /** Public id of the connect flow, for the audit. */
  readonly flow?: string;
  /** Who connected it, for the audit. */
  readonly subject: Omit<AuditSubject, 'id' | 'tenant'>;
}

/** Rejects where the audit or the store cannot be written: nothing is stored then. */
export async function connectGrant(ports: ConnectPorts, connected: Connected): Promise<StoredGrant> {
  const { grants, rejections, audit, now = Date.now } = ports;
  const { key, connection, tokens, requested, account, flow, subject } = connected;
  const grant = newGrant(newCorrelationId(), connection.oauth, tokens, now(), requested);
  const { tenant, slot } = key;
  await audit.append({
    ...subject,
    tenant,
    kind: 'grant.connected',
    id: newCorrelationId(),
    connection: slot,
    grant: grant.id,
    ...(flow === undefined ? {} : { flow }),
  });
  const stored = await whenFree(() => grants.put(key, account === undefined ? grant : { ...grant, account }));
  // What was refused was another grant's token.
  await whenFree(() => rejections.clear(key));
  return stored;
}
