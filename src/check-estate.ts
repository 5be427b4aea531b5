// Checks a whole estate as a start would load it, without serving it: the composition root of `leasehold check`.
// Not responsible for types (`commands/check-types`) or for printing.
// Invariant: what it finds is what a server would find, by the same parts; it leaves nothing running.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompiledServer } from './config/compiled.ts';
import { listTenants, loadTenantConfig } from './config/load-tenant.ts';
import { connectionProblems } from './connections/connection-states.ts';
import { createHosts } from './hosts/create-hosts.ts';
import type { Problem } from './shared/problem.ts';
import { authProblems, signInProblems } from './tenants/auth-problems.ts';
import { ToolsetLoader } from './tenants/toolset/loader.ts';
import type { SecretStore } from './vault/stores.ts';

export interface CheckedTenant {
  readonly id: string;
  /** Names of what it has; empty where it cannot be loaded. */
  readonly tools: readonly string[];
  readonly prompts: readonly string[];
  readonly resources: readonly string[];
}
export interface CheckedEstate {
  readonly tenants: readonly CheckedTenant[];
  readonly problems: readonly Problem[];
}

const NO_SECRETS: Pick<SecretStore, 'list'> = { list: () => [] };

/** Uses the cache of the estate's data folder, so a later start is quick. */
export async function checkEstate(
  server: CompiledServer,
  secrets: Pick<SecretStore, 'list'> = NO_SECRETS,
): Promise<CheckedEstate> {
  const { estate, dataDir, limits, providers, auth } = server;
  const runDir = await mkdtemp(join(tmpdir(), 'leasehold-check-'));
  const hosts = createHosts({ runDir });
  const loader = new ToolsetLoader({ estate, dataDir, hosts });
  const { ids, problems: beside } = listTenants(estate);
  const tenants: CheckedTenant[] = [];
  const problems: Problem[] = [
    ...beside,
    ...authProblems(auth, 'leasehold.json', server, secrets),
    ...signInProblems(server, secrets),
  ];
  try {
    for (const id of ids) {
      const config = loadTenantConfig(estate, id, limits, providers, auth);
      problems.push(...config.problems);
      if (config.value === undefined) {
        tenants.push({ id, tools: [], prompts: [], resources: [] });
        continue;
      }
      problems.push(...connectionProblems(config.value, secrets));
      // What leasehold.json says for all is wrong once.
      if (config.value.auth !== auth)
        problems.push(...authProblems(config.value.auth, `tenants/${id}/tenant.json`, server, secrets));
      const loaded = await loader.load(config.value);
      problems.push(...loaded.problems);
      const { toolset } = loaded;
      tenants.push({
        id,
        tools: [...(toolset?.tools.keys() ?? [])],
        prompts: [...(toolset?.prompts.keys() ?? [])],
        resources: (toolset?.resources.all ?? []).map(({ name }) => name),
      });
    }
  } finally {
    loader.close();
    await hosts.close(0);
    await rm(runDir, { recursive: true, force: true });
  }
  return { tenants, problems };
}
