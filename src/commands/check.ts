// `leasehold check`: everything that can be wrong with an estate, each problem with its place and what to do.
// Not responsible for finding problems (`check-estate`, `check-types`).
// Invariant: exit code 1 where there is any; nothing is served and nothing keeps running.
import { resolve } from 'node:path';
import type { CheckedTenant } from '../check-estate.ts';
import { prepareDataDir } from '../config/data-dir.ts';
import { loadServerConfig } from '../config/load-server.ts';
import { type Problem, problemLine } from '../shared/problem.ts';
import { count, inventoryOf } from './author-screen.ts';
import { checkTypes } from './check-types.ts';
import { defineCommand, jsonOption } from './command.ts';
import { printable } from './log-line.ts';
import { vaultExists } from '../vault/database.ts';
import { requireEstate } from './start.ts';
import { withVault } from './vault-access.ts';

export const check = defineCommand({
  name: 'check',
  summary: 'find what is wrong with an estate',
  usage: ['[folder]'],
  help: `Reads every config file, bundles and describes every tenant as a start would, and runs the estate's own tsc where it
has one and a tsconfig.json.`,
  options: { json: jsonOption },
  positionals: { min: 0, max: 1 },
  async run({ values, positionals, io }) {
    const folder = resolve(io.cwd, positionals[0] ?? '.');
    requireEstate(folder);
    const problems: Problem[] = [];
    const server = loadServerConfig(folder, io.env);
    problems.push(...server.problems);
    let tenants: readonly CheckedTenant[] = [];
    const data = server.value === undefined ? undefined : prepareDataDir(server.value.dataDir);
    if (data !== undefined) problems.push(data);
    else if (server.value !== undefined) {
      const { checkEstate } = await import('../check-estate.ts');
      const compiled = server.value;
      // A vault is looked into where there is one, and never made by a check.
      const checked = vaultExists(compiled.dataDir)
        ? await withVault(compiled, ({ vault }) => checkEstate(compiled, vault.secrets))
        : await checkEstate(compiled);
      problems.push(...checked.problems);
      tenants = checked.tenants;
    }
    const types = await checkTypes(server.value?.estate ?? folder);
    problems.push(...(types ?? []));
    if (values.json === true) io.stdout.write(`${JSON.stringify({ ok: problems.length === 0, tenants, problems })}\n`);
    else {
      for (const problem of problems) io.stdout.write(`✗ ${printable(problemLine(problem))}\n`);
      const sum = (part: 'tools' | 'prompts' | 'resources') => tenants.reduce((all, tenant) => all + tenant[part].length, 0);
      const inventory = inventoryOf(sum('tools'), sum('prompts'), sum('resources'));
      const found = problems.length === 0 ? 'no problems' : count(problems.length, 'problem');
      io.stdout.write(`${problems.length === 0 ? '✓' : '✗'} ${found}: ${count(tenants.length, 'tenant')}, ${inventory}\n`);
      if (types === undefined)
        io.stdout.write('  types were not checked: npm install typescript in the estate, with a tsconfig.json\n');
    }
    return problems.length === 0 ? 0 : 1;
  },
});
