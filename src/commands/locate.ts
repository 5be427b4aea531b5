// Which estate a command means: the one named, the one around the working directory, or the one that runs.
// Not responsible for checking its files (`config`).
// Invariant: never a guess between two; where it is not clear the user is told what to add.
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { CompiledServer } from '../config/compiled.ts';
import { loadServerConfig, SERVER_FILE } from '../config/load-server.ts';
import { listTenants, TENANTS_FOLDER } from '../config/load-tenant.ts';
import type { ServerFlags } from '../config/settings.ts';
import { demoHome } from '../demo/home.ts';
import { problemLine } from '../shared/problem.ts';
import { type Io, UserError } from './command.ts';
import { type RunningServer, runningServers } from './running.ts';

export const estateOption = {
  type: 'string',
  value: 'folder',
  description: 'the estate (default: the one around this folder, else the one that runs)',
} as const;

export interface LocatedEstate {
  /** With the data folder that the running server uses, where one runs. */
  readonly config: CompiledServer;
  readonly tenants: readonly string[];
  readonly running: RunningServer | undefined;
}

export function locateEstate(io: Io, named: string | undefined): LocatedEstate {
  const folder = named === undefined ? findFolder(io) : resolve(io.cwd, named);
  const config = compiledConfig(folder, io);
  const running = runningServers(io.env).find((server) => server.estate === config.estate);
  const tenants = listTenants(config.estate).ids;
  if (running === undefined || running.dataDir === config.dataDir) return { config, tenants, running };
  return { config: compiledConfig(folder, io, { dataDir: running.dataDir }), tenants, running };
}

/** The configuration of an estate, or one error with all its problems. */
export function compiledConfig(folder: string, io: Io, flags?: ServerFlags): CompiledServer {
  const { value, problems } = loadServerConfig(folder, io.env, flags);
  if (value === undefined) throw new UserError(problems.map(problemLine).join('\n✗ '));
  return value;
}

/** Refuses to serve an estate twice: both would write to its files. `estate`: a folder that need not exist yet. */
export function refuseServedTwice(io: Io, estate: string): void {
  const real = existsSync(estate) ? realpathSync.native(estate) : estate;
  const server = runningServers(io.env).find((each) => each.estate === real);
  if (server === undefined) return;
  throw new UserError(`${estate} is served already, by pid ${server.pid} at ${server.url}. Stop that one first`);
}

/** Refuses a tenant that the estate does not have. */
export function requireTenant(estate: LocatedEstate, tenant: string): void {
  if (estate.tenants.includes(tenant)) return;
  const known = estate.tenants.slice(0, 10).join(', ') || 'none';
  throw new UserError(`there is no tenant '${tenant}' in ${estate.config.estate}; there are: ${known}`);
}

function findFolder(io: Io): string {
  const around = estateAround(io.cwd);
  if (around !== undefined) return around;
  const running = runningServers(io.env);
  const [only] = running;
  if (only !== undefined && running.length === 1) return only.estate;
  if (only !== undefined) {
    throw new UserError(`several servers run; add --estate with one of: ${running.map(({ estate }) => estate).join(', ')}`);
  }
  if (existsSync(join(demoHome(io.env), SERVER_FILE))) return demoHome(io.env);
  throw new UserError('there is no estate here and no server runs; add --estate <folder>');
}

function estateAround(cwd: string): string | undefined {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, SERVER_FILE)) || existsSync(join(folder, TENANTS_FOLDER))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}
