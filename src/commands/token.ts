// `leasehold token`: bearer tokens of a tenant, made, listed and revoked; a running server follows within a second.
// Not responsible for checking tokens. Invariant: a secret is printed once, when it is made, and never where the keychain takes it;
// stdout holds nothing else then.
import type { TokenRecord } from '../vault/stores.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { invocation } from './invocation.ts';
import { keepToken } from './keychain-token.ts';
import { tokenBase } from './local-endpoint.ts';
import { estateOption, type LocatedEstate, locateEstate, requireTenant } from './locate.ts';
import { auditTokens } from './token-audit.ts';
import { checkedDuration, checkedScopes, checkedSubject } from './token-input.ts';
import { mintToken } from './token-mint.ts';
import { keyMadeNotice, withVault } from './vault-access.ts';

export const token = defineCommand({
  name: 'token',
  summary: 'create, list and revoke bearer tokens',
  usage: [
    'create <tenant> --subject <who> [--scopes <list>] [--expires 30d] [--keychain]',
    'list <tenant>',
    'revoke <tenant> <id> | --subject <who>',
  ],
  options: {
    subject: { type: 'string', value: 'who', description: 'the user that the token stands for: ada@acme.com' },
    scopes: { type: 'string', multiple: true, value: 'list', description: 'a,b: what it may use (all of the tenant)' },
    expires: { type: 'string', value: 'time', description: '30d, 12h, 90m: not good any more after that (never)' },
    keychain: { type: 'boolean', description: 'keep it in the keychain of this user, for `leasehold stdio`; it is not shown' },
    estate: estateOption,
    json: jsonOption,
  },
  positionals: { min: 2, max: 3 },
  async run({ values, positionals, io }) {
    const [action = '', tenant = '', id] = positionals;
    const work = { io, tenant, json: values.json === true };
    const subject = values.subject === undefined ? undefined : checkedSubject(values.subject);
    const scopes = checkedScopes(values.scopes ?? []);
    const lastsMs = values.expires === undefined ? undefined : checkedDuration(values.expires);
    if (lastsMs !== undefined && action !== 'create') throw new UsageError('--expires goes with create');
    const keychain = values.keychain === true;
    if (keychain && action !== 'create') throw new UsageError('--keychain goes with create');
    const estate = () => {
      const located = locateEstate(io, values.estate);
      requireTenant(located, tenant);
      return located;
    };
    switch (action) {
      case 'create':
        if (subject === undefined) throw new UsageError('whom is it for? Add --subject');
        if (id !== undefined) throw new UsageError(`unexpected argument '${id}'`);
        return create({ ...work, estate: estate() }, { subject, scopes, lastsMs }, keychain);
      case 'list':
        if (id !== undefined) throw new UsageError(`unexpected argument '${id}'`);
        return list({ ...work, estate: estate() }, subject);
      case 'revoke':
        if ((id === undefined) === (subject === undefined)) throw new UsageError('revoke takes an id or --subject');
        return revoke({ ...work, estate: estate() }, (record) =>
          id === undefined ? record.subject === subject : record.id === id,
        );
      default:
        throw new UsageError(`'${action}' is none of create, list, revoke`);
    }
  },
});

interface Work {
  readonly io: Io;
  readonly estate: LocatedEstate;
  readonly tenant: string;
  readonly json: boolean;
}

interface Wanted {
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly lastsMs: number | undefined;
}

function create({ io, estate, tenant, json }: Work, { subject, scopes, lastsMs }: Wanted, keychain: boolean): Promise<number> {
  return withVault(estate.config, async (access) => {
    const keep = keychain ? (made: string) => keepToken(tokenBase(estate), tenant, made) : undefined;
    const made = await mintToken(estate.config, access, { tenant, subject, scopes, lastsMs }, keep);
    const { expiresAt, id } = made.record;
    if (access.createdKey !== undefined) io.stderr.write(keyMadeNotice(access.createdKey));
    const shown = keychain ? { keychain: true } : { token: made.token };
    if (json) io.stdout.write(`${JSON.stringify({ ...shown, id, tenant, subject, scopes, expiresAt })}\n`);
    else {
      if (!keychain) io.stdout.write(`${made.token}\n`);
      const until = expiresAt === undefined ? '' : ` until ${new Date(expiresAt).toISOString()}`;
      const may = scopes.length === 0 ? `everything in ${tenant}` : `${tenant}: ${scopes.join(' ')}`;
      const where = keychain ? `It is in the keychain, for: ${invocation(io)} stdio --tenant ${tenant}` : 'It is not shown again';
      io.stderr.write(`for ${subject}, may use ${may}${until}; id ${id}. ${where}.\n`);
    }
    return 0;
  });
}

function list({ io, estate, tenant, json }: Work, subject: string | undefined): Promise<number> {
  return withVault(estate.config, ({ vault }) => {
    const records = vault.tokens.list(tenant).filter((record) => subject === undefined || record.subject === subject);
    if (json) io.stdout.write(`${JSON.stringify(records)}\n`);
    else if (records.length === 0) io.stderr.write('there are none\n');
    else io.stdout.write(records.map(row).join(''));
    return 0;
  });
}

function row(record: TokenRecord): string {
  const { id, subject, scopes, createdAt, lastUsedAt } = record;
  const may = scopes.length === 0 ? 'all scopes' : scopes.join(' ');
  const used = lastUsedAt === undefined ? 'never used' : `used ${date(lastUsedAt)}`;
  return `${id}  ${subject}  ${may}  made ${date(createdAt)}  ${used}  ${stateOf(record)}\n`;
}

function stateOf({ revokedAt, expiresAt }: TokenRecord): string {
  if (revokedAt !== undefined) return `revoked ${date(revokedAt)}`;
  if (expiresAt === undefined) return 'live';
  return expiresAt <= Date.now() ? `expired ${date(expiresAt)}` : `live until ${date(expiresAt)}`;
}

function date(at: number): string {
  return new Date(at).toISOString();
}

function revoke({ io, estate, tenant, json }: Work, matches: (record: TokenRecord) => boolean): Promise<number> {
  return withVault(estate.config, async ({ vault }) => {
    const live = vault.tokens.list(tenant).filter((record) => record.revokedAt === undefined && matches(record));
    if (live.length === 0) throw new UserError(`${tenant} has no such live token`);
    await auditTokens(
      estate.config,
      live.map(({ id, subject }) => ({ kind: 'token.revoked', tenant, subject, token: id })),
    );
    const now = Date.now();
    for (const { id } of live) vault.tokens.revoke(tenant, id, now);
    if (json) io.stdout.write(`${JSON.stringify({ revoked: live.map(({ id }) => id) })}\n`);
    else io.stderr.write(live.map(({ id, subject }) => `revoked ${id} of ${subject}\n`).join(''));
    return 0;
  });
}
