// What clients have published about themselves, fetched for oidc-provider: metadata documents (their id is the address) and keys.
// Not responsible for guarding addresses (the fetch that is handed in does) or for what a client may be (`client-rules`).
// Invariant: one request, no redirect, a small JSON document; https, also where the operator lets connections do without: nobody who asks
// for it has proved anything.
import { adapt } from './client-rules.ts';
import type { ProviderOptions } from './provider.ts';

const DOCUMENT_BYTES = 5 * 1024;

/** Client metadata and keys of clients. Redirects are not followed; what comes back is small. */
export function clientFetch(fetch: ProviderOptions['fetch']) {
  return async (address: string | URL, { method = 'GET' }: { method?: string } = {}): Promise<Response> => {
    if (URL.parse(address)?.protocol !== 'https:') throw new Error('the address is not https');
    const response = await fetch(String(address), { method, headers: { accept: 'application/json' } });
    const text = await response.text();
    if (Buffer.byteLength(text) > DOCUMENT_BYTES) throw new Error('the document is too large');
    return new Response(adapted(text), { status: response.status, headers: response.headers });
  };
}

function adapted(text: string): string {
  const document: unknown = JSON.parse(text);
  if (typeof document === 'object' && document !== null && 'client_id' in document) adapt(document as Record<string, unknown>);
  return JSON.stringify(document);
}
