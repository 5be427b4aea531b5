// The credential of a request, whatever its kind: leased before it leaves, judged by what came back.
// Not responsible for sending (`egress-call`), for static values (`static-credential`) or for OAuth (`grants`).
// Invariant: never throws and never says more than a caller may know; what is refused by an upstream is not sent again at once.
import type { AuditLog } from '../audit/record.ts';
import type { Lease } from '../boundary/egress.ts';
import type { CompiledConnection } from '../config/compiled.ts';
import { type Failure, failure, isFailure } from '../shared/errors.ts';
import { newCorrelationId } from '../shared/ids.ts';
import type { NetSettings } from '../shared/net/net-settings.ts';
import { VaultError } from '../vault/vault-error.ts';
import type { GrantKey, GrantStore, RefreshLocks, RejectionStore, SecretStore } from '../vault/stores.ts';
import type { CredentialAsk } from './credential-ask.ts';
import { type Credential, leaseOf } from './lease.ts';
import { AuthorizationServers } from './oauth/authorization-servers.ts';
import { GuardedFetch } from './oauth/guarded-fetch.ts';
import { type ConnectLink, type OAuthAsk, OAuthCredentials } from './oauth/oauth-credentials.ts';
import { Renewal } from './oauth/renewal.ts';
import { TokenEndpoint } from './oauth/token-endpoint.ts';
import { Rejections } from './rejections.ts';
import { secretRefs } from './secret-refs.ts';
import { setCommand, type StaticConnection, staticCredential } from './static-credential.ts';

/** `version`: which credential it was, for `rejected`. */
export interface Leased {
  readonly lease: Lease;
  readonly version: string;
}

export interface Credentials {
  /**
   * Whether a call that needs this connection could get its credential, without asking any server: undefined, or
   * `not_connected` with what to do. Asked before a tool is dispatched.
   */
  ready(ask: Pick<CredentialAsk, 'tenant' | 'connection' | 'subject' | 'scopes'>): Promise<Failure | undefined>;
  /** Undefined: the connection needs none. */
  lease(ask: CredentialAsk): undefined | Promise<Leased | Failure>;
  /** The upstream answered 401. `resend`: there is a newer credential, and the request was not carried out. */
  rejected(ask: CredentialAsk, version: string): Promise<'resend' | Failure>;
  /** The upstream took the credential and wants more of it (403). `named`: scopes that it asks for. */
  insufficient(ask: CredentialAsk, named: readonly string[]): Promise<Failure>;
  /** The upstream took the credential. */
  accepted(ask: CredentialAsk): void;
  /** Gives up connections to authorization servers. */
  close(): Promise<void>;
}

export interface CredentialPorts {
  readonly secrets: Pick<SecretStore, 'get'>;
  readonly rejections: RejectionStore;
  readonly grants: GrantStore;
  readonly refreshLocks: RefreshLocks;
  readonly audit: AuditLog;
  /** Origins that may be http and lead to private addresses, also for authorization servers. */
  readonly privateOrigins: readonly string[];
  readonly net?: NetSettings;
  /** @default none: who must connect is told to ask the operator */
  readonly connectLink?: ConnectLink;
  /** Longest a dead process keeps others from renewing a grant. @default 60 s */
  readonly lockMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

export function createCredentials(ports: CredentialPorts): Credentials {
  const { secrets, audit, grants, privateOrigins, lockMs, connectLink = () => undefined, now = Date.now } = ports;
  const rejections = new Rejections(ports.rejections, now);
  const guarded = new GuardedFetch({ privateOrigins, net: ports.net });
  const endpoint = new TokenEndpoint(new AuthorizationServers(guarded, now), guarded, now);
  const renewal = new Renewal({
    grants,
    locks: ports.refreshLocks,
    endpoint,
    audit,
    now,
    ...(lockMs === undefined ? {} : { lockMs }),
  });
  const oauth = new OAuthCredentials({
    grants,
    rejections: ports.rejections,
    rests: rejections,
    secrets,
    renewal,
    connectLink,
    now,
  });

  function leaseStatic(ask: CredentialAsk, connection: StaticConnection): Leased | Failure {
    const credential = staticCredential(connection, secrets);
    if (isFailure(credential)) return credential;
    const rest = rejections.restOf(keyOf(ask), credential.version);
    if (rest > 0) return rejectedFailure(connection, `not sent: at rest for ${Math.ceil(rest)} ms`);
    return leased(ask, credential, now());
  }

  async function leaseToken(ask: OAuthAsk): Promise<Leased | Failure> {
    const credential = await oauth.credential(ask);
    return isFailure(credential) ? credential : leased(ask, credential, now());
  }

  return {
    ready: (ask) =>
      opened(() => {
        const { connection } = ask;
        if (connection.type === 'none') return undefined;
        if (connection.type === 'oauth2') return oauth.ready({ ...ask, connection });
        const credential = staticCredential(connection, secrets);
        return isFailure(credential) ? credential : undefined;
      }),

    lease(ask) {
      const { connection } = ask;
      if (connection.type === 'none') return undefined;
      return opened(() => (connection.type === 'oauth2' ? leaseToken({ ...ask, connection }) : leaseStatic(ask, connection)));
    },

    async rejected(ask, version) {
      const { connection, subject, tenant } = ask;
      const { slot } = connection;
      const isToken = connection.type === 'oauth2';
      const failures = isToken ? oauth.refusals({ ...ask, connection }) + 1 : rejections.rejected(keyOf(ask), version);
      await audit
        .append({ ...subject, tenant, kind: 'credential.rejected', id: newCorrelationId(), connection: slot, failures })
        .catch(() => undefined); // nothing follows from it that would need the record
      if (!isToken) return rejectedFailure(connection, 'HTTP 401');
      return opened(() => oauth.rejected({ ...ask, connection }, version));
    },

    insufficient(ask, named) {
      const { connection } = ask;
      if (connection.type === 'oauth2') return opened(() => oauth.insufficient({ ...ask, connection }, named));
      const message = `The credential of the connection "${connection.slot}" may not do that at the service. The operator must set one that may.`;
      return Promise.resolve(failure('credential_rejected', { message, detail: 'HTTP 403 insufficient_scope' }));
    },

    accepted(ask) {
      const { connection } = ask;
      if (connection.type === 'oauth2') oauth.accepted({ ...ask, connection });
      else rejections.accepted(keyOf(ask));
    },

    close: () => guarded.close(),
  };
}

function leased(ask: CredentialAsk, credential: Credential, now: number): Leased {
  return { lease: leaseOf(credential, ask.deadline - now, now), version: credential.version };
}

/** A record that does not open is the operator's to see; the caller learns that something is wrong. */
async function opened<T>(work: () => T | Promise<T>): Promise<T | Failure> {
  try {
    return await work();
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
