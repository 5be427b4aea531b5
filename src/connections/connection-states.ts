// How the connections of a tenant stand: what is set, what is missing, who is connected. For screens and checks.
// Not responsible for printing. Asks no server. Invariant: names, owners and states; never a value.
import type { CompiledConnection, CompiledTenant, SecretRef } from '../config/compiled.ts';
import type { Problem } from '../shared/problem.ts';
import type { Grant, GrantOwner, GrantStore, Rejection, RejectionStore, SecretStore } from '../vault/stores.ts';
import { grantBinding } from './oauth/grant-facts.ts';
import { secretRefs } from './secret-refs.ts';
import { setCommand } from './static-credential.ts';

export interface GrantState {
  readonly id: string;
  /** Undefined: the tenant's own. */
  readonly owner: GrantOwner | undefined;
  /** `orphaned`: made for an authorization server or client that the connection has no more. */
  readonly state: Grant['state'] | 'orphaned';
  readonly reason?: string;
  /** At the service, as a person knows it. */
  readonly account?: string;
  readonly scopes: readonly string[];
  readonly expiresAt?: number;
  readonly connectedAt: number;
  readonly refreshedAt: number;
}
export interface ConnectionState {
  readonly slot: string;
  /** Undefined: tenant.json has no such connection any more, but there are grants. */
  readonly connection: CompiledConnection | undefined;
  readonly missing: readonly SecretRef[];
  readonly grants: readonly GrantState[];
  /** The newest refusal of a credential, where one is in force. */
  readonly rejection?: Rejection;
}

export interface StateStores {
  readonly secrets: Pick<SecretStore, 'list'>;
  readonly grants: Pick<GrantStore, 'list'>;
  readonly rejections: Pick<RejectionStore, 'list'>;
}

export function connectionStates(tenant: Pick<CompiledTenant, 'id' | 'connections'>, stores: StateStores): ConnectionState[] {
  const grants = Map.groupBy(stores.grants.list(tenant.id), ({ key }) => key.slot);
  const rejections = Map.groupBy(stores.rejections.list(tenant.id), ({ slot }) => slot);
  const isSet = secretsSet(stores.secrets);
  return [...new Set([...tenant.connections.keys(), ...grants.keys()])].map((slot) => {
    const connection = tenant.connections.get(slot);
    const rejection = rejections.get(slot)?.at(-1)?.rejection;
    return {
      slot,
      connection,
      missing: connection === undefined ? [] : secretRefs(connection).filter((ref) => !isSet(ref)),
      grants: (grants.get(slot) ?? []).map(({ key, grant }) => grantState(grant, key.owner, connection)),
      ...(rejection === undefined ? {} : { rejection }),
    };
  });
}

/** What keeps the connections of a tenant from being used, though its files are right. */
export function connectionProblems(
  tenant: Pick<CompiledTenant, 'id' | 'connections'>,
  secrets: Pick<SecretStore, 'list'>,
): Problem[] {
  return [...missingSecrets(tenant, secrets), ...unconnectable(tenant)];
}

/** Endpoints from the configuration, without the one that a browser is sent to. */
function unconnectable({ id, connections }: Pick<CompiledTenant, 'id' | 'connections'>): Problem[] {
  return [...connections.values()].flatMap((connection) => {
    if (connection.type !== 'oauth2' || connection.grant !== 'authorization_code') return [];
    const { endpoints } = connection.oauth;
    if (endpoints === undefined || endpoints.authorization !== undefined) return [];
    return [
      {
        file: `tenants/${id}/tenant.json`,
        reason: `/connections/${connection.slot} has no endpoints.authorization, so nobody can connect an account`,
        hint: 'add it, or use "grant": "client_credentials"',
      },
    ];
  });
}

/** Secrets that tenant.json names and the vault does not have: one problem each, with what to type. */
export function missingSecrets(
  tenant: Pick<CompiledTenant, 'id' | 'connections'>,
  secrets: Pick<SecretStore, 'list'>,
): Problem[] {
  const isSet = secretsSet(secrets);
  return [...tenant.connections.values()].flatMap((connection) =>
    secretRefs(connection)
      .filter((ref) => !isSet(ref))
      .map((ref) => ({
        file: `tenants/${tenant.id}/tenant.json`,
        reason: `/connections/${connection.slot} needs the secret "${ref.secret}", which is not set`,
        hint: setCommand(ref),
      })),
  );
}

function secretsSet(secrets: Pick<SecretStore, 'list'>): (ref: SecretRef) => boolean {
  const known = new Map<string, ReadonlySet<string>>();
  return ({ owner, secret }) => {
    let names = known.get(owner);
    if (names === undefined) {
      names = new Set(secrets.list(owner).map(({ name }) => name));
      known.set(owner, names);
    }
    return names.has(secret);
  };
}

function grantState(grant: Grant, owner: GrantOwner | undefined, connection: CompiledConnection | undefined): GrantState {
  const { id, reason, account, scopes, expiresAt, connectedAt, refreshedAt } = grant;
  const ours = connection?.type === 'oauth2' && grantBinding(connection.oauth) === grant.binding;
  return {
    id,
    owner,
    state: ours ? grant.state : 'orphaned',
    ...(reason === undefined ? {} : { reason }),
    ...(account === undefined ? {} : { account }),
    scopes,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    connectedAt,
    refreshedAt,
  };
}
