// Where a tenant of an estate of this machine is called, and with which token.
// Not responsible for calling.
// Invariant: the address is the listen address, not the public one: a proxy in front may not be reachable from here.
import type { CompiledServer } from '../config/compiled.ts';
import type { Io } from './command.ts';
import { invocation } from './invocation.ts';
import { localToken } from './local-token.ts';
import { type LocatedEstate, locateEstate, requireTenant } from './locate.ts';
import type { Endpoint } from './mcp-client.ts';
import { shortPath } from './serve-screen.ts';
import { checkedSubject } from './token-input.ts';

export interface LocalCaller {
  readonly tenant: string;
  /** Given by the user; else one is derived. */
  readonly token: string | undefined;
  readonly estate: string | undefined;
  readonly subject: string;
}

export async function localEndpoint(io: Io, { tenant, token, estate, subject }: LocalCaller): Promise<Endpoint> {
  const located = locateEstate(io, estate);
  requireTenant(located, tenant);
  const { config } = located;
  return {
    url: `${localBase(located)}/t/${tenant}/mcp`,
    token: token ?? (await localToken(config, tenant, checkedSubject(subject))),
    hint: startHint(io, config),
  };
}

/** Where this machine reaches the server. */
export function localBase({ config, running }: LocatedEstate): string {
  return running?.url ?? listenUrl(config);
}

/** By which address a token in the keychain is known: the public one, where there is one. */
export function tokenBase(located: LocatedEstate): string {
  return located.config.publicUrl ?? localBase(located);
}

export function startHint(io: Io, { estate }: CompiledServer): string {
  return `Start it: ${invocation(io)} start ${shortPath(estate)}`;
}

/** Of a server that other commands cannot see (another user's, a service), where it should be. */
export function listenUrl({ listen: { host, port } }: CompiledServer, boundPort: number = port): string {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${local.includes(':') ? `[${local}]` : local}:${boundPort}`;
}
