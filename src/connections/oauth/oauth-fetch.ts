// Hands the guarded fetch to oauth4webapi.
// Not responsible for either. http is allowed here because the guarded fetch itself decides about it, by origin.
import { allowInsecureRequests, customFetch } from 'oauth4webapi';
import type { GuardedFetch } from './guarded-fetch.ts';

/** What oauth4webapi asks of a fetch. */
interface Asked {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: URLSearchParams | string | Uint8Array | ArrayBuffer | null | undefined;
}

/** @param seen may replace an answer, or throw, before oauth4webapi reads it */
export function oauthFetch(guarded: GuardedFetch, seen: (response: Response) => Promise<Response> = async (r) => r) {
  return {
    [allowInsecureRequests]: true,
    [customFetch]: async (url: string, { method, headers, body }: Asked): Promise<Response> => {
      const text = body instanceof URLSearchParams ? body.toString() : body;
      return seen(await guarded.fetch(url, { method, headers, ...(typeof text === 'string' ? { body: text } : {}) }));
    },
  };
}
