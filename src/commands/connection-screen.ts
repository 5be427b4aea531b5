// The states of connections as lines and as JSON.
// Not responsible for finding them. Pure. Invariant: owners, names and times only; one line each, control characters out.
import type { ConnectionState, GrantState } from '../connections/connection-states.ts';
import { setCommand } from '../connections/static-credential.ts';
import { printable } from './log-line.ts';

export function listRow({ slot, connection, missing, grants, rejection }: ConnectionState, now: number): string {
  if (connection === undefined) return `${slot}  not in tenant.json any more  ${grants.length} of its grants are kept\n`;
  const where = connection.origins.join(' ');
  const lines = [`${slot}  ${kindOf(connection)}  ${where}  ${summary(connection.type, missing.length, grants)}\n`];
  for (const ref of missing) lines.push(`  the secret ${ref.secret} is not set: ${setCommand(ref)}\n`);
  if (rejection !== undefined) {
    const rest = rejection.until > now ? `; not sent before ${new Date(rejection.until).toISOString()}` : '';
    lines.push(
      `  refused by the service ${rejection.failures} times in a row, last ${new Date(rejection.at).toISOString()}${rest}\n`,
    );
  }
  return lines.join('');
}

export function grantRow({ id, owner, state, reason, account, scopes, expiresAt, connectedAt }: GrantState): string {
  const as = account === undefined ? '' : ` as ${printable(account)}`;
  const who = `${owner === undefined ? 'the tenant' : printable(owner.subject)}${as}`;
  const why = reason === undefined ? '' : ` (${printable(reason)})`;
  const until = expiresAt === undefined ? 'token without end' : `token until ${new Date(expiresAt).toISOString()}`;
  const may = scopes.length === 0 ? 'no scopes named' : printable(scopes.join(' '));
  return `  ${id}  ${who}  ${state}${why}  ${may}  connected ${new Date(connectedAt).toISOString()}  ${until}\n`;
}

export function stateJson({ slot, connection, missing, grants, rejection }: ConnectionState) {
  return {
    slot,
    ...(connection === undefined ? {} : { type: connection.type, origins: connection.origins }),
    missingSecrets: missing.map(({ secret }) => secret),
    grants,
    ...(rejection === undefined ? {} : { rejected: { failures: rejection.failures, until: rejection.until, at: rejection.at } }),
  };
}

function kindOf(connection: NonNullable<ConnectionState['connection']>): string {
  if (connection.type !== 'oauth2') return connection.type;
  const { oauth, owner, grant } = connection;
  return `${oauth.title} (${grant === 'client_credentials' ? 'client credentials' : `one account per ${owner}`})`;
}

function summary(type: string, missing: number, grants: readonly GrantState[]): string {
  if (type === 'none') return 'no credential';
  if (missing > 0) return 'not ready';
  if (type !== 'oauth2') return 'ready';
  const active = grants.filter(({ state }) => state === 'active').length;
  const other = grants.length - active;
  return `${active} connected${other === 0 ? '' : `, ${other} to be connected again`}`;
}
