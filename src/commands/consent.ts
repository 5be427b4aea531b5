// `leasehold consent`: what a person allowed applications at the embedded authorization server, listed and taken back; a running server
// follows within a second.
// Not responsible for the applications themselves (`client`) or for memberships (`user`). Invariant: recorded first, taken back then.
import { type Permission, Permissions } from '../login/permissions.ts';
import { takenBack } from './client.ts';
import { auditCommand } from './command-audit.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { printable } from './log-line.ts';
import { estateOption, type LocatedEstate, locateEstate } from './locate.ts';
import { withVault } from './vault-access.ts';

export const consent = defineCommand({
  name: 'consent',
  summary: 'list what a person allowed applications, and take it back',
  usage: ['list <user>', 'revoke <user> <client> [<tenant>]'],
  options: { estate: estateOption, json: jsonOption },
  positionals: { min: 2, max: 4 },
  help: `For tenants with "auth": { "embedded": true }.
revoke ends what was issued to the application for this person, in one tenant or in all; the person is asked again.`,
  async run({ values, positionals, io }) {
    const [action = '', account = '', client, tenant] = positionals;
    const work = (): Work => ({ io, estate: locateEstate(io, values.estate), json: values.json === true });
    switch (action) {
      case 'list':
        if (client !== undefined) throw new UsageError(`unexpected argument '${client}'`);
        return list(work(), account);
      case 'revoke':
        if (client === undefined) throw new UsageError(`which application? leasehold consent list ${account} shows them`);
        return revoke(work(), { account, client, tenant });
      default:
        throw new UsageError(`'${action}' is none of list, revoke`);
    }
  },
});

interface Work {
  readonly io: Io;
  readonly estate: LocatedEstate;
  readonly json: boolean;
}

function list({ io, estate, json }: Work, account: string): Promise<number> {
  return withVault(estate.config, ({ vault }) => {
    const allowed = new Permissions(vault.login, Date.now).list().filter((one) => one.account === account);
    if (json) io.stdout.write(`${JSON.stringify(allowed.map(shown))}\n`);
    else if (allowed.length === 0) io.stderr.write('there are none\n');
    else io.stdout.write(allowed.map(row).join(''));
    return 0;
  });
}

/** Ids of grants are for nobody to see. */
function shown({ grants, ...one }: Permission): object {
  return { ...one, signIns: grants.length };
}

/** `01JD…  acme  issues:read mcp  since 2026-…  asked again from 2026-…  1 sign-in, used 2026-…` */
function row({ client, tenant, scopes, since, rememberedUntil, lastUsedAt, grants }: Permission): string {
  const asked = rememberedUntil === undefined ? 'asked each time' : `asked again from ${date(rememberedUntil)}`;
  const used = lastUsedAt === undefined ? '' : `, used ${date(lastUsedAt)}`;
  const signIns = grants.length === 1 ? '1 sign-in' : `${grants.length} sign-ins`;
  return `${printable([client, tenant, scopes.join(' '), `since ${date(since)}`, asked, signIns + used].join('  '))}\n`;
}

function date(at: number): string {
  return new Date(at).toISOString();
}

interface Meant {
  readonly account: string;
  readonly client: string;
  readonly tenant: string | undefined;
}

function revoke({ io, estate, json }: Work, { account, client, tenant }: Meant): Promise<number> {
  return withVault(estate.config, async ({ vault }) => {
    const permissions = new Permissions(vault.login, Date.now);
    const meant = permissions
      .list()
      .filter((one) => one.account === account && one.client === client && (tenant ?? one.tenant) === one.tenant);
    if (meant.length === 0)
      throw new UserError(
        `${printable(account)} allowed it nothing; leasehold consent list ${printable(account)} shows what there is`,
      );
    await auditCommand(estate.config, meant.map(takenBack));
    for (const one of meant) permissions.takeBack(one);
    const tenants = meant.map((one) => one.tenant);
    if (json) io.stdout.write(`${JSON.stringify({ revoked: { subject: account, client, tenants } })}\n`);
    else io.stderr.write(`took back what ${printable(account)} allowed it in ${tenants.join(', ')}\n`);
    return 0;
  });
}
