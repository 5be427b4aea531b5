// One tenant.json, compiled. Also says which folders of an estate are tenants at all.
// Not responsible for toolsets. Invariant: a tenant is a real folder (no link) whose name is a tenant id, never normalized.
import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type TSchema, Type } from 'typebox';
import { nodeCordon, ownCordon } from '../shared/cordon-name.ts';
import { isTenantId } from '../shared/ids.ts';
import type { Limits } from '../shared/limits.ts';
import type { Loaded, Problem } from '../shared/problem.ts';
import { compileAuth, DEFAULT_AUTH } from './compile-auth.ts';
import { compileConnection } from './compile-connection.ts';
import type { CompiledConnection, CompiledProviders, CompiledTenant } from './compiled.ts';
import type { CompiledAuth } from './compiled-auth.ts';
import { CONNECTION_KINDS, SLOT_PATTERN } from './connection-schema.ts';
import { deepFreeze } from './freeze.ts';
import { type Locate, parseJsonc } from './jsonc.ts';
import { readInside } from './read-file.ts';
import { type TenantOptions, TenantOptionsSchema } from './schema.ts';
import { secretsIn } from './secret-tripwire.ts';
import { FileCheck } from './validate.ts';

export const TENANTS_FOLDER = 'tenants';
export const TENANT_FILE = 'tenant.json';
/** Hosts of tenants that name no cordon of their own. */
export const DEFAULT_CORDON = 'shared';
/** In tenant.json: hosts that no other tenant shares. */
const OWN_CORDON = 'own';
const tenantCheck = new FileCheck(TenantOptionsSchema);
const NO_CONNECTIONS: ReadonlyMap<string, CompiledConnection> = new Map();
const NO_VARS = Object.freeze({});
const NO_PROVIDERS: CompiledProviders = Object.freeze({});
const kindChecks = new Map<string, FileCheck<TSchema>>(
  Object.entries(CONNECTION_KINDS).map(([kind, schema]) => [
    kind,
    new FileCheck(
      Type.Object({ connections: Type.Record(Type.String({ pattern: SLOT_PATTERN }), schema, { additionalProperties: false }) }),
    ),
  ]),
);

/** Ids of the tenants of an estate, sorted, and problems of what lies beside them. Names that begin with `.` or `_` are skipped. */
export function listTenants(estate: string): { ids: string[]; problems: Problem[] } {
  const ids: string[] = [];
  const problems: Problem[] = [];
  for (const entry of readTenantsFolder(estate)) {
    if (/^[._]/.test(entry.name) || entry.isFile()) continue;
    const file = `${TENANTS_FOLDER}/${entry.name}`;
    if (!isTenantId(entry.name)) {
      problems.push({ file, reason: 'is not a tenant id', hint: 'lower-case letters, digits and inner hyphens, at most 63' });
    } else if (!entry.isDirectory()) problems.push({ file, reason: 'is not a folder', hint: 'a tenant must not be a link' });
    else ids.push(entry.name);
  }
  return { ids: ids.toSorted(), problems };
}

