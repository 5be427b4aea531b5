// Node's HTTP agents over the same guarded connector as everything else that leaves: for libraries that bring their own client.
// Not responsible for URLs or sizes, nor for how a connection is made (`shared/net/connect`: addresses, proxy, authorities).
// Invariant: a socket of it leads to the one origin that it was made for, whatever the library asks for.
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { addressKind } from '../../shared/net/address.ts';
import { type ConnectOptions, guardedConnector } from '../../shared/net/connect.ts';

/** https, or http to an origin that the operator allowed to be private; of an IP literal, the address too. */
export function mayAsk({ protocol, hostname }: URL, isPrivate: boolean): boolean {
  if (protocol !== 'https:' && !(protocol === 'http:' && isPrivate)) return false;
  const host = bare(hostname);
  if (isIP(host) === 0) return true;
  const kind = addressKind(host);
  return kind === 'public' || (kind === 'private' && isPrivate);
}

export function guardedAgent({ protocol, hostname, host, port }: URL, options: ConnectOptions): HttpAgent {
  const connect = guardedConnector(options);
  const to = { protocol, hostname: bare(hostname), host, port };
  const agent = protocol === 'https:' ? new HttpsAgent({ keepAlive: false }) : new HttpAgent({ keepAlive: false });
  agent.createConnection = (_, callback) => {
    connect(to, (...[error, socket]) => {
      if (error === null) callback?.(null, socket);
      // The types want a stream beside an error, too; Node looks at the error first.
      else callback?.(error, undefined as unknown as Duplex);
    });
    return undefined;
  };
  return agent;
}

/** An IPv6 literal without its brackets. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
