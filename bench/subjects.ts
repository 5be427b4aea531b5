// The servers under test, each a process of its own: Leasehold as it is built and shipped, and the peers.
// Not responsible for loading them.
// Invariant: Leasehold runs from dist/ with its defaults, but for the pace of calls: bearer token, durable audit, its own hosts.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Era, Target } from './load/requests.ts';
import { ServerProcess } from './load/server.ts';
import { PEERS } from './peers.ts';

const run = promisify(execFile);
export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const CLI = join(ROOT, 'dist/src/cli.js');
/** What a load may do and a user would not: everything else has its default. */
const UNPACED = { callsPerSecond: 1_000_000 };
const ESTATE = fileURLToPath(new URL('estate/', import.meta.url));

export interface Subject {
  readonly name: string;
  readonly eras: readonly Era[];
  readonly target: Target;
  readonly server: ServerProcess;
  stop(): Promise<void>;
}

const PEER_ERAS: { readonly [name: string]: readonly Era[] } = {
  'sdk-v1': ['2025-11-25'],
  'sdk-v2-fastify': ['2026-07-28'],
  'sdk-v2-lowlevel': ['2026-07-28'],
  fastmcp: ['2025-11-25'],
  'fastify-raw': ['2026-07-28'],
};
export const PEER_NAMES = Object.keys(PEER_ERAS);

export async function startPeer(name: string): Promise<Subject> {
  const server = await ServerProcess.start([join(PEERS, `${name}.js`)], PEERS);
  return { name, eras: PEER_ERAS[name] ?? [], target: { url: server.ready.url }, server, stop: () => server.stop() };
}

/** A copy of the bench estate in a temporary folder, which the caller removes. */
export class Estate {
  readonly dir: string;
  private constructor(dir: string) {
    this.dir = dir;
  }

  static async create(config: object = {}): Promise<Estate> {
    const dir = await mkdtemp(join(tmpdir(), 'leasehold-bench-'));
    await cp(ESTATE, dir, { recursive: true });
    await writeFile(join(dir, 'leasehold.json'), JSON.stringify({ listen: '127.0.0.1:0', limits: UNPACED, ...config }));
    return new Estate(dir);
  }

  /** The bench tenant again under another name. */
  async addTenant(id: string, tenant?: object): Promise<void> {
    const dir = join(this.dir, 'tenants', id);
    await cp(join(ESTATE, 'tenants/bench'), dir, { recursive: true });
    if (tenant) await writeFile(join(dir, 'tenant.json'), JSON.stringify(tenant));
  }

  async token(tenant: string): Promise<string> {
    const { token } = JSON.parse(await this.run(['token', 'create', tenant, '--subject', 'bench', '--json'])) as {
      token: string;
    };
    return token;
  }

  /** A command of Leasehold over this estate. Resolves to its stdout. */
  async run(command: readonly string[], input = ''): Promise<string> {
    const running = run(process.execPath, [CLI, ...command, '--estate', this.dir], { cwd: this.dir });
    running.child.stdin?.end(input);
    return (await running).stdout;
  }

  async serve(readyMs?: number, nodeFlags: readonly string[] = []): Promise<ServerProcess> {
    return ServerProcess.start([...nodeFlags, CLI, 'start', this.dir, '--port', '0', '--json'], this.dir, readyMs);
  }

  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}

export function endpointOf(server: ServerProcess, tenant: string): string {
  const endpoint = server.ready.tenants?.find((one) => one.id === tenant)?.endpoint;
  if (endpoint === undefined) throw new Error(`${tenant} is not served`);
  return endpoint;
}

export async function startLeasehold(): Promise<Subject> {
  const estate = await Estate.create();
  const token = await estate.token('bench');
  const server = await estate.serve();
  return {
    name: 'leasehold',
    eras: ['2025-11-25', '2026-07-28'],
    target: { url: endpointOf(server, 'bench'), token },
    server,
    async stop() {
      await server.stop();
      await estate.remove();
    },
  };
}
