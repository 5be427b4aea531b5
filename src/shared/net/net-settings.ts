// How this machine reaches the internet, by the word of the operator: proxy, certificate authorities, name servers.
// Not responsible for which origins may be reached. Environment variables (HTTPS_PROXY, NODE_EXTRA_CA_CERTS) have no say.
// Invariant: plain data without a secret, since it stands on the command line of a host.
import { createSecureContext, rootCertificates } from 'node:tls';
import { Clients } from './clients.ts';
import { createResolve, type Resolve } from './resolve.ts';

export interface NetSettings {
  /** Origin of an HTTP proxy that all but private origins are reached through, by CONNECT. */
  readonly proxy?: string;
  /** Certificates in PEM that are trusted beside those of Node. */
  readonly ca?: string;
  /** `address` or `address:port`. @default those of the system */
  readonly nameServers?: readonly string[];
}

export function createClients({ proxy, ca, nameServers }: NetSettings = {}, resolve?: Resolve): Clients {
  return new Clients(resolve ?? createResolve(nameServers === undefined ? {} : { servers: nameServers }), {
    ...(proxy === undefined ? {} : { proxy: new URL(proxy) }),
    // Made once: to read all certificates takes milliseconds.
    ...(ca === undefined ? {} : { secureContext: createSecureContext({ ca: [...rootCertificates, ca] }) }),
  });
}
