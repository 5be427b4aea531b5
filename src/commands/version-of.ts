// The version of this package, as its package.json says.
// Not responsible for how it is shown.
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

export function leaseholdVersion(): string {
  // Found, not computed: sources and built files lie at different depths below the package's root.
  const file = findPackageJSON('.', import.meta.url);
  if (file === undefined) throw new Error('leasehold runs outside its package');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
