// The one line for a port that is taken: who holds it, and what that means.
// Not responsible for asking the holder whether it is a Leasehold server (the HTTP edge has, when it could not listen).
// Invariant: only looks; where the system does not tell who it is, the line says so and guesses nothing.
import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

/** The rejection of `startRuntime` where the port is taken. `holder`: what a Leasehold server there says of itself. */
export interface PortInUse extends Error {
  readonly port: number;
  readonly holder: { readonly pid?: number; readonly estate?: string } | undefined;
}

export function isPortInUse(error: unknown): error is PortInUse {
  return error instanceof Error && error.name === 'PortInUse' && 'port' in error && typeof error.port === 'number';
}

export async function portInUseLine({ port, holder }: PortInUse, estate: string): Promise<string> {
  const other = `--port ${port === 65_535 ? port - 1 : port + 1}`;
  const meaning = `Clients configured for ${port} will not find this one.`;
  if (holder !== undefined) {
    const who = `${holder.pid === undefined ? '' : `pid ${holder.pid} `}(leasehold, estate ${holder.estate ?? 'unknown'})`;
    if (holder.estate === estate) return `port ${port} is in use by ${who}: this estate is served already.`;
    return `port ${port} is in use by ${who}. Stop it, or ${other}. ${meaning}`;
  }
  const pid = process.platform === 'linux' ? await linuxHolder(port) : await lsofHolder(port);
  const name = pid === undefined ? '' : (await textOf(`/proc/${pid}/comm`)).trim();
  const who = pid === undefined ? 'another program' : `pid ${pid} (${name === '' ? '' : `${name}, `}not leasehold)`;
  return `port ${port} is in use by ${who}. Stop it, or ${other}. ${meaning}`;
}

const LISTEN = '0A';

/** `/proc/net/tcp` names the socket's inode, `/proc/<pid>/fd` who has it open (only processes that this user may look into). */
async function linuxHolder(port: number): Promise<number | undefined> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const sockets = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of (await textOf(table)).split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === LISTEN && local?.endsWith(`:${wanted}`) === true) sockets.add(`socket:[${inode}]`);
    }
  }
  if (sockets.size === 0) return undefined;
  const processes = (await entriesOf('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of processes) {
    for (const fd of await entriesOf(`/proc/${pid}/fd`)) {
      if (sockets.has(await linkOf(`/proc/${pid}/fd/${fd}`))) return Number(pid);
    }
  }
  return undefined;
}

async function lsofHolder(port: number): Promise<number | undefined> {
  try {
    const { stdout } = await promisify(execFile)('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'], { timeout: 2000 });
    const pid = Number.parseInt(stdout, 10);
    return Number.isNaN(pid) ? undefined : pid;
  } catch {
    return undefined;
  }
}

const textOf = (file: string) => readFile(file, 'utf8').catch(() => '');
const entriesOf = (folder: string) => readdir(folder).catch((): string[] => []);
const linkOf = (path: string) => readlink(path).catch(() => '');
