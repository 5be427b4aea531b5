// The server under chaos: `leasehold start` over the chaos estate, as a process of its own, with what it says about its hosts.
// Not responsible for the faults or for the load.
// Invariant: ended with whoever started it; a server that ended by itself is known (`ended`), never started again.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What the operator's log says of a host process. */
export interface HostEvent {
  readonly cordon: string;
  readonly kind: string;
  readonly event: string;
  readonly pid?: number;
  readonly detail?: string;
}

export interface ServedEstate {
  readonly url: string;
  /** Where its metrics are. */
  readonly admin: string;
  readonly pid: number;
  readonly hostEvents: readonly HostEvent[];
  /** Why the process ended by itself; undefined while it serves. */
  readonly ended: string | undefined;
  /** The tools host that takes new calls of this cordon. */
  toolsHost(cordon: string): number | undefined;
  close(): Promise<void>;
}

const READY_MS = 60_000;
const STOP_MS = 30_000;

/** `command`: the words that run this CLI. Rejects with what the server said where it does not get ready. */
export async function serveEstate(command: readonly string[], estate: string): Promise<ServedEstate> {
  const [file = process.execPath, ...args] = command;
  const child = spawn(file, [...args, 'start', estate, '--json', '--port', '0', '--log-level', 'debug'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const hostEvents: HostEvent[] = [];
  let ended: string | undefined;
  child.once('exit', (code, signal) => {
    ended = `it ended with ${signal ?? code}`;
  });
  let said = '';
  createInterface({ input: child.stderr }).on('line', (line) => {
    said = `${said}${line}\n`.slice(-4000);
    const host = hostOf(line);
    if (host !== undefined) hostEvents.push(host);
  });
  const { url, admin } = await ready(child, () => said);
  return {
    url,
    admin,
    pid: child.pid as number,
    hostEvents,
    get ended() {
      return ended;
    },
    toolsHost: (cordon) => {
      const mine = hostEvents.filter((host) => host.cordon === cordon && host.kind === 'tools' && host.pid !== undefined);
      const gone = new Set(mine.flatMap(({ event, pid }) => (['died', 'ended', 'fenced'].includes(event) ? [pid] : [])));
      return mine.findLast(({ event, pid }) => event === 'ready' && !gone.has(pid))?.pid;
    },
    close: () => stop(child),
  };
}

function hostOf(line: string): HostEvent | undefined {
  if (!line.includes('"host":{')) return undefined;
  try {
    return (JSON.parse(line) as { host: HostEvent }).host;
  } catch {
    return undefined;
  }
}

interface Ready {
  readonly url: string;
  readonly admin: string;
}

function ready(child: ChildProcess, said: () => string): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`the server under chaos ${why}:\n${said()}`));
    const timer = setTimeout(() => fail('was not ready in time'), READY_MS);
    child.once('exit', () => fail('did not start'));
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      clearTimeout(timer);
      resolve(JSON.parse(line) as Ready);
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  child.kill('SIGTERM');
  await gone;
  clearTimeout(timer);
}
