// A place that holds a master key: what every kind of place can do, and the configuration that names one.
// Not responsible for whether a key fits a vault (`master-wrap`) or for when a key is made (`master-key`).
// Invariant: all of it throws `VaultError`, one line for the operator; "there is none" and "cannot be asked" are never mixed up.

export type MasterKeySource =
  | { readonly source: 'file'; readonly path: string }
  /** One item of the OS keychain. */
  | { readonly source: 'keychain'; readonly account: string }
  /** A credential that systemd hands to the unit (`LoadCredential=`, systemd.exec(5)). */
  | { readonly source: 'systemd-credential'; readonly name: string };

/** `next`: the one that a change of keys has written and not yet put in the place of the current one. */
export type Which = 'current' | 'next';

export interface KeyPlace {
  /** For messages: `the key file /srv/mcp/master.key`. */
  readonly where: string;
  /** Undefined: surely none there. */
  read(which: Which): Uint8Array | undefined;
  /** Durable when it returns. Never replaces a current key. */
  write(which: Which, key: Uint8Array): void;
  /** Puts `next` in the place of `current`. */
  promote(): void;
  /** What to think of where there is no key, but a vault. */
  readonly absence: string;
}
