// Who calls: the verified identity of one request.
// Not responsible for finding it out (`authenticate`) or for what it may do (`policy`).
// Invariant: a Principal is only ever made by a verifier, from a credential that was verified for exactly this tenant.

export interface Principal {
  readonly tenant: string;
  /** Who vouches for the subject: `leasehold` for tokens minted here, else the issuer URL. */
  readonly issuer: string;
  readonly subject: string;
  /** Inbound scopes, those that they imply included; `*` stands for all of the tenant (a token minted without scopes). */
  readonly scopes: ReadonlySet<string>;
  /** Public id of the credential, for the audit. Never a part of the secret. */
  readonly credentialId: string;
  /** Groups of the subject, where its issuer names them. */
  readonly groups?: readonly string[];
  /** The OAuth client that the token was given to, where its issuer says. */
  readonly client?: string;
  /** No user stands behind the client: it acts for itself (client credentials), so nobody can be asked to open a page. */
  readonly actsForItself?: true;
  /** Epoch milliseconds: from then on the credential is not good. Absent: it does not end by itself. */
  readonly expiresAt?: number;
}

/** One string that binds a handle (session, cursor, subscription) to its owner. */
export function ownerKey(principal: Principal): string {
  return JSON.stringify([principal.tenant, principal.issuer, principal.subject]);
}
