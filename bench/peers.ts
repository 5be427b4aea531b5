// The peers' packages: installed into `peers/` on first use, from its lock file.
// Not responsible for starting peers (`subjects`).
// Invariant: nothing of them is in the product's own tree.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const PEERS = fileURLToPath(new URL('peers/', import.meta.url));

export function installPeers(): void {
  if (existsSync(`${PEERS}node_modules/.package-lock.json`)) return;
  process.stderr.write('installing the peers (once)\n');
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: PEERS,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
