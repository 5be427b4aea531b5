// What stands between tenants and the rest of this machine, here and now: the composition root of `leasehold doctor`.
// Not responsible for printing, or for what is wrong with tools (`check`).
// Invariant: it looks and changes nothing; what is not all right says what to do.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { CompiledServer } from './config/compiled.ts';
import { listTenants, loadTenantConfig } from './config/load-tenant.ts';
import { loadServerConfig } from './config/load-server.ts';
import { findOsWall } from './hosts/os-wall.ts';
import { readApart } from './hosts/run-dir.ts';
import { problemLine } from './shared/problem.ts';

/** `off`: a choice, not a fault. `fail` makes the whole fail. */
export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail' | 'off';
  readonly detail: string;
  readonly todo?: string;
}

/** The first version whose permission model has a network part. */
const NETWORK_MAJOR = 25;
const OTHERS = 0o077;

export function examine(estate: string, env: Readonly<Record<string, string | undefined>>): Check[] {
  const { value: server, problems } = loadServerConfig(estate, env);
  const configuration: Check[] = problems.map((problem) => ({
    name: 'configuration',
    status: 'fail',
    detail: problemLine(problem),
    todo: 'correct it; leasehold check lists all that is wrong',
  }));
  const machine = [...node(), ...rights(server)];
  if (server === undefined) return [...machine, ...configuration];
  const all = [...machine, ...configuration, ...files(server), ...osWalls(server)];
  return [...all, ...tenants(server), ...apart(server)];
}

function node(): Check[] {
  const { node: version } = process.versions;
  const major = Number.parseInt(version, 10);
  const found: Check = { name: 'node', status: 'ok', detail: `v${version}` };
  const denied: Check =
    major >= NETWORK_MAJOR
      ? {
          name: 'permissions',
          status: 'ok',
          detail: "Node's permission model: files, processes, add-ons and network of tools hosts",
        }
      : {
          name: 'permissions',
          status: 'warn',
          detail: `Node ${major} cannot deny a tools host the network; the language wall stands alone there`,
          todo: 'run Node 26, or switch on "osWall" in leasehold.json',
        };
  return [found, denied];
}

function rights(server: CompiledServer | undefined): Check[] {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) return [{ name: 'rights', status: 'ok', detail: 'not root' }];
  if (server !== undefined && server.osWall !== 'off')
    return [{ name: 'rights', status: 'ok', detail: 'root, which the user wall needs; hosts are not' }];
  return [
    {
      name: 'rights',
      status: 'warn',
      detail: 'root, and so are the hosts',
      todo: 'start it as a user of its own, or switch on "osWall" in leasehold.json, which gives every host a user of its own',
    },
  ];
}

function files({ dataDir, masterKey }: CompiledServer): Check[] {
  return [
    closedToOthers('data folder', dataDir, `chmod 700 ${dataDir}`, 'is made at the first start'),
    ...(masterKey.source === 'file'
      ? [closedToOthers('master key', masterKey.path, `chmod 600 ${masterKey.path}`, 'is made at the first start')]
      : []),
  ];
}

function closedToOthers(name: string, path: string, todo: string, absent: string): Check {
  try {
    const mode = lstatSync(path).mode & 0o777;
    if (process.platform === 'win32' || (mode & OTHERS) === 0) return { name, status: 'ok', detail: path };
    return { name, status: 'fail', detail: `${path} has mode ${mode.toString(8)}: others may read it`, todo };
  } catch {
    return { name, status: 'ok', detail: `${path} ${absent}` };
  }
}

function osWalls({ osWall }: CompiledServer): Check[] {
  const found = findOsWall('auto');
  const standing = found.walls.filter(({ missing }) => missing === undefined).map(({ name }) => name);
  if (osWall === 'off') {
    const detail = standing.length === 0 ? 'off; this machine allows none' : `off; this machine allows: ${standing.join(', ')}`;
    return [{ name: 'os wall', status: 'off', detail, todo: 'set "osWall": "auto" or "required" in leasehold.json' }];
  }
  return found.walls.map(({ name, does, missing }): Check => {
    if (missing === undefined) return { name: `os wall: ${name}`, status: 'ok', detail: does };
    const detail = `missing (${does}): ${missing.reason}`;
    return { name: `os wall: ${name}`, status: osWall === 'required' ? 'fail' : 'warn', detail, todo: missing.todo };
  });
}

function tenants({ estate, limits, providers }: CompiledServer): Check[] {
  return listTenants(estate).ids.map((id): Check => {
    const name = `tenant ${id}`;
    const { value, problems } = loadTenantConfig(estate, id, limits, providers);
    const [problem] = problems;
    if (value === undefined) {
      const detail = problem === undefined ? 'cannot be loaded' : problemLine(problem);
      return { name, status: 'fail', detail, todo: 'correct it; leasehold check lists all that is wrong' };
    }
    const [cordon] = value.cordon.split(':');
    if (value.runtime === 'node')
      return {
        name,
        status: 'ok',
        detail: 'runtime node: its code is trusted with the rights of a host of its own, without the sandbox',
      };
    return { name, status: 'ok', detail: `cordon ${cordon}, isolation ${value.isolation}` };
  });
}

function apart({ dataDir }: CompiledServer): Check[] {
  return readApart(join(dataDir, 'run')).map(({ tenant, kind, deaths, until }) => ({
    name: `tenant ${tenant}`,
    status: 'warn',
    detail: `in ${kind} hosts of its own since ${deaths} died with work of it; back at ${new Date(until).toISOString()} where it stays healthy`,
    todo: `look at its log (leasehold logs ${tenant}) and its limits, or give it "cordon": "own"`,
  }));
}
