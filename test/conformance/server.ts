// The real server, as a process of its own, over a copy of the referee's estate.
// Not responsible for what is asked of it. Invariant: every file of the run is in one temporary folder, and what was started is ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cli, program } from '../helpers/cli.ts';
import { type Editor, startEditor } from './editor.ts';
import { addToken, type Proxy } from './proxy.ts';

export const TENANT = 'referee';
const STDERR_CHARACTERS = 8192;
const ESTATE = fileURLToPath(new URL('estate', import.meta.url));

export interface Refereed {
  /** Through the proxy that adds the token. */
  readonly url: string;
  /** The endpoint itself, and the token for it. */
  readonly endpoint: string;
  readonly token: string;
  close(): Promise<void>;
}

/** Opened one after the other, closed in reverse, also where a later one fails. */
export async function startServer(): Promise<Refereed> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (let last = closers.pop(); last !== undefined; last = closers.pop()) await last();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'leasehold-referee-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    const estate = join(folder, 'estate');
    const editor = await startEditor(() => join(estate, 'tenants', TENANT, 'tools'));
    closers.push(() => editor.close());
    cpSync(ESTATE, estate, { recursive: true });
    connect(estate, editor);
    const { child, endpoint } = await start(estate);
    closers.push(() => end(child));
    const token = await createToken(estate);
    const proxy: Proxy = await addToken(endpoint, token);
    closers.push(() => proxy.close());
    return { url: proxy.url, endpoint, token, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What depends on the port of this run's editor. */
function connect(estate: string, { origin }: Editor): void {
  writeFileSync(join(estate, 'leasehold.json'), JSON.stringify({ egress: { privateOrigins: [origin] } }));
  const connections = { editor: { type: 'none', origins: [origin] } };
  writeFileSync(join(estate, 'tenants', TENANT, 'tenant.json'), JSON.stringify({ name: 'Referee', connections }));
}

async function start(estate: string): Promise<{ child: ChildProcess; endpoint: string }> {
  const child = spawn(process.execPath, [cli, 'start', estate, '--port', '0', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-STDERR_CHARACTERS)));
  const { value } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  if (value === undefined) throw new Error(`the server ended without being ready: ${said}`);
  const { tenants } = JSON.parse(value) as { tenants: { id: string; endpoint: string }[] };
  const endpoint = tenants.find(({ id }) => id === TENANT)?.endpoint;
  if (endpoint === undefined) throw new Error('the server does not serve the tenant');
  return { child, endpoint };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await exit;
  clearTimeout(late);
}

async function createToken(estate: string): Promise<string> {
  const args = ['token', 'create', TENANT, '--subject', 'referee', '--estate', estate, '--json'];
  const { code, stderr, stdout } = await program(process.execPath, [cli, ...args]);
  if (code !== 0) throw new Error(`no token: ${stderr}`);
  return (JSON.parse(stdout) as { token: string }).token;
}
