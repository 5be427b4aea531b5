// Node's HTTP agents with the same guard on addresses as everything else that leaves: for libraries that bring their own client.
// Not responsible for URLs or sizes. Invariant: every address is checked, IP literals included (`mayAsk`, since Node looks up none);
// between check and connect no name is resolved again.
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { addressKind } from '../../shared/net/address.ts';
import type { Resolve } from '../../shared/net/resolve.ts';

/** https, or http to an origin that the operator allowed to be private; of an IP literal, the address too. */
export function mayAsk({ protocol, hostname }: URL, isPrivate: boolean): boolean {
  if (protocol !== 'https:' && !(protocol === 'http:' && isPrivate)) return false;
  const host = hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0 || isAllowed(host, isPrivate);
}

export function guardedAgent({ protocol }: URL, isPrivate: boolean, resolve: Resolve): HttpAgent {
  const lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (first === undefined || !addresses.every((address) => isAllowed(address, isPrivate))) {
          callback(Object.assign(new Error('the address is refused'), { code: 'ADDRESS_REFUSED' }), '', 0);
        } else if (options.all === true) {
          callback(
            null,
            addresses.map((address) => ({ address, family: isIP(address) })),
          );
        } else callback(null, first, isIP(first));
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 0),
    );
  };
  // Not every version of the types has `lookup` among the options of an agent, which go to `net.connect` as they are.
  const options = { keepAlive: false, lookup } as object;
  return protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
}

function isAllowed(address: string, isPrivate: boolean): boolean {
  const kind = addressKind(address);
  return kind === 'public' || (kind === 'private' && isPrivate);
}
