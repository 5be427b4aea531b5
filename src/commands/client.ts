// `leasehold client`: applications at the embedded authorization server, listed and removed; a running server follows within a second.
// Not responsible for what people allowed them one by one (`consent`). Invariant: recorded first, removed then; what an application says
// of itself is shown as text.
import { NO_TENANT } from '../audit/record.ts';
import { type KnownClient, type Permission, Permissions } from '../login/permissions.ts';
import { auditCommand, type CommandEvent } from './command-audit.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { printable } from './log-line.ts';
import { estateOption, type LocatedEstate, locateEstate } from './locate.ts';
import { withVault } from './vault-access.ts';

export const client = defineCommand({
  name: 'client',
  summary: 'list and remove the applications that people let in',
  usage: ['list', 'remove <id>'],
  options: { estate: estateOption, json: jsonOption },
  positionals: { min: 1, max: 2 },
  help: `For tenants with "auth": { "embedded": true }. An application registered itself, or its id is the address of its metadata.
remove ends all that anybody allowed it: its codes, refresh tokens and access tokens. It may come again, and people are asked then.`,
  async run({ values, positionals, io }) {
    const [action = '', id] = positionals;
    const work = (): Work => ({ io, estate: locateEstate(io, values.estate), json: values.json === true });
    switch (action) {
      case 'list':
        if (id !== undefined) throw new UsageError(`unexpected argument '${id}'`);
        return list(work());
      case 'remove':
        if (id === undefined) throw new UsageError('which one? leasehold client list shows them');
        return remove(work(), id);
      default:
        throw new UsageError(`'${action}' is none of list, remove`);
    }
  },
});

interface Work {
  readonly io: Io;
  readonly estate: LocatedEstate;
  readonly json: boolean;
}

function list({ io, estate, json }: Work): Promise<number> {
  return withVault(estate.config, ({ vault }) => {
    const known = new Permissions(vault.login, Date.now).clients();
    if (json) io.stdout.write(`${JSON.stringify(known)}\n`);
    else if (known.length === 0) io.stderr.write('there are none\n');
    else io.stdout.write(known.map(row).join(''));
    return 0;
  });
}

/** `01JD…  "Cursor"  127.0.0.1:9  registered 2026-…  used 2026-…  2 people` */
function row({ id, name, hosts, registeredAt, lastUsedAt, people }: KnownClient): string {
  const words = [
    id,
    ...(name === undefined ? [] : [JSON.stringify(name)]),
    hosts.join(' '),
    registeredAt === undefined ? 'not registered' : `registered ${date(registeredAt)}`,
    lastUsedAt === undefined ? 'never used' : `used ${date(lastUsedAt)}`,
    people === 1 ? '1 person' : `${people} people`,
  ];
  return `${printable(words.join('  '))}\n`;
}

function date(at: number): string {
  return new Date(at).toISOString();
}

function remove({ io, estate, json }: Work, id: string): Promise<number> {
  return withVault(estate.config, async ({ vault }) => {
    const permissions = new Permissions(vault.login, Date.now);
    if (!permissions.clients().some((one) => one.id === id))
      throw new UserError('there is no such application; leasehold client list shows them');
    const taken = permissions.list().filter((one) => one.client === id);
    await auditCommand(estate.config, [...taken.map(takenBack), { kind: 'client.removed', tenant: NO_TENANT, application: id }]);
    permissions.removeClient(id);
    const people = new Set(taken.map(({ account }) => account)).size;
    if (json) io.stdout.write(`${JSON.stringify({ removed: id, people })}\n`);
    else
      io.stderr.write(
        `removed ${printable(id)}, which ${people === 1 ? '1 person' : `${people} people`} had allowed something\n`,
      );
    return 0;
  });
}

export function takenBack({ account, client: application, scopes, tenant }: Permission): CommandEvent {
  return { kind: 'consent.revoked', tenant, subject: account, application, scopes };
}
