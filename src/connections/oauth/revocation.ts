// Ends a grant here and at its authorization server.
// Not responsible for who may ask for that.
// Invariant: from the first write on nobody uses the grant any more; it is forgotten only after its server was asked, so that
// a process killed in between leaves something to ask again for; a renewal under way ends first, and its new token is revoked.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditLog } from '../../audit/record.ts';
import type { CompiledOAuth } from '../../config/compiled.ts';
import { newCorrelationId } from '../../shared/ids.ts';
import type { GrantKey, GrantStore, RefreshLocks, RejectionStore, SecretStore, StoredGrant } from '../../vault/stores.ts';
import { AuthorizationServers } from './authorization-servers.ts';
import { grantBinding } from './grant-facts.ts';
import type { NetSettings } from '../../shared/net/net-settings.ts';
import { GuardedFetch } from './guarded-fetch.ts';
import { whenFree } from './renewal.ts';
import { TokenEndpoint } from './token-endpoint.ts';

const LOCK_MS = 60_000;
const POLL_MS = 40;

export interface RevocationPorts {
  readonly grants: GrantStore;
  readonly refreshLocks: RefreshLocks;
  readonly rejections: RejectionStore;
  readonly secrets: Pick<SecretStore, 'get'>;
  readonly audit: AuditLog;
  readonly net?: NetSettings;
  readonly privateOrigins: readonly string[];
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** `unsupported`: the server has no way to be asked. `failed`: it did not answer, or is not configured here any more. */
export type RevokedUpstream = 'ok' | 'unsupported' | 'failed';

export interface Revocation {
  /**
   * @param oauth the application that the grant was made for, where it is still configured
   * @returns undefined where there is no such grant; rejects where the audit or the store cannot be written
   */
  revoke(key: GrantKey, oauth: CompiledOAuth | undefined): Promise<RevokedUpstream | undefined>;
  close(): Promise<void>;
}

export function createRevocation(ports: RevocationPorts): Revocation {
  const { grants, refreshLocks, rejections, secrets, audit, privateOrigins, now = Date.now } = ports;
  const holder = newCorrelationId();
  const guarded = new GuardedFetch({ privateOrigins, net: ports.net });
  const endpoint = new TokenEndpoint(new AuthorizationServers(guarded, now), guarded, now);

  async function lock(key: GrantKey): Promise<number> {
    for (;;) {
      const fence = refreshLocks.take(key, holder, now(), LOCK_MS);
      if (fence !== undefined) return fence;
      await sleep(POLL_MS);
    }
  }

  async function atServer(grant: StoredGrant, oauth: CompiledOAuth | undefined): Promise<RevokedUpstream> {
    if (oauth === undefined || grant.binding !== grantBinding(oauth)) return 'failed';
    const ref = oauth.clientSecret;
    const secret = ref === undefined ? undefined : secrets.get(ref.owner, ref.secret)?.value;
    const { refreshToken, accessToken } = grant;
    // RFC 7009 2.1: with the refresh token its access tokens end, too.
    return endpoint.revoke(
      { oauth, secret },
      refreshToken ?? accessToken,
      refreshToken === undefined ? 'access_token' : 'refresh_token',
    );
  }

  async function revokeLocked(key: GrantKey, oauth: CompiledOAuth | undefined): Promise<RevokedUpstream | undefined> {
    const grant = await whenFree(() => grants.read(key));
    if (grant === undefined) return undefined;
    const correlation = newCorrelationId();
    const { tenant, slot: connection } = key;
    const event = { ...key.owner, tenant, correlation, connection, grant: grant.id };
    await audit.append({ ...event, kind: 'grant.revoke', id: newCorrelationId() });
    const { version, ...rest } = grant;
    await whenFree(() => grants.replace(key, { ...rest, state: 'reauthorize', reason: 'revoked' }, version));
    const upstream = await atServer(grant, oauth);
    await whenFree(() => grants.delete(key));
    await whenFree(() => rejections.clear(key));
    const outcome = upstream === 'ok' ? 'ok' : 'lost';
    await audit.append({
      ...event,
      kind: 'grant.revoked',
      id: newCorrelationId(),
      outcome,
      ...(upstream === 'ok' ? {} : { reason: `upstream ${upstream}` }),
    });
    return upstream;
  }

  return {
    async revoke(key, oauth) {
      const fence = await lock(key);
      try {
        return await revokeLocked(key, oauth);
      } finally {
        await whenFree(() => refreshLocks.release(key, holder, fence));
      }
    },
    close: () => guarded.close(),
  };
}
