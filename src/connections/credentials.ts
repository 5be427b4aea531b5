// The credential of a request, whatever its kind: leased before it leaves, judged by what came back.
// Not responsible for sending (`egress-call`), for static values (`static-credential`) or for OAuth (`grants`).
// Invariant: never throws and never says more than a caller may know; what is refused by an upstream is not sent again at once.
import type { AuditLog, AuditSubject } from '../audit/record.ts';
import type { Lease } from '../boundary/egress.ts';
import type { CompiledConnection } from '../config/compiled.ts';
import { type Failure, failure, isFailure } from '../shared/errors.ts';
import { newCorrelationId } from '../shared/ids.ts';
import { VaultError } from '../vault/vault-error.ts';
import type { GrantKey, RejectionStore, SecretStore } from '../vault/stores.ts';
import { type Credential, leaseOf } from './lease.ts';
import { Rejections } from './rejections.ts';
import { secretRefs } from './secret-refs.ts';
import { setCommand, type StaticConnection, staticCredential } from './static-credential.ts';

/** Who needs a credential, for what, and until when. */
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

/** `version`: which credential it was, for `rejected`. */
export interface Leased {
  readonly lease: Lease;
  readonly version: string;
}

export interface Credentials {
  /** Undefined: the connection needs none. */
  lease(ask: CredentialAsk): Leased | undefined | Failure | Promise<Leased | undefined | Failure>;
  /** The upstream answered 401. `resend`: there is a newer credential, and the request was not carried out. */
  rejected(ask: CredentialAsk, version: string): Promise<'resend' | Failure>;
  /** The upstream took the credential. */
  accepted(ask: CredentialAsk): void;
}

export interface CredentialPorts {
  readonly secrets: Pick<SecretStore, 'get'>;
  readonly rejections: RejectionStore;
  readonly audit: AuditLog;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

export function createCredentials(ports: CredentialPorts): Credentials {
  const { secrets, audit, now = Date.now } = ports;
  const rejections = new Rejections(ports.rejections, now);

  function leaseStatic(ask: CredentialAsk, connection: StaticConnection): Leased | Failure {
    const credential = staticCredential(connection, secrets);
    if (isFailure(credential)) return credential;
    const rest = rejections.restOf(keyOf(ask), credential.version);
    if (rest > 0) return rejectedFailure(connection, `not sent: at rest for ${Math.ceil(rest)} ms`);
    return leased(ask, credential, now());
  }

  return {
    lease(ask) {
      const { connection } = ask;
      if (connection.type === 'none') return undefined;
      if (connection.type === 'oauth2') return failure('not_connected');
      return guarded(() => leaseStatic(ask, connection));
    },

    async rejected(ask, version) {
      const { connection } = ask;
      const failures = rejections.rejected(keyOf(ask), version);
      await audit
        .append({
          ...ask.subject,
          tenant: ask.tenant,
          kind: 'credential.rejected',
          id: newCorrelationId(),
          connection: connection.slot,
          failures,
        })
        .catch(() => undefined); // nothing follows from it that would need the record
      return rejectedFailure(connection, 'HTTP 401');
    },

    accepted: (ask) => rejections.accepted(keyOf(ask)),
  };
}

function leased(ask: CredentialAsk, credential: Credential, now: number): Leased {
  return { lease: leaseOf(credential, ask.deadline - now, now), version: credential.version };
}

/** A record that does not open is the operator's to see; the caller learns that something is wrong. */
function guarded<T>(work: () => T): T | Failure {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof VaultError) return failure('internal_error', { detail: cause.message });
    throw cause;
  }
}

/** A credential of the tenant itself. */
function keyOf({ tenant, connection }: CredentialAsk): GrantKey {
  return { tenant, slot: connection.slot, owner: undefined };
}

function rejectedFailure(connection: CompiledConnection, detail: string): Failure {
  const how = secretRefs(connection).map(setCommand).join(', ');
  return failure('credential_rejected', {
    message: `The service refused the credential of the connection "${connection.slot}". The operator must set a new one: ${how}`,
    detail,
  });
}
