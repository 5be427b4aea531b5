// `leasehold connection`: how the connections of a tenant stand, how to add one, and ending a grant here and at its server.
// Not responsible for connecting (the pages of a running server) or for writing config files: `add` says what to put there.
// Invariant: a running server follows within a second; nothing here prints a secret or a token.
import type { CompiledTenant } from '../config/compiled.ts';
import { loadTenantConfig } from '../config/load-tenant.ts';
import { connectionStates } from '../connections/connection-states.ts';
import { createRevocation } from '../connections/oauth/revocation.ts';
import { problemLine } from '../shared/problem.ts';
import { withCommandAudit } from './command-audit.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { connectTenant } from './connection-connect.ts';
import { addition, type Addition, redirectUri } from './connection-add.ts';
import { grantRow, listRow, stateJson } from './connection-screen.ts';
import { estateOption, type LocatedEstate, locateEstate, requireTenant } from './locate.ts';
import { listenUrl } from './local-endpoint.ts';
import { checkedScopes } from './token-input.ts';
import { withVault } from './vault-access.ts';

const ACTIONS: readonly string[] = ['add', 'connect', 'list', 'status', 'revoke'];

export const connection = defineCommand({
  name: 'connection',
  summary: 'add, connect, list and revoke the connections of a tenant',
  usage: [
    'list <tenant>',
    'status <tenant> [connection]',
    'add <tenant> <connection> [--provider <name> | --issuer <url> | --type <kind>]',
    'connect <tenant> <connection> [--scopes a,b]',
    'revoke <tenant> <connection> --grant <id> | --subject <who> | --all',
  ],
  options: {
    provider: { type: 'string', value: 'name', description: 'add: a provider of leasehold.json, or github, google' },
    issuer: { type: 'string', value: 'url', description: 'add: an authorization server with metadata' },
    type: { type: 'string', value: 'kind', description: 'add: api_key, basic, headers or none' },
    scopes: { type: 'string', multiple: true, value: 'a,b', description: 'connect: more scopes than the connection asks for' },
    grant: { type: 'string', value: 'id', description: 'revoke: one grant, as status shows it' },
    subject: { type: 'string', value: 'who', description: 'revoke: the grants of one user' },
    all: { type: 'boolean', description: 'revoke: all grants of the connection' },
    estate: estateOption,
    json: jsonOption,
  },
  positionals: { min: 2, max: 3 },
  async run({ values, positionals, io }) {
    const [action = '', tenant = '', slot] = positionals;
    if (!ACTIONS.includes(action)) throw new UsageError(`'${action}' is none of ${ACTIONS.join(', ')}`);
    if (slot === undefined && (action === 'add' || action === 'connect' || action === 'revoke'))
      throw new UsageError('which connection?');
    if (slot !== undefined && action === 'list') throw new UsageError(`unexpected argument '${slot}'`);
    const estate = locateEstate(io, values.estate);
    requireTenant(estate, tenant);
    const work: Work = { io, estate, tenant, json: values.json === true };
    switch (action) {
      case 'add':
        return add(work, addition({ ...values, slot: slot ?? '', tenant, config: estate.config }));
      case 'connect':
        return connectTenant({
          ...work,
          config: estate.config,
          base: estate.config.publicUrl ?? estate.running?.url ?? listenUrl(estate.config),
          tenant: tenantConfig(work),
          slot: slot ?? '',
          scopes: checkedScopes(values.scopes ?? []),
        });
      case 'revoke':
        return revoke(work, slot ?? '', selector(values));
      default:
        return show(work, slot, action === 'status');
    }
  },
});

interface Work {
  readonly io: Io;
  readonly estate: LocatedEstate;
  readonly tenant: string;
  readonly json: boolean;
}
type Selector = (grant: { readonly id: string; readonly subject: string | undefined }) => boolean;

function selector({ grant, subject, all }: { grant?: string; subject?: string; all?: boolean }): Selector {
  const given = [grant, subject, all === true ? 'all' : undefined].filter((part) => part !== undefined);
  if (given.length !== 1) throw new UsageError('revoke takes one of --grant, --subject, --all');
  if (all === true) return () => true;
  return (of) => (grant === undefined ? of.subject === subject : of.id === grant);
}