function readTenantsFolder(estate: string) {
  try {
    return readdirSync(join(estate, TENANTS_FOLDER), { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Problems beside a value do not keep the tenant from being served, but `check` refuses them. */
export function loadTenantConfig(
  estate: string,
  id: string,
  defaults: Limits,
  providers: CompiledProviders = NO_PROVIDERS,
  auth: CompiledAuth = DEFAULT_AUTH,
): Loaded<CompiledTenant> {
  const file = `${TENANTS_FOLDER}/${id}/${TENANT_FILE}`;
  const fail = (...problems: Problem[]): Loaded<CompiledTenant> => ({ value: undefined, problems });
  if (!isTenantId(id)) return fail({ file: `${TENANTS_FOLDER}/${id}`, reason: 'is not a tenant id' });
  const dir = realTenantFolder(estate, id);
  if (dir === undefined)
    return fail({ file: `${TENANTS_FOLDER}/${id}`, reason: 'is not a folder', hint: 'a tenant must not be a link' });
  const read = readInside(dir, TENANT_FILE);
  if (!read.ok) return fail({ file, reason: read.reason, ...(read.missing ? { hint: 'the smallest tenant.json is {}' } : {}) });
  const parsed = parseJsonc(read.text, file);
  if (!parsed.ok) return fail(parsed.problem);
  const early = connectionProblems(parsed.value, file, parsed.locate);
  if (early.length > 0) return fail(...early);
  const checked = tenantCheck.check(parsed.value, file, parsed.locate);
  if ('problems' in checked) return fail(...checked.problems);
  return compile({ dir, id, file, defaults, providers, auth, options: checked.value, locate: parsed.locate });
}

/** The real path of a tenant's folder, where it is a folder and neither it nor `tenants/` is a link. */
function realTenantFolder(estate: string, id: string): string | undefined {
  const dir = join(estate, TENANTS_FOLDER, id);
  try {
    return lstatSync(dir).isDirectory() && realpathSync.native(dir) === dir ? dir : undefined;
  } catch {
    return undefined;
  }
}

/** Checked by the kind that each one names, so that a wrong one gets the problems of what was meant. */
function connectionProblems(value: unknown, file: string, locate: Locate): Problem[] {
  const connections = isRecord(value) ? value['connections'] : undefined;
  if (!isRecord(connections)) return [];
  return Object.entries(connections).flatMap(([slot, connection]) => {
    if (!isRecord(connection)) return [];
    const { type = 'oauth2' } = connection;
    const check = typeof type === 'string' ? kindChecks.get(type) : undefined;
    if (check === undefined) {
      const pointer = `/connections/${slot}/type`;
      return [{ file, ...locate(pointer), reason: `${pointer} must be one of ${[...kindChecks.keys()].join(', ')}` }];
    }
    const checked = check.check({ connections: { [slot]: connection } }, file, locate);
    return 'problems' in checked ? checked.problems : [];
  });
}

/** The same objects for all tenants. */
const NO_BUILTINS = Object.freeze({ connections: false });
const WITH_CONNECTIONS = Object.freeze({ connections: true });

interface Compilation {
  readonly dir: string;
  readonly id: string;
  readonly file: string;
  readonly defaults: Limits;
  readonly providers: CompiledProviders;
  readonly auth: CompiledAuth;
  readonly options: TenantOptions;
  readonly locate: Locate;
}

function compile({ dir, id, file, defaults, providers, auth, options, locate }: Compilation): Loaded<CompiledTenant> {
  const problems: Problem[] = [];
  const connections = new Map<string, CompiledConnection>();
  for (const [slot, connection] of Object.entries(options.connections ?? {})) {
    const compiled = compileConnection(connection, { tenant: id, slot, providers });
    if ('value' in compiled) connections.set(slot, deepFreeze(compiled.value));
    else {
      for (const { at, reason, hint } of compiled.faults) {
        const pointer = `/connections/${slot}${at}`;
        problems.push({ file, ...locate(pointer), reason: `${pointer} ${reason}`, ...(hint === undefined ? {} : { hint }) });
      }
    }
  }
  // The same object for all tenants without words of their own.
  const compiledAuth =
    options.auth === undefined ? { value: auth } : compileAuth(options.auth, { secrets: id, shared: false }, auth);
  if ('faults' in compiledAuth) {
    for (const { at, reason, hint } of compiledAuth.faults) {
      const pointer = `/auth${at}`;
      problems.push({ file, ...locate(pointer), reason: `${pointer} ${reason}`, ...(hint === undefined ? {} : { hint }) });
    }
  }
  if (problems.length > 0 || !('value' in compiledAuth)) return { value: undefined, problems };
  if (options.runtime === 'node' && options.cordon !== OWN_CORDON) {
    const reason = '/runtime "node" is code with the rights of its host, so it shares none';
    return { value: undefined, problems: [{ file, ...locate('/runtime'), reason, hint: 'add "cordon": "own"' }] };
  }
  const vars = options.vars ?? NO_VARS;
  for (const pointer of secretsIn(vars, '/vars')) {
    problems.push({
      file,
      ...locate(pointer),
      reason: `${pointer} looks like a secret`,
      hint: 'tools never see secrets; they belong to a connection',
    });
  }
  const tenant: CompiledTenant = {
    id,
    dir,
    name: options.name ?? id,
    vars: deepFreeze(vars),
    connections: connections.size === 0 ? NO_CONNECTIONS : connections,
    builtins: options.builtins?.connections === true ? WITH_CONNECTIONS : NO_BUILTINS,
    auth: compiledAuth.value,
    // The same object for all tenants without limits of their own: there may be thousands.
    limits: options.limits === undefined ? defaults : Object.freeze({ ...defaults, ...options.limits }),
    keychain: options.keychain === true,
    cordon: cordonOf(id, options),
    runtime: options.runtime ?? 'sandbox',
    isolation: options.isolation ?? 'thread',
  };
  return { value: Object.freeze(tenant), problems };
}

function cordonOf(id: string, { cordon, runtime }: TenantOptions): string {
  if (cordon !== OWN_CORDON) return cordon ?? DEFAULT_CORDON;
  return runtime === 'node' ? nodeCordon(id) : ownCordon(id);
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
