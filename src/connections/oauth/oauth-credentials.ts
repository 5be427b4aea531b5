// The access token of a request: found, renewed when it must be, or a failure that says what to do.
// Not responsible for the renewal itself (`renewal`) or for how people connect (the connect flow, behind `connectLink`).
// Invariant: a caller's deadline ends his wait, not the renewal; a token that was refused is renewed once, not in a storm.
import { AuditUnavailable } from '../../audit/unavailable.ts';
import type { OAuth2Connection } from '../../config/compiled.ts';
import { withLinks } from '../../shared/connect-links.ts';
import { type Failure, failure, isFailure } from '../../shared/errors.ts';
import type { GrantKey, GrantStore, RejectionStore, SecretStore, StoredGrant } from '../../vault/stores.ts';
import type { ConnectAsk, ConnectOffer } from '../connect/connect-link.ts';
import type { CredentialAsk } from '../credential-ask.ts';
import { stoppedFailure } from '../egress-failure.ts';
import type { Credential } from '../lease.ts';
import type { Rejections } from '../rejections.ts';
import { missingSecret, setCommand } from '../static-credential.ts';
import { freshness, grantBinding, grantKey, lackingScopes, tokenVersion } from './grant-facts.ts';
import { Pauses } from './pauses.ts';
import type { Renewal, Renewed } from './renewal.ts';
import type { TokenClient } from './token-endpoint.ts';

/** The page of ours that the asker opens to connect; undefined where there is none. */
export type ConnectLink = (ask: ConnectAsk) => ConnectOffer | undefined | Promise<ConnectOffer | undefined>;

export interface OAuthPorts {
  readonly grants: GrantStore;
  readonly rejections: RejectionStore;
  readonly rests: Rejections;
  readonly secrets: Pick<SecretStore, 'get'>;
  readonly renewal: Renewal;
  readonly connectLink: ConnectLink;
  readonly now: () => number;
}

export type OAuthAsk = CredentialAsk & { readonly connection: OAuth2Connection };
type Standing = Pick<OAuthAsk, 'tenant' | 'connection' | 'subject' | 'scopes'>;

export class OAuthCredentials {
  readonly #ports: OAuthPorts;
  readonly #pauses: Pauses;

  constructor(ports: OAuthPorts) {
    this.#ports = ports;
    this.#pauses = new Pauses(ports.now);
  }

