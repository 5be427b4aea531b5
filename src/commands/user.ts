// `leasehold user`: people who sign in at the server itself, and the tenants that they may use; a running server follows within a second.
// Not responsible for signing in (`login/`).
// Invariant: a password comes from a prompt without echo or from stdin and is never printed; recorded first, changed then.
import { hashPassword, passwordProblem } from '../login/passwords.ts';
import { Subjects } from '../login/subjects.ts';
import { NO_TENANT } from '../audit/record.ts';
import type { SecretRef } from '../config/compiled.ts';
import { SIGN_IN_CALLBACK } from '../config/sign-in-presets.ts';
import type { Membership } from '../vault/stores.ts';
import type { Vault } from '../vault/vault.ts';
import { auditCommand, type CommandEvent } from './command-audit.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { listenUrl } from './local-endpoint.ts';
import { estateOption, type LocatedEstate, locateEstate, requireTenant } from './locate.ts';
import { readSecret } from './secret-input.ts';
import { checkedScopes } from './token-input.ts';
import { keyMadeNotice, withVault } from './vault-access.ts';

/** What a person can type into a form and read in a record: no spaces, no look-alikes of other scripts. Accounts of the server. */
const NAME = /^[a-z0-9](?:[a-z0-9._+@-]{0,126}[a-z0-9])?$/;

