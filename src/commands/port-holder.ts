// Who holds a TCP port of this machine: the process, and whether it is a Leasehold server.
// Not responsible for ending it.
// Invariant: only looks, never connects; where the system does not tell, the answer is "unknown", never a guess.
import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type RunningServer, runningServers } from './running.ts';

export interface PortHolder {
  readonly pid: number | undefined;
  /** Set where it is a Leasehold server of this user. */
  readonly server: RunningServer | undefined;
}

export async function findPortHolder(port: number, env: Readonly<Record<string, string | undefined>>): Promise<PortHolder> {
  const server = runningServers(env).find((entry) => entry.port === port);
  const pid = process.platform === 'linux' ? await linuxHolder(port) : await lsofHolder(port);
  // An entry of another process is out of date, or of a listener on another address with the same port.
  return pid === undefined || pid === server?.pid ? { pid: pid ?? server?.pid, server } : { pid, server: undefined };
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
