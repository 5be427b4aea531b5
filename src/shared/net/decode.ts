// The body of an answer as the application sees it: one content coding undone, within a bound.
// Not responsible for the bound on the wire (`exchange`).
// Invariant: never gives more than `maxBytes`; two codings are refused (662 bytes of gzip in gzip become 300 MB).
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

const unzip = promisify(gunzip);

/** What the requests of an egress thread accept. */
export const ACCEPT_ENCODING = 'gzip';

export type Decoded =
  | { readonly ok: true; readonly body: Uint8Array }
  | { readonly ok: false; readonly code: 'too_large' | 'coding'; readonly detail: string };

export async function decodeBody(body: Uint8Array, contentEncoding: string | undefined, maxBytes: number): Promise<Decoded> {
  const coding = (contentEncoding ?? '').trim().toLowerCase();
  if (body.byteLength === 0 || coding === '' || coding === 'identity') return { ok: true, body };
  if (coding !== 'gzip' && coding !== 'x-gzip')
    return { ok: false, code: 'coding', detail: `content-encoding ${coding.slice(0, 100)}` };
  try {
    return { ok: true, body: await unzip(body, { maxOutputLength: maxBytes }) };
  } catch (error) {
    const tooLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
    return tooLarge
      ? { ok: false, code: 'too_large', detail: 'after decompression' }
      : { ok: false, code: 'coding', detail: 'not valid gzip' };
  }
}