/** As `login/upstream/who` makes them. */
const OF_PROVIDER = /^[a-z][a-z0-9_-]{0,31}:[!-&(-~]{1,254}$/;

export const user = defineCommand({
  name: 'user',
  summary: 'who signs in here, and which tenants they may use',
  usage: [
    'add <name>',
    'passwd <name>',
    'remove <name>|<provider>:<id>',
    'list [<tenant>]',
    'grant <tenant> <name>|<provider>:<id> [--scopes <list>]',
    'revoke <tenant> <name>|<provider>:<id>',
    'providers',
  ],
  options: {
    scopes: { type: 'string', multiple: true, value: 'list', description: 'a,b: at most these (all of the tenant)' },
    estate: estateOption,
    json: jsonOption,
  },
  positionals: { min: 1, max: 3 },
  help:
    'For tenants with "auth": { "embedded": true }. The password is asked for, or read from stdin:\n' +
    '  leasehold user add ada@acme.com < password.txt && leasehold user grant acme ada@acme.com\n' +
    'Somebody who signs in by a provider finds <provider>:<id> on the page that lets them in nowhere yet:\n' +
    '  leasehold user grant acme google:1234',
  async run({ values, positionals, io }) {
    const [action = '', ...rest] = positionals;
    if (values.scopes !== undefined && action !== 'grant') throw new UsageError('--scopes goes with grant');
    const work = (): Work => ({ io, estate: locateEstate(io, values.estate), json: values.json === true });
    switch (action) {
      case 'add':
      case 'passwd':
        return setPassword(work(), checkedName(only(rest)), action);
      case 'remove':
        return remove(work(), checkedSubject(only(rest)));
      case 'providers':
        if (rest.length > 0) throw new UsageError(`unexpected argument '${rest.join(' ')}'`);
        return providers(work());
      case 'list':
        return list(work(), rest.length === 0 ? undefined : only(rest));
      case 'grant':
      case 'revoke': {
        const [tenant = '', ...names] = rest;
        return member(work(), { tenant, name: checkedSubject(only(names)), scopes: checkedScopes(values.scopes ?? []) }, action);
      }
      default:
        throw new UsageError(`'${action}' is none of add, passwd, remove, list, grant, revoke, providers`);
    }
  },
});

interface Work {
  readonly io: Io;
  readonly estate: LocatedEstate;
  readonly json: boolean;
}

function only([one, surplus]: readonly string[]): string {
  if (one === undefined) throw new UsageError('an argument is missing');
  if (surplus !== undefined) throw new UsageError(`unexpected argument '${surplus}'`);
  return one;
}

function checkedName(given: string): string {
  if (!NAME.test(given)) throw new UsageError('a name is letters a-z, digits and . _ + @ - : ada@acme.com');
  return given;
}

function checkedSubject(given: string): string {
  if (!given.includes(':')) return checkedName(given);
  if (!OF_PROVIDER.test(given)) throw new UsageError('somebody of a provider is <provider>:<id>, as the page says: google:1234');
  return given;
}

function said({ io, json }: Work, done: object, text: string): number {
  if (json) io.stdout.write(`${JSON.stringify(done)}\n`);
  else io.stderr.write(`${text}\n`);
  return 0;
}

function requireUser({ config }: LocatedEstate, vault: Vault, name: string): void {
  const [provider = '', id] = name.split(':', 2);
  if (id !== undefined) {
    if (Object.hasOwn(config.signIn.providers, provider)) return;
    throw new UserError(`there is no provider ${provider}; leasehold user providers shows them`);
  }
  if (vault.users.find(name) === undefined) throw new UserError(`there is no user ${name}; leasehold user list shows them`);
}

function added(name: string, accounts: boolean): string {
  const off = accounts ? '' : ' once leasehold.json lets accounts of the server sign in (auth.embedded.accounts is false)';
  return `${name} can sign in${off}. leasehold user grant <tenant> ${name} lets them use a tenant`;
}

async function setPassword(work: Work, name: string, action: 'add' | 'passwd'): Promise<number> {
  const { io, estate } = work;
  return withVault(estate.config, async ({ vault, createdKey }) => {
    const exists = vault.users.find(name) !== undefined;
    if (exists === (action === 'add'))
      throw new UserError(
        exists ? `there is a user ${name}; leasehold user passwd ${name} changes the password` : `there is no user ${name}`,
      );
    const password = await readSecret(io, { what: 'password', of: name });
    const problem = passwordProblem(password);
    if (problem !== undefined) throw new UserError(`${problem}; nothing was changed`);
    const hashed = await hashPassword(password);
    const kind = action === 'add' ? 'user.added' : 'user.password';
    await auditCommand(estate.config, [{ kind, tenant: NO_TENANT, subject: name }]);
    const now = Date.now();
    const done = action === 'add' ? vault.users.add(name, hashed, now) : vault.users.setPassword(name, hashed, now);
    if (!done) throw new UserError(`${name} was changed by another command just now`);
    if (createdKey !== undefined) io.stderr.write(keyMadeNotice(createdKey));
    return action === 'add'
      ? said(work, { added: name }, added(name, estate.config.signIn.accounts))
      : said(work, { changed: name }, `${name} has another password; what was signed in with the old one must sign in again`);
  });
}

function remove(work: Work, name: string): Promise<number> {
  return withVault(work.estate.config, async ({ vault }) => {
    const memberships = vault.memberships.of(name);
    // Of a provider that is gone people can still be removed.
    if (!name.includes(':')) requireUser(work.estate, vault, name);
    await auditCommand(work.estate.config, [
      ...memberships.map(({ tenant, scopes }): CommandEvent => ({ kind: 'member.revoked', tenant, subject: name, scopes })),
      { kind: 'user.removed', tenant: NO_TENANT, subject: name },
    ]);
    vault.users.remove(name);
    return said(work, { removed: name }, `removed ${name}`);
  });
}

interface Wanted {
  readonly tenant: string;
  readonly name: string;
  readonly scopes: readonly string[];
}

function member(work: Work, { tenant, name, scopes }: Wanted, action: 'grant' | 'revoke'): Promise<number> {
  const { estate } = work;
  // Of a tenant that is gone a membership can still be taken back.
  if (action === 'grant') requireTenant(estate, tenant);
  return withVault(estate.config, async ({ vault }) => {
    if (action === 'grant') {
      requireUser(estate, vault, name);
      await auditCommand(estate.config, [{ kind: 'member.granted', tenant, subject: name, scopes }]);
      vault.memberships.grant(tenant, name, scopes, Date.now());
      const may = scopes.length === 0 ? `everything in ${tenant}` : `${tenant}: ${scopes.join(' ')}`;
      return said(work, { granted: { tenant, subject: name, scopes } }, `${name} may use ${may}`);
    }
    const known = vault.memberships.find(tenant, name);
    if (known === undefined) throw new UserError(`${name} is no member of ${tenant}`);
    await auditCommand(estate.config, [{ kind: 'member.revoked', tenant, subject: name, scopes: known.scopes }]);
    vault.memberships.revoke(tenant, name);
    return said(work, { revoked: { tenant, subject: name } }, `${name} may not use ${tenant} any more`);
  });
}

function list({ io, json, estate: { config } }: Work, tenant: string | undefined): Promise<number> {
  return withVault(config, ({ vault }) => {
    const subjects = new Subjects({ signIn: config.signIn, users: vault.users, login: vault.login, now: Date.now });
    const rows = tenant === undefined ? people(vault, subjects) : members(vault, subjects, tenant);
    if (json) io.stdout.write(`${JSON.stringify(rows)}\n`);
    else if (rows.length === 0) io.stderr.write('there are none\n');
    else io.stdout.write(rows.map((row) => ('tenants' in row ? personRow(row) : memberRow(row))).join(''));
    return 0;
  });
}

/** `called`: what a provider calls them, where it has said so. */
interface Called {
  readonly called?: string;
}

function calledBy(subjects: Subjects, subject: string): Called {
  const { called } = subjects.shown(subject);
  return called === undefined ? {} : { called };
}

/** Those with accounts, and those of providers who are a member of anything. */
function people({ users, memberships }: Vault, subjects: Subjects) {
  const accounts = users.list();
  const others = memberships.subjects().filter((subject) => subject.includes(':'));
  return [...accounts, ...others.map((name) => ({ name, ...calledBy(subjects, name) }))].map((one) => ({
    ...one,
    tenants: memberships.of(one.name).map(({ tenant }) => tenant),
  }));
}

function members({ memberships }: Vault, subjects: Subjects, tenant: string): (Membership & Called)[] {
  return memberships.list(tenant).map((one) => ({ ...one, ...calledBy(subjects, one.subject) }));
}

function personRow({ name, called, tenants }: Called & { readonly name: string; readonly tenants: readonly string[] }): string {
  return `${shown(name, called)}  ${tenants.join(' ') || 'no tenant'}\n`;
}

function memberRow({ subject, called, scopes, since }: Membership & Called): string {
  const may = scopes.length === 0 ? 'all scopes' : scopes.join(' ');
  return `${shown(subject, called)}  ${may}  since ${new Date(since).toISOString()}\n`;
}

function shown(subject: string, called: string | undefined): string {
  return called === undefined ? subject : `${subject} (${called})`;
}

function providers({ io, json, estate: { config } }: Work): Promise<number> {
  const redirectUri = `${config.publicUrl ?? listenUrl(config)}${SIGN_IN_CALLBACK}`;
  return withVault(config, ({ vault }) => {
    const isSet = (ref: SecretRef | undefined) =>
      ref === undefined || vault.secrets.list(ref.owner).some(({ name }) => name === ref.secret);
    const rows = Object.values(config.signIn.providers).map(({ name, oauth }) => ({
      name,
      title: oauth.title,
      ...(isSet(oauth.clientSecret) ? {} : { missingSecret: oauth.clientSecret?.secret }),
    }));
    if (json) {
      io.stdout.write(`${JSON.stringify({ redirectUri, accounts: config.signIn.accounts, providers: rows })}\n`);
      return 0;
    }
    io.stdout.write(`redirect URI, to be registered exactly: ${redirectUri}\n`);
    for (const { name, title, missingSecret } of rows)
      io.stdout.write(
        `${name}  ${title}${missingSecret === undefined ? '' : `  ✗ leasehold secret set --server ${missingSecret}`}\n`,
      );
    if (rows.length === 0)
      io.stderr.write('there are none; "auth": { "embedded": { "signIn": … } } in leasehold.json names them\n');
    return 0;
  });
}
