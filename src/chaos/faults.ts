// The faults, one row of the table each: what tenant A does, what it is to be contained by, and how it is done.
// Not responsible for measuring. Invariant: what a fault does to A is real; nothing in here touches B.
import { connect } from 'node:net';
import type { Agent } from 'node:http';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { callBody, type Called, callHeaders, callTool, type Target } from './mcp-call.ts';

/** What a strike may use of the running estate. */
export interface Victim {
  readonly target: Target;
  readonly agent: Agent;
  /** Folder of the tenant. */
  readonly folder: string;
  /** SIGKILL for the tools host that serves the tenant now. False where there is none. */
  killHost(): boolean;
}

export interface Fault {
  readonly name: string;
  /** `thread`: must not cost anybody else anything. `host`: may end the processes of the tenant's cordon, once. */
  readonly contained: 'thread' | 'host';
  /** Pause between two strikes, milliseconds. @default 50 */
  readonly everyMs?: number;
  /** One strike; repeated for as long as the row lasts. Resolves to the outcomes of A. */
  strike(victim: Victim): Promise<readonly string[]>;
}

const outcome = ({ outcome: word }: Called): string => word;

function calls(tool: string, count: number, options: { readonly progress?: boolean } = {}): Fault['strike'] {
  return async ({ target, agent }) => {
    const one = () => callTool(target, tool, {}, { agent, ...options });
    return (await Promise.all(Array.from({ length: count }, one))).map(outcome);
  };
}

const thread = (name: string, strike: Fault['strike']): Fault => ({ name, contained: 'thread', strike });
const host = (name: string, strike: Fault['strike']): Fault => ({ name, contained: 'host', strike });

/** More than a tenant has threads by default, so that no thread of it is left. */
const EVERY_THREAD = 4;
/** A row lasts at least as long as the pause after a strike. */
const ONCE_MS = 9000;
const HOST_AGAIN_MS = 4000;
const READERS = 20;
const NOT_READ_MS = 3000;

/** Asks for a large result on many connections, takes the first bytes of each and then nothing. */
async function neverRead({ target }: Victim): Promise<readonly string[]> {
  const url = new URL(target.url);
  const body = callBody('large', {});
  const headers = { host: url.host, ...callHeaders(target, 'large', body) };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const text = [`POST ${url.pathname} HTTP/1.1`, ...head, '', body].join('\r\n');
  const one = (): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(Number(url.port), url.hostname, () => socket.write(text));
      socket.once('data', () => socket.pause());
      socket.on('error', () => {});
      setTimeout(() => resolve(socket.destroyed ? 'cut' : 'left unread'), NOT_READ_MS);
      setTimeout(() => socket.destroy(), NOT_READ_MS);
    });
  return Promise.all(Array.from({ length: READERS }, one));
}

/** A change of the tenant's tools that cannot load, then one that can: what an author saves by mistake. */
async function breakToolset({ target, agent, folder }: Victim): Promise<readonly string[]> {
  const file = join(folder, 'tools', 'broken.ts');
  try {
    await writeFile(file, 'throw new Error("at load");\nexport default {};\n');
    const first = await callTool(target, 'ping', {}, { agent });
    await writeFile(file, 'for (;;);\nexport default {};\n');
    const second = await callTool(target, 'ping', {}, { agent });
    return [outcome(first), outcome(second)];
  } finally {
    // A server that starts anew has no older tools to go on with.
    await rm(file, { force: true });
  }
}

async function killHost(victim: Victim): Promise<readonly string[]> {
  const { target, agent } = victim;
  const under = callTool(target, 'spin', {}, { agent });
  await callTool(target, 'ping', {}, { agent, timeoutMs: 200 });
  victim.killHost();
  return [outcome(await under)];
}

export const FAULTS: readonly Fault[] = [
  thread('spin in every thread', calls('spin', EVERY_THREAD)),
  thread('catastrophic regex', calls('regex', 1)),
  thread('big sort in native code', calls('sort', 1)),
  thread('growing array', calls('array', 1)),
  thread('growing Map', calls('map', 1)),
  thread('growing string', calls('string', 1)),
  thread('growing list of objects', calls('objects', 1)),
  thread('growing buffers', calls('buffers', 1)),
  thread('WebCrypto and the thread pool', calls('crypto', 1)),
  thread('log flood', calls('logs', 1)),
  thread('progress flood', calls('progress', 1, { progress: true })),
  thread('200 MB result', calls('result', 1)),
  thread('functions and cycles as result', calls('cycle', 1)),
  thread('rejections that nobody awaits', calls('rejections', 1)),
  thread('timers after the answer', calls('timers', 1)),
  thread('process.exit', calls('exit', 1)),
  thread('tools that fail to load', breakToolset),
  // Once, as it says: a thousand requests are some 40 ms of work for the one loop that answers everybody.
  { ...thread('1,000 calls at once', calls('ping', 1000)), everyMs: ONCE_MS },
  thread('1,000 spinning calls at once', calls('spin', 1000)),
  thread('200 slow upstream calls', calls('slow', 200)),
  thread('slow DNS', calls('named', 20)),
  thread('gzip bombs from an upstream', calls('bomb', 4)),
  thread('clients that never read', neverRead),
  host('one huge allocation', calls('huge', 1)),
  { ...host('host killed', killHost), everyMs: HOST_AGAIN_MS },
];
