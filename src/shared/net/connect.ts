// Opens connections to the outside: resolve once, check every address, connect to exactly a checked one.
// Not responsible for which origins a tenant may use (`guard`) or for HTTP.
// Invariant: no socket is opened to an address that was not checked, IP literals included; between check and connect no name
// is resolved again, so that a name server cannot change its mind (DNS rebinding). Behind a proxy of the operator the proxy resolves.
import { isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { buildConnector as Connector } from 'undici';
import { addressKind } from './address.ts';
import { openTunnel } from './proxy.ts';
import type { Resolve } from './resolve.ts';
import { buildConnector } from './undici-parts.ts';

/** Time for one address. */
const CONNECT_MS = 5000;

export class AddressRefused extends Error {
  readonly code = 'ADDRESS_REFUSED';
}

export interface ConnectSettings extends Pick<ConnectionOptions, 'ca' | 'secureContext'> {
  /** Origins that may not be private are reached through it; it resolves their names. */
  readonly proxy?: URL;
}

export interface ConnectOptions extends ConnectSettings {
  readonly resolve: Resolve;
  /** The operator allowed this origin to lead to private addresses. */
  readonly allowPrivate: boolean;
}

export function guardedConnector({ resolve, allowPrivate, proxy, ...tls }: ConnectOptions): Connector.connector {
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

  /** The proxy resolves; what is an address already is judged here. */
  async function openBehind(through: URL, options: Connector.Options): Promise<Socket> {
    const { hostname, port, protocol } = options;
    const version = isIP(hostname);
    if (version !== 0 && addressKind(hostname) !== 'public') throw new AddressRefused('the address is not public');
    const isTls = protocol === 'https:';
    const host = version === 6 ? `[${hostname}]` : hostname;
    const socket = await openTunnel(through, `${host}:${port || (isTls ? 443 : 80)}`, resolve, CONNECT_MS);
    if (!isTls) return socket;
    return new Promise((resolved, rejected) => {
      const inside: Connector.Options = { ...options, httpSocket: socket };
      if (version === 0) inside.servername = hostname;
      dial(inside, (error, secured) => (error === null ? resolved(secured) : rejected(error)));
    });
  }

  async function open(options: Connector.Options): Promise<Socket> {
    if (proxy !== undefined && !allowPrivate) return openBehind(proxy, options);
    const { hostname } = options;
    const addresses = isIP(hostname) === 0 ? await resolve(hostname) : [hostname];
    for (const address of addresses) {
      const kind = addressKind(address);
      if (kind === 'public' || (kind === 'private' && allowPrivate)) continue;
      throw new AddressRefused(`${hostname} is at a ${kind} address`);
    }
    // The first one tells more: that a certificate does not fit, and not that its name has no server at a second address.
    let first: unknown;
    for (const address of addresses) {
      try {
        return await dialOne(options, address);
      } catch (error) {
        first ??= error;
      }
    }
    throw first ?? new AddressRefused(`${hostname} has no address`);
  }

  return (options, callback) => {
    open(options).then(
      (socket) => callback(null, socket),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
}
