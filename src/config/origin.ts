// Checks and normalizes the addresses of the configuration: listen addresses, public URLs, origins.
// Not responsible for resolving names. Invariant: pure; a wrong text gives a reason, never a guess.

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string; readonly hint?: string | undefined };
const bad = (reason: string): { ok: false; reason: string } => ({ ok: false, reason });

/** `host:port`, `[ipv6]:port`, `:port` or `port` (both on 127.0.0.1). */
export function parseListen(text: string): Checked<{ host: string; port: number }> {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) return bad('must be host:port with a port from 0 to 65535');
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
  return { ok: true, value: { host: host === '' ? '127.0.0.1' : host, port } };
}

/** Of an option or variable of its own, without a host. */
export function parsePort(text: string): Checked<number> {
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port <= 65_535
    ? { ok: true, value: port }
    : bad('must be a whole number: a port from 0 to 65535 (0 takes a free one)');
}

/** Scheme, host and port only; returned as `URL.origin` writes it. */
export function parseOrigin(text: string): Checked<string> {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return bad('must be an http or https origin such as https://api.example.com');
  if (url.username !== '' || url.password !== '') return bad('must not hold a user name or password');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') return bad('must end after host and port');
  return { ok: true, value: url.origin };
}

/** Base of public URLs, without a trailing slash. `http` only on loopback unless `unsafeHttp`. */
export function parsePublicUrl(text: string, unsafeHttp: boolean): Checked<string> {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return bad('must be an https URL');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return bad('must be a plain URL without user, query or fragment');
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !unsafeHttp) {
    return bad('must be https on a host other than loopback (or set unsafeHttpPublicUrl)');
  }
  return { ok: true, value: url.href.replace(/\/+$/, '') };
}

export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare);
}
