// Where the bridge finds its server and its token; asked at the start, and again whenever the server is away or refuses the token.
// Not responsible for carrying messages. Invariant: a token is looked for in one order, and where the chosen one is refused no other
// one is tried in its place: the user is told which it was.
import { type Io, UserError } from './command.ts';
import { invocation } from './invocation.ts';
import { keptToken } from './keychain-token.ts';
import { localBase, startHint, tokenBase } from './local-endpoint.ts';
import { localToken } from './local-token.ts';
import { type LocatedEstate, locateEstate, requireTenant } from './locate.ts';

/** The user of a local server, where none is named: the same as that of `leasehold call`. */
export const LOCAL_SUBJECT = 'cli';

export interface Wanted {
  readonly io: Io;
  readonly tenant: string;
  readonly subject: string | undefined;
  readonly estate: string | undefined;
  /** The token is in the keychain, or there is none: never another user's in its place. */
  readonly keychain: boolean;
  /** Of a server elsewhere. */
  readonly base: string | undefined;
  log(line: string): void;
}

interface Place {
  readonly url: string;
  readonly token: string;
  readonly startHint: string;
  readonly tokenHint: string;
}

export function placeFinder(wanted: Wanted): () => Promise<Place> {
  const { base } = wanted;
  return base === undefined ? () => local(wanted) : () => Promise.resolve(remote(wanted, base));
}

function remote({ io, keychain, tenant }: Wanted, base: string): Place {
  const elsewhere = `Ask its operator for one (leasehold token create ${tenant} --subject <who>)`;
  const keep = `keep it with LEASEHOLD_TOKEN=… ${invocation(io)} connect <client> ${tenant} --url ${base} --keychain`;
  const given = keychain ? undefined : io.env['LEASEHOLD_TOKEN'];
  const { token, reason } = given === undefined ? keptOrWhy(base, tenant) : { token: given };
  if (token === undefined) {
    const why = reason === undefined ? '' : ` (${reason})`;
    throw new UserError(`There is no token for ${tenant} at ${base}${why}. ${elsewhere} and ${keep}`);
  }
  return {
    url: `${base}/t/${tenant}/mcp`,
    token,
    startHint: 'Is the address right, and does the server run?',
    tokenHint: `It is the one ${given === undefined ? 'in the keychain' : 'in LEASEHOLD_TOKEN'}. ${elsewhere} and ${keep}`,
  };
}

function keptOrWhy(base: string, tenant: string): { readonly token?: string | undefined; readonly reason?: string } {
  try {
    return { token: keptToken([base], tenant) };
  } catch (error) {
    if (error instanceof UserError) return { reason: error.message };
    throw error;
  }
}

async function local(wanted: Wanted): Promise<Place> {
  const { io, tenant, estate } = wanted;
  const located = locateEstate(io, estate);
  requireTenant(located, tenant);
  const { token, hint } = await tokenFor(wanted, located);
  return {
    url: `${localBase(located)}/t/${tenant}/mcp`,
    token,
    startHint: startHint(io, located.config),
    tokenHint: hint,
  };
}

async function tokenFor(wanted: Wanted, located: LocatedEstate): Promise<{ readonly token: string; readonly hint: string }> {
  const { io, tenant, subject } = wanted;
  const make = `${invocation(io)} token create ${tenant} --subject <who>`;
  const given = wanted.keychain ? undefined : io.env['LEASEHOLD_TOKEN'];
  if (given !== undefined) return { token: given, hint: `It is the one in LEASEHOLD_TOKEN. Make another one: ${make}` };
  const kept = subject === undefined ? keptIfAny(wanted, located) : undefined;
  if (kept !== undefined) return { token: kept, hint: `It is the one in the keychain. Make another one: ${make} --keychain` };
  const token = await localToken(located.config, tenant, subject ?? LOCAL_SUBJECT);
  return { token, hint: `It was made from the master key of this machine; does auth.tokens in its files refuse such ones?` };
}

/** A keychain that is not there is no obstacle where it is not needed. */
function keptIfAny(wanted: Wanted, located: LocatedEstate): string | undefined {
  try {
    const kept = keptToken([tokenBase(located), localBase(located)], wanted.tenant);
    if (kept === undefined && wanted.keychain) throw new UserError('the keychain has no such token, or is locked');
    return kept;
  } catch (error) {
    if (!(error instanceof UserError) || wanted.keychain) throw error;
    wanted.log(`${error.message}; going on without it`);
    return undefined;
  }
}
