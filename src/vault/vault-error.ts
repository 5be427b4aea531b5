// Why a vault or its master key cannot be used: one line for the operator, with what to do.
// Not responsible for failures of a call. Thrown at start, or where a sealed record does not open.
// Invariant: holds no key, no token and no sealed or opened byte.

export type VaultErrorCode =
  | 'key_missing'
  | 'key_unsafe'
  | 'key_invalid'
  | 'key_wrong'
  | 'key_unavailable'
  | 'rotation_running'
  | 'tenant_removed'
  | 'database_unusable'
  | 'database_newer'
  | 'seal_broken';

export class VaultError extends Error {
  readonly code: VaultErrorCode;
  constructor(code: VaultErrorCode, message: string, options?: { cause?: unknown }) {
    super(`vault: ${message}`, options);
    this.name = 'VaultError';
    this.code = code;
  }
}
