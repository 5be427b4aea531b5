// The operator's words on how the outside is reached: certificates read, name servers checked.
// Not responsible for using them (`shared/net`). Invariant: a wrong one gives a reason, never a default.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Checked } from './origin.ts';

/** It stands on the command line of a host, where Linux allows 128 KiB. */
const PEM_BYTES = 65_536;

/** PEM text of a file with at least one certificate. */
export function readCertificates(path: string): Checked<string> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { ok: false, reason: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})` };
  }
  // Nothing but certificates goes on: a private key in the same file stays where it is.
  const found = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const certificate of found) void new X509Certificate(certificate);
  } catch {
    return { ok: false, reason: 'has a certificate that cannot be read' };
  }
  if (found.length === 0) return { ok: false, reason: 'has no certificate in PEM' };
  const pem = found.join('\n');
  return pem.length > PEM_BYTES
    ? { ok: false, reason: `has more than ${PEM_BYTES} bytes of certificates` }
    : { ok: true, value: pem };
}

export function parseNameServer(text: string): Checked<string> {
  const bare = /^\[(.+)\](?::\d{1,5})?$/.exec(text)?.[1] ?? (isIP(text) === 0 ? text.replace(/:\d{1,5}$/, '') : text);
  return isIP(bare) === 0 ? { ok: false, reason: 'must be address or address:port' } : { ok: true, value: text };
}
