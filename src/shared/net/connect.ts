// Opens connections to the outside: resolve once, check every address, connect to exactly a checked one.
// Not responsible for which origins a tenant may use (`guard`) or for HTTP.
// Invariant: no socket is opened to an address that was not checked, IP literals included; between check and connect no name
// is resolved again, so that a name server cannot change its mind (DNS rebinding).
import { isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { buildConnector as Connector } from 'undici';
import { addressKind } from './address.ts';
import type { Resolve } from './resolve.ts';
import { buildConnector } from './undici-parts.ts';

/** Time for one address. */
const CONNECT_MS = 5000;

export class AddressRefused extends Error {
  readonly code = 'ADDRESS_REFUSED';
}

export interface ConnectOptions {
  readonly resolve: Resolve;
  /** The operator allowed this origin to lead to private addresses. */
  readonly allowPrivate: boolean;
  readonly tls?: Pick<ConnectionOptions, 'ca'>;
}

export function guardedConnector({ resolve, allowPrivate, tls }: ConnectOptions): Connector.connector {
  // HTTP/1.1 only: one request per connection at a time is what makes "was it sent" a fact.
  const dial = buildConnector({ ...tls, allowH2: false, timeout: CONNECT_MS, autoSelectFamily: false });

  function dialOne(options: Connector.Options, address: string): Promise<Socket> {
    const literal = isIP(options.hostname) !== 0;
    const to: Connector.Options = { ...options, hostname: address };
    if (options.protocol === 'https:' && !literal) to.servername = options.hostname;
    else delete to.servername;
    return new Promise((resolved, rejected) => {
      dial(to, (error, socket) => (error === null ? resolved(socket) : rejected(error)));
    });
  }

  async function open(options: Connector.Options): Promise<Socket> {
    const { hostname } = options;
    const addresses = isIP(hostname) === 0 ? await resolve(hostname) : [hostname];
    for (const address of addresses) {
      const kind = addressKind(address);
      if (kind === 'public' || (kind === 'private' && allowPrivate)) continue;
      throw new AddressRefused(`${hostname} is at a ${kind} address`);
    }
    let last: unknown = new AddressRefused(`${hostname} has no address`);
    for (const address of addresses) {
      try {
        return await dialOne(options, address);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  return (options, callback) => {
    open(options).then(
      (socket) => callback(null, socket),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
}
