// Host names to addresses, by c-ares and not by getaddrinfo: a slow name server must not use up the thread pool that all
// tenants of a host process share.
// Not responsible for judging addresses (`connect`), nor for caching: connections are kept, so few names are looked up twice.
// Invariant: asked once per connection; `localhost` is loopback (RFC 6761) and never asked of a name server.
import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';

/** All addresses of a name, IPv4 first. Rejects with an error whose `code` is one of `node:dns`. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface ResolveOptions {
  /** `address` or `address:port`; default: those of the system. */
  readonly servers?: readonly string[];
  /** Default: the system's. Read once; a thread that may not read it goes without. */
  readonly hostsFile?: string;
}

const LOCALHOST = ['127.0.0.1', '::1'];
const HOSTS_FILE = process.platform === 'win32' ? 'C:\\Windows\\System32\\drivers\\etc\\hosts' : '/etc/hosts';

export function createResolve({ servers, hostsFile = HOSTS_FILE }: ResolveOptions = {}): Resolve {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  if (servers !== undefined) resolver.setServers([...servers]);
  let hosts: ReadonlyMap<string, readonly string[]> | undefined;

  return async (given) => {
    const name = given.toLowerCase().replace(/\.$/, '');
    if (name === 'localhost' || name.endsWith('.localhost')) return LOCALHOST;
    hosts ??= readHosts(hostsFile);
    const known = hosts.get(name);
    if (known !== undefined) return known;
    const [four, six] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = [...(four.status === 'fulfilled' ? four.value : []), ...(six.status === 'fulfilled' ? six.value : [])];
    if (found.length === 0 && four.status === 'rejected') throw four.reason;
    return found;
  };
}

function readHosts(file: string): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return hosts;
  }
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address === undefined || address === '') continue;
    for (const name of names) {
      const addresses = hosts.get(name.toLowerCase());
      if (addresses === undefined) hosts.set(name.toLowerCase(), [address]);
      else addresses.push(address);
    }
  }
  return hosts;
}
