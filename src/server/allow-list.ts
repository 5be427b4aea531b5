// Which Host and Origin values this server answers to (DNS rebinding, CSRF from web pages).
// Not responsible for refusing (`guard`). Invariant: matched as text in lower case, never resolved; a name that is not listed is foreign.
import { isIP, type Socket } from 'node:net';
import { tenantInHost } from '../auth/resource.ts';
import { isTenantId } from '../shared/ids.ts';
import type { HttpServerOptions } from './ports.ts';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

function bracketed(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address;
}

export class AllowList {
  readonly #hosts = new Set<string>();
  /** Named without a port: any port will do. */
  readonly #names = new Set<string>();
  readonly #origins = new Set<string>();
  readonly #tenants: HttpServerOptions['config']['routing']['host'];

  constructor(config: HttpServerOptions['config'], port: number) {
    this.#tenants = config.routing.host;
    const suffixes = port === 80 ? ['', ':80'] : [`:${port}`];
    for (const name of [...LOOPBACK, bracketed(config.listen.host.toLowerCase())]) {
      for (const suffix of suffixes) this.#hosts.add(name + suffix);
    }
    for (const name of LOOPBACK) this.#origins.add(new URL(`http://${name}:${port}`).origin);
    if (config.publicUrl !== undefined) {
      const { host, origin } = new URL(config.publicUrl);
      this.#hosts.add(host);
      this.#origins.add(origin);
    }
    for (const host of config.allowedHosts) (/:\d+$/.test(host) ? this.#hosts : this.#names).add(host.toLowerCase());
    for (const origin of config.allowedOrigins) this.#origins.add(origin.toLowerCase());
  }

  /** `socket`, for its end on our side (a system call, so only where needed): an IP literal of ourselves is no name to rebind. */
  host(value: string | undefined, socket: Pick<Socket, 'localAddress' | 'localPort'>): boolean {
    if (value === undefined) return false;
    const host = value.toLowerCase();
    if (this.#hosts.has(host) || this.#names.has(host.replace(/:\d+$/, ''))) return true;
    if (this.#tenants !== undefined) {
      const tenant = tenantInHost(value.replace(/:\d+$/, ''), this.#tenants);
      if (tenant !== undefined && isTenantId(tenant)) return true;
    }
    const { localAddress, localPort } = socket;
    if (localAddress === undefined) return false;
    const own = bracketed(localAddress.replace(/^::ffff:(?=\d)/, ''));
    return host === `${own}:${localPort}` || (localPort === 80 && host === own);
  }

  /** Programs send none. A page that a browser hides the origin of (`null`) is foreign. */
  origin(value: string | undefined): boolean {
    return value === undefined || this.#origins.has(value.toLowerCase());
  }
}
