// `leasehold connect`: prints a desktop client's own entry for a tenant, or puts it into the client's file.
// Not responsible for the files' forms (`connect-clients`) or for editing them (`connect-file`).
// Invariant: what it prints or writes works from any folder and says the same each time; an entry holds a token only where the
// client calls the server itself.
import { fileURLToPath } from 'node:url';
import { isTenantId } from '../shared/ids.ts';
import type { JsonObject } from '../shared/json.ts';
import { hashToken } from '../vault/access-token.ts';
import { defineCommand, type Io, UsageError, UserError } from './command.ts';
import { DESKTOP_CLIENTS, type DesktopClient } from './connect-clients.ts';
import { mergeEntry } from './connect-file.ts';
import { keepToken, keptToken, serverBase } from './keychain-token.ts';
import { localBase, tokenBase } from './local-endpoint.ts';
import { localToken } from './local-token.ts';
import { estateOption, type LocatedEstate, locateEstate, requireTenant } from './locate.ts';
import { LOCAL_SUBJECT } from './stdio-place.ts';
import { checkedSubject } from './token-input.ts';
import { mintToken } from './token-mint.ts';
import { withVault } from './vault-access.ts';

/** Paths, no secrets: without them the bridge would look elsewhere than this command did. */
const PASSED = ['LEASEHOLD_DATA_DIR', 'LEASEHOLD_MASTER_KEY_FILE', 'XDG_STATE_HOME'];
/** Clients start programs with few variables; without these a keychain on Linux is not found. */
const KEYCHAIN_PASSED = ['DBUS_SESSION_BUS_ADDRESS', 'XDG_RUNTIME_DIR'];
const CLI = fileURLToPath(new URL(`../cli${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));

export const connect = defineCommand({
  name: 'connect',
  summary: "make a desktop client's configuration entry for a tenant",
  usage: [`${Object.keys(DESKTOP_CLIENTS).join('|')} <tenant> [--write] [--subject <who>] [--keychain]`],
  options: {
    write: { type: 'boolean', description: "put it into the client's own file; what is there stays" },
    subject: {
      type: 'string',
      value: 'who',
      description: `the user that the client calls as (${LOCAL_SUBJECT}); local servers only`,
    },
    keychain: { type: 'boolean', description: 'keep the token in the keychain, and let the client start `leasehold stdio`' },
    estate: estateOption,
    url: { type: 'string', value: 'url', description: 'base URL of another server; its token in LEASEHOLD_TOKEN' },
  },
  positionals: { min: 2, max: 2 },
  help: `A client that calls servers over HTTP gets address and token; the token stands in its file, which is then for you alone.
One that only starts programs, and every one with --keychain, gets a command line without a token.

  leasehold connect vscode work                 (prints the entry)
  leasehold connect claude-desktop work --write`,
  async run({ values, positionals, io }) {
    const [name = '', tenant = ''] = positionals;
    const client = Object.hasOwn(DESKTOP_CLIENTS, name) ? DESKTOP_CLIENTS[name] : undefined;
    if (client === undefined) throw new UsageError(`'${name}' is none of ${Object.keys(DESKTOP_CLIENTS).join(', ')}`);
    if (!isTenantId(tenant)) throw new UsageError(`'${tenant}' is no tenant id`);
    const keychain = values.keychain === true;
    const subject = values.subject === undefined ? undefined : checkedSubject(values.subject);
    const wanted: Wanted = { io, client, tenant, subject, keychain };
    if (values.url === undefined) return finish(wanted, await local(wanted, values.estate), values.write === true);
    if (subject !== undefined || values.estate !== undefined) {
      throw new UsageError('--subject and --estate are for servers of this machine, --url is for others');
    }
    return finish(wanted, remote(wanted, values.url), values.write === true);
  },
});

interface Wanted {
  readonly io: Io;
  readonly client: DesktopClient;
  readonly tenant: string;
  readonly subject: string | undefined;
  readonly keychain: boolean;
}

interface Made {
  readonly value: JsonObject;
  /** It holds a token. */
  readonly secret: boolean;
}

async function local(wanted: Wanted, estate: string | undefined): Promise<Made> {
  const { io, client, keychain, subject = LOCAL_SUBJECT, tenant } = wanted;
  const located = locateEstate(io, estate);
  requireTenant(located, tenant);
  const where = ['--tenant', tenant, '--estate', located.config.estate];
  if (keychain) {
    await keepLive(located, tenant, subject);
    return {
      value: client.stdio(process.execPath, [CLI, 'stdio', ...where, '--keychain'], passed(io, [...PASSED, ...KEYCHAIN_PASSED])),
      secret: false,
    };
  }
  if (client.http === undefined) {
    return {
      value: client.stdio(process.execPath, [CLI, 'stdio', ...where, '--subject', subject], passed(io, PASSED)),
      secret: false,
    };
  }
  const token = await localToken(located.config, tenant, subject);
  return { value: client.http(`${localBase(located)}/t/${tenant}/mcp`, token), secret: true };
}

/** A token of this user that is in the keychain and still good stays; else one is made. */
function keepLive(located: LocatedEstate, tenant: string, subject: string): Promise<void> {
  const base = tokenBase(located);
  const kept = keptToken([base], tenant);
  return withVault(located.config, async (access) => {
    const record = kept === undefined ? undefined : access.vault.tokens.find(hashToken(kept));
    const live = record?.revokedAt === undefined && (record?.expiresAt ?? Number.POSITIVE_INFINITY) > Date.now();
    if (record !== undefined && live && record.subject === subject && record.tenant === tenant) return;
    await mintToken(located.config, access, { tenant, subject, scopes: [] }, (token) => keepToken(base, tenant, token));
  });
}

function remote({ io, client, tenant, keychain }: Wanted, url: string): Made {
  const base = serverBase(url);
  if (base === undefined) throw new UsageError('--url is no http or https URL');
  const token = io.env['LEASEHOLD_TOKEN'];
  if (!keychain && client.http === undefined) {
    throw new UsageError(`${client.title} starts servers and keeps no tokens; add --keychain`);
  }
  if (token === undefined && !(keychain && keptToken([base], tenant) !== undefined)) {
    throw new UserError('--url needs a token of that server, in LEASEHOLD_TOKEN');
  }
  if (!keychain && client.http !== undefined) return { value: client.http(`${base}/t/${tenant}/mcp`, token ?? ''), secret: true };
  if (token !== undefined) keepToken(base, tenant, token);
  const args = [CLI, 'stdio', '--tenant', tenant, '--url', base, '--keychain'];
  return { value: client.stdio(process.execPath, args, passed(io, KEYCHAIN_PASSED)), secret: false };
}

function passed({ env }: Io, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

function finish({ io, client, tenant }: Wanted, { value, secret }: Made, write: boolean): number {
  const { servers } = client;
  const file = client.file({ platform: process.platform, env: io.env });
  const name = `leasehold-${tenant}`;
  if (/[\\/]_npx[\\/]/.test(CLI)) {
    io.stderr.write('this leasehold is in a cache of npx, which may be emptied: install it, then connect\n');
  }
  if (!write) {
    io.stdout.write(`${JSON.stringify({ [servers]: { [name]: value } }, undefined, 2)}\n`);
    io.stderr.write(`for ${file}; --write puts it there${secret ? '. It holds a token: keep it to yourself' : ''}\n`);
    return 0;
  }
  const merged = mergeEntry({ file, servers, name, value, secret });
  if (merged.kind === 'unchanged') io.stderr.write(`'${name}' stands in ${file} already\n`);
  else {
    const kept = merged.backup === undefined ? '' : `, as it was: ${merged.backup}`;
    io.stderr.write(`'${name}' is in ${file} now${kept}\n${client.next}\n`);
  }
  return 0;
}
