// Another supervisor on the same vault, as a process that can be killed: `node renewal-process.ts '<options as JSON>'`.
// Takes leases as a call would, uses them against the API, prints how many succeeded. `die` names the step at which it kills
// itself with SIGKILL, so that nothing of it can clean up.
import { createAuditLog } from '../../src/audit/log.ts';
import { createCredentials } from '../../src/connections/credentials.ts';
import type { GrantStore, RefreshLocks } from '../../src/vault/stores.ts';
import { openVault } from '../../src/vault/vault.ts';
import { MASTER_KEY } from './credential-scene.ts';
import { oauthConnection } from './oauth-scene.ts';

export interface ProcessOptions {
  readonly dataDir: string;
  /** Where its own audit is. */
  readonly auditDir: string;
  readonly origin: string;
  readonly calls: number;
  readonly die?: Step;
}
export type Step = `${'before' | 'after'} ${'lock' | 'record' | 'note' | 'store' | 'release'}`;

const { dataDir, auditDir, origin, calls, die } = JSON.parse(process.argv[2] ?? '{}') as ProcessOptions;
function step(name: Step): void {
  if (name === die) process.kill(process.pid, 'SIGKILL');
}

const vault = openVault({ dataDir, masterKey: MASTER_KEY, busyMs: 20 });
const audit = await createAuditLog({ dataDir: auditDir, mode: 'grouped', supervisorId: 'other' });
let writes = 0;
const grants: GrantStore = {
  find: (key) => vault.grants.find(key),
  read: (key) => vault.grants.read(key),
  put: (key, grant) => vault.grants.put(key, grant),
  delete: (key) => vault.grants.delete(key),
  list: (tenant) => vault.grants.list(tenant),
  replace(key, grant, version) {
    const what = writes === 0 ? 'note' : 'store';
    writes += 1;
    step(`before ${what}`);
    const stored = vault.grants.replace(key, grant, version);
    step(`after ${what}`);
    return stored;
  },
};
const refreshLocks: RefreshLocks = {
  take(...args) {
    step('before lock');
    const fence = vault.refreshLocks.take(...args);
    step('after lock');
    return fence;
  },
  release(...args) {
    step('before release');
    vault.refreshLocks.release(...args);
    step('after release');
  },
};
const credentials = createCredentials({
  secrets: vault.secrets,
  rejections: vault.rejections,
  grants,
  refreshLocks,
  audit: {
    ...audit,
    append: async (event) => {
      await audit.append(event);
      if (event.kind === 'grant.refresh') step('after record');
    },
    healthy: () => true,
    close: () => audit.close(),
  },
  privateOrigins: [origin],
});

async function call(): Promise<boolean> {
  const connection = oauthConnection(origin);
  const ask = {
    tenant: 'acme',
    connection,
    subject: { issuer: 'leasehold', subject: 'ada', correlation: 'c' },
    scopes: [],
    deadline: Date.now() + 30_000,
    signal: new AbortController().signal,
  };
  for (let tries = 0; tries < 2; tries += 1) {
    const leased = await credentials.lease(ask);
    if (leased === undefined || 'code' in leased) return false;
    const { status } = await fetch(`${origin}/api`, { headers: leased.lease.headers });
    if (status === 200) return true;
    if ((await credentials.rejected(ask, leased.version)) !== 'resend') return false;
  }
  return false;
}

process.stdout.write('ready\n');
process.stdin.once('data', () => {
  void Promise.all(Array.from({ length: calls }, call)).then(async (all) => {
    process.stdout.write(`${all.filter(Boolean).length}\n`);
    await audit.close();
    vault.close();
    process.exit(0);
  });
});
