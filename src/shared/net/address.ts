// What kind of network an IP address leads to.
// Not responsible for names or for deciding (`connect`).
// Invariant: an IPv4 address inside an IPv6 one is judged as that IPv4 address; what is not plainly public is not public.
// Source: IANA special-purpose address registries (RFC 6890); `net.BlockList` covers `::ffff:0:0/96` by itself and nothing else.
import { BlockList, isIP } from 'node:net';

/** `private` needs the operator's word; `forbidden` is never connected to. */
export type AddressKind = 'public' | 'private' | 'forbidden';

const PRIVATE = listOf([
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier-grade NAT
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // benchmarking
  ['::1', 128],
  ['64:ff9b:1::', 48], // NAT64 of the own network
  ['fc00::', 7],
]);

const FORBIDDEN = listOf([
  ['0.0.0.0', 8], // this host, to Linux
  ['169.254.0.0', 16], // link-local: the metadata services of clouds
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3], // multicast, reserved, broadcast
  ['::', 96], // unspecified and IPv4-compatible; ::1 is looked for first
  ['100::', 64], // discard
  ['2001::', 23], // Teredo and other protocol assignments
  ['2001:db8::', 32],
  ['2002::', 16], // 6to4
  ['3fff::', 20],
  ['5f00::', 16],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
]);

const NAT64 = listOf([['64:ff9b::', 96]]);

/** @param address an IP literal, without brackets; anything else is forbidden. */
export function addressKind(address: string): AddressKind {
  const version = isIP(address);
  if (version === 0 || address.includes('%')) return 'forbidden';
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (family === 'ipv6' && NAT64.check(address, family)) return addressKind(lastFourBytes(address));
  if (PRIVATE.check(address, family)) return 'private';
  return FORBIDDEN.check(address, family) ? 'forbidden' : 'public';
}

function listOf(subnets: readonly (readonly [net: string, prefix: number])[]): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of subnets) list.addSubnet(net, prefix, net.includes(':') ? 'ipv6' : 'ipv4');
  return list;
}

/** The URL parser gives the canonical form, so that only hexadecimal groups are left to read. */
function lastFourBytes(address: string): string {
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(':');
  const [high = 0, low = 0] = groups.slice(-2).map((group) => Number.parseInt(group || '0', 16));
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
