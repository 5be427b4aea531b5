// The chaos estate as a folder of this run: the shipped files, with the ports of this run's upstream in them.
// Not responsible for serving it. Invariant: written below the given folder only; the shipped files are never changed.
import { cp, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Upstream } from './upstream.ts';

const SHIPPED = fileURLToPath(new URL('./estate/', import.meta.url));
const SHIPPED_PORT = ':8743';
const NOISY = 'noisy';

/** All tenants of the estate. */
export async function writeEstate(folder: string, upstream: Upstream): Promise<readonly string[]> {
  await cp(SHIPPED, folder, { recursive: true });
  const noisy = join(folder, 'tenants', NOISY);
  const file = join(noisy, 'tenant.json');
  await writeFile(file, (await readFile(file, 'utf8')).replaceAll(SHIPPED_PORT, `:${upstream.port}`));
  const origin = (host: string): string => `http://${host}:${upstream.port}`;
  const server = {
    adminListen: '127.0.0.1:0',
    egress: {
      privateOrigins: [origin('127.0.0.1'), origin('slow-name.test')],
      nameServers: [upstream.nameServer],
    },
  };
  const target = join(folder, 'leasehold.json');
  await writeFile(`${target}.new`, JSON.stringify(server, undefined, 2));
  await rename(`${target}.new`, target);
  return [NOISY, 'steady', 'apart'];
}
