// How this machine reaches the internet, by the word of the operator: proxy, certificate authorities, name servers.
// Not responsible for which origins may be reached. Environment variables (HTTPS_PROXY, NODE_EXTRA_CA_CERTS) have no say.
// Invariant: plain data without a secret, since it stands on the command line of a host.
import { createSecureContext, rootCertificates } from 'node:tls';
import { Clients } from './clients.ts';
import type { ConnectSettings } from './connect.ts';
import { createResolve, type Resolve } from './resolve.ts';

export interface NetSettings {
  /** Origin of an HTTP proxy that all but private origins are reached through, by CONNECT. */
  readonly proxy?: string;
  /** Certificates in PEM that are trusted beside those of Node. */
  readonly ca?: string;
  /** `address` or `address:port`. @default those of the system */
  readonly nameServers?: readonly string[];
}

export function createClients(net: NetSettings = {}, resolve: Resolve = resolveBy(net)): Clients {
  return new Clients(resolve, connectSettings(net));
}

/** Names to addresses by the name servers of the operator. */
export function resolveBy({ nameServers }: NetSettings = {}): Resolve {
  return createResolve(nameServers === undefined ? {} : { servers: nameServers });
}

/** Made once and kept: to read all certificates takes milliseconds. */
export function connectSettings({ proxy, ca }: NetSettings = {}): ConnectSettings {
  return {
    ...(proxy === undefined ? {} : { proxy: new URL(proxy) }),
    ...(ca === undefined ? {} : { secureContext: createSecureContext({ ca: [...rootCertificates, ca] }) }),
  };
}
