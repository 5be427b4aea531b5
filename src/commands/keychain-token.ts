// Bearer tokens in the keychain of this user: one per server and tenant.
// Not responsible for the keychain (`vault/keys`) or for making tokens.
// Invariant: a token that was kept for one address is never read for another.
import { readItem, writeItem } from '../vault/keys/keychain.ts';
import { VaultError } from '../vault/vault-error.ts';
import { UserError } from './command.ts';

/** `https://mcp.example.com/base` without a slash at its end; undefined for what is no http URL. */
export function serverBase(url: string): string | undefined {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '') return undefined;
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`;
}

/** `base` as `serverBase` or the server itself writes it. Throws `UserError`. */
export function keepToken(base: string, tenant: string, token: string): void {
  try {
    writeItem(accountOf(base, tenant), token);
  } catch (error) {
    if (error instanceof VaultError) throw new UserError(error.message);
    throw error;
  }
}

/** Undefined where there is none. Throws `UserError` where the keychain cannot be asked. */
export function keptToken(bases: readonly string[], tenant: string): string | undefined {
  try {
    for (const base of new Set(bases)) {
      const token = readItem(accountOf(base, tenant));
      if (token !== undefined && token !== '') return token;
    }
    return undefined;
  } catch (error) {
    if (error instanceof VaultError) throw new UserError(error.message);
    throw error;
  }
}

function accountOf(base: string, tenant: string): string {
  return `token ${serverBase(base) ?? base} ${tenant}`;
}
