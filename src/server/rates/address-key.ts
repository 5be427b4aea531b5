// What counts as one address for a limit.
// Not responsible for whose address it is (`trustProxy`). Invariant: who has one IPv6 network is one, however many addresses it has.
import { isIP } from 'node:net';

/** IPv4 as it is, also inside IPv6; of IPv6 the first 64 bits, which is what one customer gets (RFC 6177). */
export function addressKey(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (isIP(bare) !== 6) return bare;
  const [head = '', tail] = bare.split('%')[0]?.split('::') ?? [];
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined ? first : [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group || '0', 16).toString(16))
    .join(':')}::/64`;
}

export function isLoopbackPeer(address: string | undefined): boolean {
  return address !== undefined && /^(?:127\.|::1$|::ffff:127\.)/.test(address);
}
