// What an answer of a token endpoint means, its peculiarities included: tokens, gone, refused, or lost.
// Not responsible for asking. Pure but for reading bodies.
// Invariant: "gone" is said only where the server itself said it; whatever leaves doubt is "lost". No text of the server but
// its error code is kept: descriptions may quote what we sent.
import type { TokenEndpointResponse } from 'oauth4webapi';
import type { OAuthQuirks } from '../../config/compiled.ts';
import { retryAfterMs } from '../../shared/retry-after.ts';

export interface Tokens {
  readonly accessToken: string;
  readonly expiresInMs?: number;
  readonly refreshToken?: string;
  /** Where the server says them. */
  readonly scopes?: readonly string[];
}
export type TokenAnswer = { readonly ok: true; readonly tokens: Tokens } | TokenProblem;
export interface TokenProblem {
  readonly ok: false;
  /**
   * `gone`: the grant is over. `refused`: the server does not take us or our request, which only a person can change.
   * `lost`: no answer, or none that can be read; with `sent` the refresh token may be spent.
   */
  readonly kind: 'gone' | 'refused' | 'lost';
  readonly reason: string;
  readonly sent: boolean;
  readonly retryAfterMs?: number;
}

/** Error codes after which the same request may succeed. */
const PASSING: ReadonlySet<string> = new Set(['temporarily_unavailable', 'server_error', 'slow_down']);
const CODE = /^[A-Za-z0-9_.-]{1,64}$/;
const YEAR_MS = 31_536_000_000;

/** The problem that the answer tells of, with any status, or an answer to read tokens from. */
export async function readAnswer(response: Response, quirks: OAuthQuirks, now: number): Promise<TokenProblem | Response> {
  const { status, headers } = response;
  if (status >= 500 || status === 429 || status === 408) {
    const wait = retryAfterMs(headers.get('retry-after') ?? undefined, now);
    return {
      ok: false,
      kind: 'lost',
      reason: `HTTP ${status}`,
      sent: true,
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    };
  }
  const body = await jsonObject(response);
  // RFC 6749 5.2 puts an error into a 400; some servers send it with 200.
  const code = body === undefined ? undefined : errorCode(body);
  if (code !== undefined) {
    if (PASSING.has(code)) return { ok: false, kind: 'lost', reason: code, sent: true };
    const gone = code === 'invalid_grant' || quirks.goneErrors?.includes(code) === true;
    return { ok: false, kind: gone ? 'gone' : 'refused', reason: code, sent: true };
  }
  if (status !== 200) return { ok: false, kind: 'refused', reason: `HTTP ${status}`, sent: true };
  if (body === undefined) return { ok: false, kind: 'lost', reason: 'the answer is not a JSON object', sent: true };
  // Who the user is was settled when he connected; an ID token of a refresh is not looked at.
  const { id_token: _, ...rest } = body;
  return new Response(JSON.stringify(rest), { status, headers });
}

function errorCode({ error }: { readonly [name: string]: unknown }): string | undefined {
  if (typeof error !== 'string' || error === '') return undefined;
  return CODE.test(error) ? error : 'error';
}

async function jsonObject(response: Response): Promise<{ readonly [name: string]: unknown } | undefined> {
  try {
    const body: unknown = await response.json();
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? { ...body } : undefined;
  } catch {
    return undefined;
  }
}

export function tokensOf(answer: TokenEndpointResponse): Tokens {
  const { access_token: accessToken, expires_in: expiresIn, refresh_token: refreshToken, scope } = answer;
  const expires = expiresIn !== undefined && Number.isFinite(expiresIn) && expiresIn > 0;
  return {
    accessToken,
    ...(expires ? { expiresInMs: Math.min(expiresIn * 1000, YEAR_MS) } : {}),
    ...(refreshToken === undefined || refreshToken === '' ? {} : { refreshToken }),
    ...(scope === undefined || scope.trim() === '' ? {} : { scopes: scopeList(scope) }),
  };
}

/** Space-separated by RFC 6749 3.3; some servers send commas. */
export function scopeList(scope: string): string[] {
  return [...new Set(scope.split(/[\s,]+/).filter((part) => part !== ''))].slice(0, 200);
}
