// `leasehold tenant`: adds, lists and removes the tenants of an estate.
// Not responsible for loading a tenant (a running server does that by itself) or for taking one apart (`tenant-remove`).
// Invariant: a tenant's folder appears at once and whole, after its record in the audit.
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { prepareDataDir } from '../config/data-dir.ts';
import { writeEditorSchemas } from '../config/editor-schemas.ts';
import { loadTenantConfig, TENANT_FILE, TENANTS_FOLDER } from '../config/load-tenant.ts';
import { isTenantId } from '../shared/ids.ts';
import { type Problem, problemLine } from '../shared/problem.ts';
import { vaultExists } from '../vault/database.ts';
import { auditCommand } from './command-audit.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { printable } from './log-line.ts';
import { estateOption, type LocatedEstate, locateEstate } from './locate.ts';
import { removeTenant } from './tenant-remove.ts';
import { withVault } from './vault-access.ts';

/** As the loader sees them. */
const TOOL_FILE = /^[^.].*(?:\.binding\.json|(?<!\.d|\.test|\.spec)\.m?[jt]s)$/;
const ACTIONS: readonly string[] = ['add', 'list', 'remove'];

export const tenant = defineCommand({
  name: 'tenant',
  summary: 'add, list and remove tenants',
  usage: ['add <tenant> [--name <text>] [--keychain]', 'list', 'remove <tenant> --yes [--keep-files]'],
  options: {
    name: { type: 'string', value: 'text', description: 'add: what people call it' },
    keychain: { type: 'boolean', description: 'add: guard its key with an item of its own in the OS keychain (a desktop)' },
    yes: { type: 'boolean', description: 'remove: do it. Without, it only says what it would do (exit code 1)' },
    'keep-files': { type: 'boolean', description: 'remove: move its folder aside instead of deleting it' },
    estate: estateOption,
    json: jsonOption,
  },
  positionals: { min: 1, max: 2 },
  help: `add makes tenants/<id>/ with tenant.json and an empty tools/; a running server takes it up by itself.
remove ends every grant at its service, deletes the folder and the tools' log, and destroys the tenant's key and all that is sealed
with it. Its audit trail stays. Nothing can be kept for a tenant of that name until it is added again. A backup of the whole database
holds the wrapped key, too: it opens with the master key of its time until 'leasehold vault rotate-key' has replaced that.`,
  run({ values, positionals, io }) {
    const [action = '', id] = positionals;
    if (!ACTIONS.includes(action)) throw new UsageError(`'${action}' is none of ${ACTIONS.join(', ')}`);
    if ((id === undefined) !== (action === 'list'))
      throw new UsageError(id === undefined ? 'which tenant?' : `unexpected argument '${id}'`);
    if (id !== undefined && !isTenantId(id))
      throw new UsageError('a tenant id is lower-case letters, digits and inner hyphens, at most 63');
    const work: Work = { io, estate: locateEstate(io, values.estate), json: values.json === true };
    switch (action) {
      case 'add':
        return add(work, id as string, { name: values.name, keychain: values.keychain });
      case 'remove':
        return removeTenant({
          ...work,
          tenant: id as string,
          yes: values.yes === true,
          keepFiles: values['keep-files'] === true,
        });
      default:
        return list(work);
    }
  },
});

interface Work {
  readonly io: Io;
  readonly estate: LocatedEstate;
  readonly json: boolean;
}

async function add({ io, estate: { config }, json }: Work, id: string, options: object): Promise<number> {
  const folder = join(config.estate, TENANTS_FOLDER, id);
  const there = lstatSync(folder, { throwIfNoEntry: false }) !== undefined;
  const shredded = vaultExists(config.dataDir) && (await withVault(config, ({ vault }) => vault.isRemoved(id)));
  if (there && !shredded) throw new UserError(`${folder} is there already`);
  const problem = prepareDataDir(config.dataDir);
  if (problem !== undefined) throw new UserError(problemLine(problem));
  await auditCommand(config, [{ kind: 'tenant.added', tenant: id }]);
  if (shredded) await withVault(config, ({ vault }) => vault.admitTenant(id));
  if (!there) {
    writeEditorSchemas(config.dataDir);
    const schema = relative(folder, join(config.dataDir, 'schemas', TENANT_FILE))
      .split(sep)
      .join('/');
    writeFolder(join(config.estate, TENANTS_FOLDER), id, { $schema: schema, ...options });
  }
  if (json) io.stdout.write(`${JSON.stringify({ added: id, folder })}\n`);
  else {
    io.stderr.write(`added ${id}: put its tools into ${join(folder, 'tools')}\n`);
    io.stderr.write(`a token for it: leasehold token create ${id} --subject <who>\n`);
  }
  return 0;
}

/** At once and whole: a running server looks at it as soon as it is there. */
function writeFolder(tenants: string, id: string, file: object): void {
  mkdirSync(tenants, { recursive: true });
  const made = mkdtempSync(join(tenants, '.adding-'));
  try {
    const folder = join(made, id);
    mkdirSync(join(folder, 'tools'), { recursive: true });
    writeFileSync(join(folder, TENANT_FILE), `${JSON.stringify(file, undefined, 2)}\n`);
    renameSync(folder, join(tenants, id));
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

interface Row {
  readonly id: string;
  readonly name?: string;
  readonly cordon?: string;
  readonly keychain?: boolean;
  /** How many tools there are in them only their code knows. */
  readonly toolFiles: number;
  readonly problems: readonly Problem[];
}

async function list({ io, estate, json }: Work): Promise<number> {
  const { estate: folder, limits, providers, auth } = estate.config;
  const rows = estate.tenants.map((id): Row => {
    const { value, problems } = loadTenantConfig(folder, id, limits, providers, auth);
    const toolFiles = countToolFiles(join(folder, TENANTS_FOLDER, id, 'tools'));
    if (value === undefined) return { id, toolFiles, problems };
    return { id, name: value.name, cordon: value.cordon, keychain: value.keychain, toolFiles, problems };
  });
  if (json) io.stdout.write(`${JSON.stringify(rows)}\n`);
  else if (rows.length === 0) io.stderr.write('there are none\n');
  else io.stdout.write(rows.map(rowText).join(''));
  return 0;
}

function rowText({ id, name, cordon, keychain, toolFiles, problems }: Row): string {
  const parts = [
    id,
    ...(name === undefined || name === id ? [] : [printable(name)]),
    `${toolFiles} tool ${toolFiles === 1 ? 'file' : 'files'}`,
    ...(cordon === undefined ? [] : [`cordon ${cordon}`]),
    ...(keychain === true ? ['keychain'] : []),
  ];
  return `${parts.join('  ')}\n${problems.map((problem) => `  ✗ ${printable(problemLine(problem))}\n`).join('')}`;
}

function countToolFiles(folder: string): number {
  try {
    return readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile() && TOOL_FILE.test(entry.name)).length;
  } catch {
    return 0;
  }
}