  credential(ask: OAuthAsk): Credential | Failure | Promise<Credential | Failure> {
    const { connection } = ask;
    const key = grantKey(ask.tenant, connection, ask.subject);
    if (key === undefined) return failure('not_connected', { detail: 'the caller has no identity that could own a grant' });
    const grant = this.#find(key, connection);
    if (connection.grant === 'authorization_code') {
      const missing = whatIsMissing(grant, ask);
      if (missing !== undefined) return this.#notConnected(ask, key, missing, grant);
    }
    if (grant === undefined) return this.#renewed(ask, key, undefined);
    const fresh = freshness(grant, this.#ports.now());
    const version = tokenVersion(grant);
    const refused = this.#ports.rejections.find(key);
    if (refused?.credential === version) {
      // Refused once: its renewal is under way, or was cut short. Refused although renewed: it rests.
      if (refused.failures === 1) return this.#renewed(ask, key, version);
      if (this.#ports.rests.restOf(key, version) > 0) return this.#refused(ask, key, grant, 'not sent: at rest');
    }
    if (fresh === 'stale') return this.#renewed(ask, key, version);
    if (fresh === 'due' && (grant.refreshToken !== undefined || connection.grant === 'client_credentials'))
      this.#renewAhead(ask, key, version);
    return bearer(grant);
  }

  /** What must be connected before a tool is dispatched; asks no server. */
  ready(ask: Standing): Failure | undefined | Promise<Failure> {
    const { connection } = ask;
    if (connection.grant === 'client_credentials') {
      const client = this.#client(connection);
      return 'code' in client ? client : undefined;
    }
    const key = grantKey(ask.tenant, connection, ask.subject);
    if (key === undefined) return failure('not_connected');
    const grant = this.#find(key, connection);
    const missing = whatIsMissing(grant, ask);
    return missing === undefined ? undefined : this.#notConnected(ask, key, missing, grant);
  }

  /** The upstream answered 401 to the token `version`. */
  async rejected(ask: OAuthAsk, version: string): Promise<'resend' | Failure> {
    const { connection, tenant, subject } = ask;
    const { rests, rejections } = this.#ports;
    const key = grantKey(tenant, connection, subject);
    const grant = key === undefined ? undefined : this.#find(key, connection);
    if (key === undefined || grant === undefined) return failure('not_connected');
    if (tokenVersion(grant) !== version) return 'resend';
    const refused = rejections.find(key);
    const before = refused?.failures ?? 0;
    // A renewal did not help the last time, or does not now: the server of the tokens is not asked again and again.
    if (before > 1 || (refused !== undefined && refused.credential !== version)) {
      rests.rejected(key, version, before);
      return this.#refused(ask, key, grant, 'HTTP 401 after a renewal');
    }
    if (refused === undefined) rests.rejected(key, version);
    const renewed = await this.#renewed(ask, key, version);
    return 'code' in renewed ? renewed : 'resend';
  }

  /** The upstream answered 403: the token is good, and lacks a scope. `named`: those that the upstream wants, where it says so. */
  async insufficient(ask: OAuthAsk, named: readonly string[]): Promise<Failure> {
    const { connection, tenant, subject } = ask;
    const { slot, oauth, grant: kind } = connection;
    const base = `The service behind the connection "${slot}" wants more permissions than the account has given`;
    const wanted = [...new Set([...ask.scopes, ...named])];
    const key = grantKey(tenant, connection, subject);
    const grant = key === undefined ? undefined : this.#find(key, connection);
    const lacking = grant === undefined ? wanted : lackingScopes(grant, oauth, wanted);
    const detail = `HTTP 403 insufficient_scope${named.length === 0 ? '' : `: ${named.join(' ')}`}`;
    // With all that is known to be needed, connecting again would change nothing.
    if (key === undefined || kind === 'client_credentials' || lacking.length === 0)
      return failure('credential_rejected', { message: `${base}.`, detail });
    const missing = await this.#notConnected({ ...ask, scopes: wanted }, key, detail, grant);
    return { ...missing, message: `${base}: ${lacking.join(', ')}.` };
  }

  /** How often in a row tokens were refused. */
  refusals({ tenant, connection, subject }: OAuthAsk): number {
    const key = grantKey(tenant, connection, subject);
    return (key === undefined ? undefined : this.#ports.rejections.find(key))?.failures ?? 0;
  }

  accepted(ask: OAuthAsk): void {
    const key = grantKey(ask.tenant, ask.connection, ask.subject);
    if (key !== undefined) this.#ports.rests.accepted(key);
  }

  async #notConnected(ask: Standing, key: GrantKey, why: string, grant?: StoredGrant): Promise<Failure> {
    const { connection, tenant, scopes } = ask;
    const { slot, oauth } = connection;
    const again = grant === undefined ? '' : ' to be connected again';
    if (key.owner === undefined) {
      // Whoever connects it decides what all users of the tenant work on: that is not for the next caller to do.
      const more = scopes.filter((scope) => !oauth.scopes.includes(scope));
      const how = `leasehold connection connect ${tenant} ${slot}${more.length === 0 ? '' : ` --scopes ${more.join(',')}`}`;
      const message = `The connection "${slot}" needs a ${oauth.title} account of the tenant${again}. The operator connects it with: ${how}`;
      return failure('not_connected', { message, detail: why });
    }
    const { correlation, credential, client } = ask.subject;
    const asker = {
      ...key.owner,
      correlation,
      ...(credential === undefined ? {} : { credential }),
      ...(client === undefined ? {} : { client }),
    };
    const all = [...new Set([...oauth.scopes, ...(grant?.requested ?? []), ...scopes])];
    const offer = await this.#offer({ key, connection, scopes: all, asker });
    if (offer !== undefined && isFailure(offer)) return offer;
    const message = `The connection "${slot}" needs your ${oauth.title} account${again}.`;
    const missing = failure('not_connected', { message, detail: why });
    return offer === undefined ? missing : withLinks(missing, [{ ...offer, tenant, connection: slot, service: oauth.title }]);
  }

  async #offer(ask: ConnectAsk): Promise<ConnectOffer | Failure | undefined> {
    try {
      return await this.#ports.connectLink(ask);
    } catch (cause) {
      if (cause instanceof AuditUnavailable) return failure('audit_unavailable');
      return failure('internal_error', { detail: cause instanceof Error ? `${cause.name} while making a link` : 'link' });
    }
  }

  /** A grant of another authorization server or client is none: its tokens must not go where this connection goes. */
  #find(key: GrantKey, { oauth }: OAuth2Connection): StoredGrant | undefined {
    const grant = this.#ports.grants.find(key);
    return grant?.binding === grantBinding(oauth) ? grant : undefined;
  }

