// Names of cordons that no configuration can write, so that hosts of one tenant are never shared by a chosen name.
// Not responsible for starting hosts (`hosts/cordon`). Invariant: the colon is in no tenant id and in no name of tenant.json.

/** Hosts of this tenant alone, by its configuration. */
export function ownCordon(tenant: string): string {
  return `own:${tenant}`;
}

/** Hosts of this tenant alone, whose code runs in them with the rights of the host: never the ones it had with a sandbox. */
export function nodeCordon(tenant: string): string {
  return `node:${tenant}`;
}

/** Hosts of this tenant alone, since it may have killed a shared one. */
export function apartCordon(tenant: string): string {
  return `apart:${tenant}`;
}

/** Whether a cordon holds one tenant only, whatever the configuration says. */
export function isAlone(cordon: string): boolean {
  return cordon.includes(':');
}
