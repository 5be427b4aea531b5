// A connection to an origin through an HTTP proxy: CONNECT, and the socket behind it.
// Not responsible for TLS to the origin or for which origins go this way (`connect`).
// Invariant: settles within its time; nothing but the authority of the origin is told to the proxy.
// Source: RFC 9110, section 9.3.6.
import { isIP, type Socket } from 'node:net';
import type { Resolve } from './resolve.ts';

/** 403 or 407: the proxy does not let this origin, or us, through. */
export class ProxyRefused extends Error {
  readonly code = 'PROXY_REFUSED';
}
/** The proxy could not reach the origin. */
export class ProxyFailed extends Error {
  readonly code = 'PROXY_FAILED';
}

/** The proxy itself is where the operator said: its address is not judged. */
export async function openTunnel(proxy: URL, authority: string, resolve: Resolve, timeoutMs: number): Promise<Socket> {
  const { request } = proxy.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const hostname = proxy.hostname.replace(/^\[|\]$/g, '');
  const [address] = isIP(hostname) === 0 ? await resolve(hostname) : [hostname];
  if (address === undefined) throw new ProxyFailed('the proxy has no address');
  return new Promise((resolved, rejected) => {
    const asked = request({
      method: 'CONNECT',
      host: address,
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      path: authority,
      headers: { host: authority },
      agent: false,
      timeout: timeoutMs,
      ...(proxy.protocol === 'https:' && isIP(hostname) === 0 ? { servername: hostname } : {}),
    });
    asked.once('timeout', () => asked.destroy(new ProxyFailed('no answer of the proxy in time')));
    asked.once('error', rejected);
    asked.once('connect', ({ statusCode = 0 }, socket, head) => {
      socket.setTimeout(0);
      if (statusCode >= 200 && statusCode <= 299 && head.length === 0) return resolved(socket);
      socket.destroy();
      rejected(
        statusCode === 403 || statusCode === 407 ? new ProxyRefused(`HTTP ${statusCode}`) : new ProxyFailed(`HTTP ${statusCode}`),
      );
    });
    asked.end();
  });
}
