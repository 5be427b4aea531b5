// How a person knows the account that was just connected, where the token endpoint told it (OpenID Connect ID token). For screens only.
// Not responsible for who anybody is: nothing is decided by it, and the token came straight from the server that was asked (OpenID
// Connect Core 3.1.3.7, point 6), so its signature is not looked at. Pure. Invariant: one short line of text, or nothing.

const TOKEN_CHARACTERS = 16_384;
const NAME_CHARACTERS = 200;
const CLAIMS = ['preferred_username', 'email', 'name'] as const;

export function accountName(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null || !('id_token' in answer)) return undefined;
  const { id_token: token } = answer;
  if (typeof token !== 'string' || token.length > TOKEN_CHARACTERS) return undefined;
  const claims = claimsOf(token.split('.')[1] ?? '');
  for (const claim of CLAIMS) {
    const value = claims[claim];
    const line = typeof value === 'string' ? value.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '').trim() : '';
    if (line !== '') return line.slice(0, NAME_CHARACTERS);
  }
  return undefined;
}

function claimsOf(payload: string): { readonly [claim: string]: unknown } {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null ? { ...claims } : {};
  } catch {
    return {};
  }
}