  #client({ oauth, slot }: OAuth2Connection): (TokenClient & { readonly version: string }) | Failure {
    const ref = oauth.clientSecret;
    if (ref === undefined) return { oauth, secret: undefined, version: '' };
    const found = this.#ports.secrets.get(ref.owner, ref.secret);
    return found === undefined ? missingSecret(slot, ref) : { oauth, secret: found.value, version: found.version };
  }

  #renewAhead(ask: OAuthAsk, key: GrantKey, version: string): void {
    this.#renew(ask, key, version).catch(() => undefined);
  }

  /** Waits for the renewal as long as the caller may. */
  async #renewed(ask: OAuthAsk, key: GrantKey, spent: string | undefined): Promise<Credential | Failure> {
    const flight = this.#renew(ask, key, spent);
    const stop = new AbortController();
    const stopped = new Promise<Failure>((resolve) => {
      const timer = setTimeout(
        () => resolve(failure('deadline_exceeded', { detail: 'waited for a renewal' })),
        Math.max(0, ask.deadline - this.#ports.now()),
      );
      const abort = (): void => resolve(stoppedFailure(ask.signal));
      ask.signal.addEventListener('abort', abort, { once: true });
      if (ask.signal.aborted) abort();
      stop.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        ask.signal.removeEventListener('abort', abort);
      });
    });
    try {
      return await Promise.race([flight, stopped]);
    } finally {
      stop.abort();
    }
  }

  async #renew(ask: OAuthAsk, key: GrantKey, spent: string | undefined): Promise<Credential | Failure> {
    const { connection, subject } = ask;
    const client = this.#client(connection);
    if ('code' in client) return client;
    const pause = `${JSON.stringify(key)} ${spent} ${client.version}`;
    const paused = this.#pauses.get(pause);
    if (paused !== undefined) return paused;
    try {
      const renewed = await this.#ports.renewal.renew({ key, connection, client, spent, subject });
      return await this.#told(ask, key, renewed, pause);
    } catch (cause) {
      return failure('internal_error', { detail: cause instanceof Error ? `${cause.name} while renewing a grant` : 'renewal' });
    }
  }

  /** What the caller is told of a renewal. */
  #told(ask: OAuthAsk, key: GrantKey, renewed: Renewed, pause: string): Credential | Failure | Promise<Failure> {
    if (renewed === 'audit_unavailable') return failure('audit_unavailable');
    if ('accessToken' in renewed) {
      this.#pauses.clear(pause);
      return bearer(renewed);
    }
    if ('ended' in renewed) return this.#notConnected(ask, key, renewed.ended, this.#ports.grants.find(key));
    if (renewed.kind === 'lost') {
      const detail = `token request: ${renewed.reason}`;
      return this.#pauses.note(pause, renewed.retryAfterMs, (retryAfterMs) =>
        failure('upstream_unavailable', { retryAfterMs, detail }),
      );
    }
    const { slot, oauth } = ask.connection;
    const how = oauth.clientSecret === undefined ? '' : ` (its secret: ${setCommand(oauth.clientSecret)})`;
    const message = `${oauth.title} does not take the application of the connection "${slot}": ${renewed.reason}. The operator must check its registration${how}.`;
    return this.#pauses.note(pause, undefined, () => failure('credential_rejected', { message, detail: renewed.reason }));
  }

  async #refused(ask: OAuthAsk, key: GrantKey, grant: StoredGrant, detail: string): Promise<Failure> {
    const { connection } = ask;
    const base = `The service behind the connection "${connection.slot}" refuses its access token although it was renewed.`;
    if (connection.grant === 'client_credentials') return failure('credential_rejected', { message: base, detail });
    const missing = await this.#notConnected(ask, key, detail, grant);
    if (missing.url === undefined) return failure('credential_rejected', { message: base, detail });
    return { ...missing, message: `${base} Connect the account again.` };
  }
}

/** Why the grant of a user or tenant does not do for what is asked. */
function whatIsMissing(grant: StoredGrant | undefined, { connection, scopes }: Standing): string | undefined {
  if (grant === undefined) return 'not connected';
  if (grant.state === 'reauthorize') return grant.reason ?? 'ended';
  const lacking = lackingScopes(grant, connection.oauth, scopes);
  return lacking.length === 0 ? undefined : `scopes ${lacking.join(' ')} are missing`;
}

/** RFC 6750, section 2.1. */
function bearer(grant: StoredGrant): Credential {
  const { accessToken, expiresAt } = grant;
  return {
    headers: { authorization: `Bearer ${accessToken}` },
    ...(expiresAt === undefined ? {} : { expiresAt }),
    version: tokenVersion(grant),
  };
}