function tenantConfig({ estate: { config }, tenant }: Work): CompiledTenant {
  const { value, problems } = loadTenantConfig(config.estate, tenant, config.limits, config.providers, config.auth);
  if (value === undefined) throw new UserError(problems.map(problemLine).join('\n✗ '));
  return value;
}

function show(work: Work, slot: string | undefined, detail: boolean): Promise<number> {
  const { io, json } = work;
  const config = tenantConfig(work);
  return withVault(
    work.estate.config,
    ({ vault }) => {
      const states = connectionStates(config, vault).filter((state) => slot === undefined || state.slot === slot);
      if (slot !== undefined && states.length === 0) throw new UserError(`${config.id} has no connection '${slot}'`);
      if (json) io.stdout.write(`${JSON.stringify(states.map(stateJson))}\n`);
      else if (states.length === 0) io.stderr.write('there are none\n');
      for (const state of json ? [] : states) {
        io.stdout.write(listRow(state, Date.now()));
        if (detail) io.stdout.write(state.grants.map(grantRow).join(''));
      }
      return 0;
    },
    { guardsOf: [work.tenant] },
  );
}

async function add({ io, estate, tenant, json }: Work, added: Addition): Promise<number> {
  const uri = redirectUri(estate.config);
  if (json) {
    const redirect = added.oauth ? { redirectUri: uri } : {};
    io.stdout.write(
      `${JSON.stringify({ tenant, slot: added.slot, ...redirect, connection: added.connection, commands: added.commands })}\n`,
    );
    return 0;
  }
  if (added.registration !== undefined) {
    io.stderr.write(`Register an OAuth application with ${added.registration}. Its redirect URI is, exactly:\n`);
    io.stdout.write(`  ${uri}\n`);
  }
  io.stderr.write(`Put into tenants/${tenant}/tenant.json, under "connections", and fill in what is in angle brackets:\n`);
  io.stdout.write(
    `  ${JSON.stringify(added.slot)}: ${JSON.stringify(added.connection, undefined, 2).replaceAll('\n', '\n  ')}\n`,
  );
  if (added.commands.length > 0) io.stderr.write('Then set its secrets:\n');
  io.stdout.write(added.commands.map((line) => `  ${line}\n`).join(''));
  return 0;
}

/** One after the other: each is on record before its server is asked. */
function revoke(work: Work, slot: string, selects: Selector): Promise<number> {
  const { io, json, tenant } = work;
  const { config } = work.estate;
  const known = loadTenantConfig(config.estate, tenant, config.limits, config.providers, config.auth).value?.connections.get(
    slot,
  );
  const oauth = known?.type === 'oauth2' ? known.oauth : undefined;
  return withVault(
    config,
    async ({ vault }) => {
      const chosen = vault.grants
        .list(tenant)
        .filter(({ key, grant }) => key.slot === slot && selects({ id: grant.id, subject: key.owner?.subject }));
      if (chosen.length === 0) throw new UserError(`the connection ${slot} of ${tenant} has no such grant`);
      await withCommandAudit(config, async (audit) => {
        const revocation = createRevocation({ ...vault, audit, privateOrigins: config.privateOrigins, net: config.net });
        const ended: { grant: string; upstream: string }[] = [];
        try {
          for (const { key, grant } of chosen) {
            const upstream = (await revocation.revoke(key, oauth)) ?? 'gone';
            ended.push({ grant: grant.id, upstream });
            if (!json)
              io.stderr.write(
                `revoked ${grant.id} of ${key.owner?.subject ?? 'the tenant'}; ${UPSTREAM[upstream]}${manageHint(upstream, oauth?.quirks.manageUrl)}\n`,
              );
          }
        } finally {
          await revocation.close();
        }
        if (json) io.stdout.write(`${JSON.stringify({ revoked: ended })}\n`);
      });
      return 0;
    },
    { guardsOf: [work.tenant] },
  );
}

const UPSTREAM = {
  ok: 'its server has ended it, too',
  unsupported: 'its server cannot be asked to end it',
  failed: 'its server did not confirm that it ended it',
  gone: 'it was gone already',
} as const;

function manageHint(upstream: string, url: string | undefined): string {
  return upstream === 'ok' || url === undefined ? '' : `: see ${url}`;
}
