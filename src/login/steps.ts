// Where a person is on the way through an authorization request, and what is shown of the client that began it.
// Not responsible for going on (`login-server`) or for pages. Looks up clients; changes nothing.
// Invariant: what a client says of itself is told apart from what is known of it; scopes shown are those that would be given.
import type { ClientModel, Interaction, Provider } from 'oidc-provider';
import { isLocal } from './consents.ts';
import type { ShownAccount, Subjects } from './subjects.ts';
import { ENDPOINT_SCOPE, type TenantAccess } from './tenant-access.ts';
import { lineOf } from './upstream/who.ts';

interface Knowing {
  readonly provider: Provider;
  readonly access: TenantAccess;
  readonly subjects: Subjects;
}

export interface ShownClient {
  /** One short line, by its own word. */
  readonly name: string | undefined;
  /** Where its metadata was fetched from; undefined: it registered itself, so nobody vouches for its name. */
  readonly host: string | undefined;
  /** Where the browser goes back to. */
  readonly redirectHost: string;
  /** That is this very machine. */
  readonly local: boolean;
}
/** Where a person is. */
export type Step = { readonly client: ShownClient; readonly tenant: string } & (
  | { readonly kind: 'sign_in'; readonly ways: ReturnType<Subjects['waysInto']> }
  | { readonly kind: 'consent'; readonly account: ShownAccount; readonly scopes: readonly string[] }
  | { readonly kind: 'not_member'; readonly account: ShownAccount }
);
export type SignInStep = Extract<Step, { kind: 'sign_in' }>;

/** Asked for by the protocol, not by a person. */
const HIDDEN: ReadonlySet<string> = new Set([ENDPOINT_SCOPE, 'offline_access']);

/** Undefined where there is nothing to ask any more. */
export async function stepOf(found: Interaction, { provider, access, subjects }: Knowing): Promise<Step | undefined> {
  const { client_id: clientId, redirect_uri: redirectUri, scope } = texts(found.params);
  const tenant = access.tenantOf(found.params['resource']);
  const client = await provider.Client.find(clientId);
  if (client === undefined || tenant === undefined) return undefined;
  const step = { client: shown(client, redirectUri), tenant };
  if (found.prompt.name === 'login') return { ...step, kind: 'sign_in', ways: subjects.waysInto(tenant) };
  const subject = found.session?.accountId;
  if (found.prompt.name !== 'consent' || subject === undefined) return undefined;
  const member = access.memberOf(tenant, subject);
  const account = subjects.shown(subject);
  if (member === undefined) return { ...step, kind: 'not_member', account };
  const scopes = access.allowed(member, scope.split(' ')).filter((one) => !HIDDEN.has(one));
  return { ...step, kind: 'consent', account, scopes };
}

function shown(client: ClientModel, redirectUri: string): ShownClient {
  return {
    name: lineOf(client.clientName),
    host: client.clientIdMetadataDocument === true ? new URL(client.clientId).host : undefined,
    redirectHost: new URL(redirectUri).host,
    local: isLocal(redirectUri),
  };
}

/** Parameters of an authorization request, as texts. */
export function texts(
  params: Interaction['params'],
): Record<string, string> & Record<'client_id' | 'redirect_uri' | 'resource' | 'scope', string> {
  const entries = Object.entries(params).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return { client_id: '', redirect_uri: '', resource: '', scope: '', ...Object.fromEntries(entries) };
}
