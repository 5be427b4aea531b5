// `leasehold connection connect`: the operator connects an account that all users of a tenant share.
// Not responsible for the pages (a running server has them) or for accounts of single users, who get their links from their calls.
// Invariant: the link is on record before it exists; it is shown to whoever may open the vault, and to nobody else.
import { setTimeout as wait } from 'node:timers/promises';
import type { CompiledServer, CompiledTenant, OAuth2Connection } from '../config/compiled.ts';
import { type ConnectOffer, connectOffer } from '../connections/connect/connect-link.ts';
import { grantBinding } from '../connections/oauth/grant-facts.ts';
import { newCorrelationId } from '../shared/ids.ts';
import type { Vault } from '../vault/vault.ts';
import type { GrantKey } from '../vault/stores.ts';
import { withCommandAudit } from './command-audit.ts';
import { type Io, UserError } from './command.ts';
import { printable } from './log-line.ts';
import { withVault } from './vault-access.ts';
import { leaseholdVersion } from './version-of.ts';

export const OPERATOR = 'operator';
const POLL_MS = 500;

export interface Connecting {
  readonly io: Io;
  readonly config: CompiledServer;
  /** Base of the public URLs of the running server. */
  readonly base: string;
  readonly tenant: CompiledTenant;
  readonly slot: string;
  /** Beyond those of the connection. */
  readonly scopes: readonly string[];
  /** Says the link and ends. */
  readonly json: boolean;
}

export function connectTenant(asked: Connecting): Promise<number> {
  const connection = sharedConnection(asked);
  const key: GrantKey = { tenant: asked.tenant.id, slot: asked.slot, owner: undefined };
  return withVault(
    asked.config,
    async ({ vault }) => {
      const before = vault.grants.read(key);
      const known = before?.binding === grantBinding(connection.oauth) ? before.requested : [];
      const scopes = [...connection.oauth.scopes, ...known, ...asked.scopes];
      const offer = await offerOf(asked, vault, key, connection, scopes);
      const { io } = asked;
      if (asked.json) {
        io.stdout.write(`${JSON.stringify({ url: offer.url, code: offer.code, scopes: offer.scopes })}\n`);
        return 0;
      }
      io.stdout.write(`open ${offer.url}   code ${offer.code}   valid 10 min\n`);
      io.stderr.write('waiting …\n');
      const link = offer.url.slice(offer.url.lastIndexOf('/') + 1);
      while (vault.flows.byLink(link, Date.now()) !== undefined) await wait(POLL_MS);
      const grant = vault.grants.read(key);
      if (grant !== undefined && grant.id !== before?.id) {
        const as = grant.account === undefined ? '' : ` as ${printable(grant.account)}`;
        io.stderr.write(`connected${as}: ${grant.id}\n`);
        return 0;
      }
      throw new UserError('it was not connected; the page said why, and so does the audit');
    },
    { guardsOf: [asked.tenant.id] },
  );
}

function sharedConnection({ tenant, slot }: Connecting): OAuth2Connection {
  const connection = tenant.connections.get(slot);
  if (connection === undefined) throw new UserError(`${tenant.id} has no connection '${slot}'`);
  if (connection.type !== 'oauth2' || connection.grant !== 'authorization_code')
    throw new UserError(`the connection '${slot}' takes no account`);
  if (connection.owner === 'user')
    throw new UserError(`every user connects an account of his own to '${slot}': a call that needs it answers with a link`);
  return connection;
}

function offerOf(
  { config, base }: Connecting,
  vault: Vault,
  key: GrantKey,
  connection: OAuth2Connection,
  scopes: readonly string[],
): Promise<ConnectOffer> {
  const asker = {
    issuer: 'leasehold',
    subject: OPERATOR,
    client: `leasehold-cli/${leaseholdVersion()}`,
    correlation: newCorrelationId(),
  };
  return withCommandAudit(config, (audit) =>
    connectOffer({ flows: vault.flows, audit, now: Date.now }, base, { key, connection, scopes, asker }),
  );
}
