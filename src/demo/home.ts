// The demo estate of this user: the shipped files, copied to a folder where they can be edited.
// Not responsible for serving it; once copied it is an estate like any other.
// Invariant: a file that the user has changed is never overwritten, a file that still is what was shipped is kept up to date.
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** npm packages that the demo tools import. An estate's packages lie in its own `node_modules`, so they are copied there. */
const PACKAGES = ['convert'];
/** Stands in the shipped `tenant.json` files; the demo API listens where there is room, so its origin is known only at start. */
const SHIPPED_ORIGIN = 'http://127.0.0.1:8742';
const STATE_FILE = join('.leasehold', 'demo.json');

/** What was shipped last: SHA-256 by file, and the origin written into them. */
interface Shipped {
  readonly apiOrigin: string;
  readonly files: Record<string, string>;
}

type Env = Readonly<Record<string, string | undefined>>;

/** `$XDG_DATA_HOME/leasehold/demo`, by default below `~/.local/share` (XDG Base Directory Specification 0.8). */
export function demoHome(env: Env): string {
  const data = env['XDG_DATA_HOME'];
  return join(data !== undefined && isAbsolute(data) ? data : join(homedir(), '.local', 'share'), 'leasehold', 'demo');
}

/** Copies and updates the estate in `home`; the connections of its tenants lead to `apiOrigin`. */
export async function shipEstate(home: string, apiOrigin: string): Promise<void> {
  await mkdir(join(home, '.leasehold'), { recursive: true, mode: 0o700 });
  const last = await readShipped(home);
  const files: Record<string, string> = {};
  const source = fileURLToPath(new URL('./estate/', import.meta.url));
  for (const file of await filesBelow(source)) {
    const target = join(home, file);
    const content = (await readFile(join(source, file), 'utf8')).replaceAll(SHIPPED_ORIGIN, apiOrigin);
    files[file] = hash(content);
    const present = await readFile(target, 'utf8').catch(() => undefined);
    if (present === undefined || hash(present) === last.files[file]) await write(target, content, present);
    else await write(target, present.replaceAll(last.apiOrigin, apiOrigin), present);
  }
  const state: Shipped = { apiOrigin, files };
  await writeFile(join(home, STATE_FILE), JSON.stringify(state, undefined, 2));
  for (const name of PACKAGES) await copyPackage(name, home);
}

/** Nothing is written that would be the same: a running server watches these files. */
async function write(file: string, content: string, present: string | undefined): Promise<void> {
  if (content === present) return;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

async function readShipped(home: string): Promise<Shipped> {
  try {
    return JSON.parse(await readFile(join(home, STATE_FILE), 'utf8')) as Shipped;
  } catch {
    return { apiOrigin: SHIPPED_ORIGIN, files: {} };
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name).slice(folder.length)] : [])).sort();
}

async function copyPackage(name: string, home: string): Promise<void> {
  const manifest = findPackageJSON(name, import.meta.url);
  if (manifest === undefined) throw new Error(`the package ${name} is not installed beside leasehold`);
  const target = join(home, 'node_modules', name);
  const wanted = await readFile(manifest, 'utf8');
  if (wanted === (await readFile(join(target, 'package.json'), 'utf8').catch(() => undefined))) return;
  await cp(dirname(manifest), target, { recursive: true, dereference: true });
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
