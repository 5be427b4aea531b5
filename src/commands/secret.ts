// `leasehold secret`: API keys, passwords and client secrets of connections, set, listed and deleted.
// Not responsible for what uses them; a running server follows within a second.
// Invariant: a value comes from a prompt without echo or from stdin, never from the command line (others see that), and is
// never printed.
import { SERVER_OWNER } from '../shared/ids.ts';
import { SECRET_NAME_PATTERN } from '../config/connection-schema.ts';
import { auditCommand } from './command-audit.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { estateOption, type LocatedEstate, locateEstate, requireTenant } from './locate.ts';
import { readSecret } from './secret-input.ts';
import { keyMadeNotice, withVault } from './vault-access.ts';

const SERVER = 'server';
const NAME = new RegExp(SECRET_NAME_PATTERN);

export const secret = defineCommand({
  name: 'secret',
  summary: 'set, list and delete the secrets of connections',
  usage: ['set <tenant> <name>', 'list <tenant>', 'delete <tenant> <name>', 'set --server <name>', 'list --server'],
  options: {
    server: { type: 'boolean', description: 'a secret of the providers in leasehold.json, instead of a tenant' },
    estate: estateOption,
    json: jsonOption,
  },
  positionals: { min: 1, max: 3 },
  help: 'Connections name a secret as { "secret": "<name>" }. The value is asked for, or read from stdin:\n  leasehold secret set acme crm-key < key.txt',
  async run({ values, positionals, io }) {
    const [action = '', ...rest] = positionals;
    if (!ACTIONS.includes(action)) throw new UsageError(`'${action}' is none of ${ACTIONS.join(', ')}`);
    const tenant = values.server === true ? undefined : rest.shift();
    if (values.server !== true && tenant === undefined) throw new UsageError('which tenant? Or add --server');
    const [name, surplus] = rest;
    if (surplus !== undefined) throw new UsageError(`unexpected argument '${surplus}'`);
    if ((name === undefined) !== (action === 'list'))
      throw new UsageError(name === undefined ? 'which secret?' : `unexpected argument '${name}'`);
    if (name !== undefined && !NAME.test(name)) throw new UsageError('a name is letters, digits, dots, hyphens and underscores');
    const estate = locateEstate(io, values.estate);
    if (tenant !== undefined) requireTenant(estate, tenant);
    const work = { io, estate, owner: tenant ?? SERVER_OWNER, shown: tenant ?? SERVER, json: values.json === true };
    switch (action) {
      case 'set':
        return set(work, name as string);
      case 'delete':
        return remove(work, name as string);
      default:
        return list(work);
    }
  },
});
const ACTIONS: readonly string[] = ['set', 'list', 'delete'];

interface Work {
  readonly io: Io;
  readonly estate: LocatedEstate;
  /** Tenant, or the reserved owner of the server's secrets. */
  readonly owner: string;
  readonly shown: string;
  readonly json: boolean;
}

async function set({ io, estate, owner, shown, json }: Work, name: string): Promise<number> {
  const value = await readSecret(io, { what: 'secret', of: `${shown}: ${name}` });
  return withVault(
    estate.config,
    async ({ vault, createdKey }) => {
      const known = vault.secrets.list(owner).some((info) => info.name === name);
      await auditCommand(estate.config, [{ kind: 'secret.set', tenant: owner, secret: name }]);
      vault.secrets.set(owner, name, value, Date.now());
      if (createdKey !== undefined) io.stderr.write(keyMadeNotice(createdKey));
      if (json) io.stdout.write(`${JSON.stringify({ set: name, owner: shown, replaced: known })}\n`);
      else io.stderr.write(`${known ? 'replaced' : 'set'} ${name} of ${shown}\n`);
      return 0;
    },
    { guardsOf: [owner] },
  );
}

function list({ io, estate, owner, json }: Work): Promise<number> {
  return withVault(
    estate.config,
    ({ vault }) => {
      const infos = vault.secrets.list(owner).map(({ name, updatedAt }) => ({ name, updatedAt }));
      if (json) io.stdout.write(`${JSON.stringify(infos)}\n`);
      else if (infos.length === 0) io.stderr.write('there are none\n');
      else io.stdout.write(infos.map(({ name, updatedAt }) => `${name}  set ${new Date(updatedAt).toISOString()}\n`).join(''));
      return 0;
    },
    { guardsOf: [owner] },
  );
}

function remove({ io, estate, owner, shown, json }: Work, name: string): Promise<number> {
  return withVault(
    estate.config,
    async ({ vault }) => {
      if (!vault.secrets.list(owner).some((info) => info.name === name)) throw new UserError(`${shown} has no secret '${name}'`);
      await auditCommand(estate.config, [{ kind: 'secret.deleted', tenant: owner, secret: name }]);
      vault.secrets.delete(owner, name);
      if (json) io.stdout.write(`${JSON.stringify({ deleted: name, owner: shown })}\n`);
      else io.stderr.write(`deleted ${name} of ${shown}\n`);
      return 0;
    },
    { guardsOf: [owner] },
  );
}
