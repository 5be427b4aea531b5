// Another process at the same vault: `node vault-process.ts <dataDir> <key base64url> <action> [argument…]`, one JSON line out.
import { createToken } from '../../src/vault/access-token.ts';
import { openVault } from '../../src/vault/vault.ts';

const [dataDir = '', key = '', action = '', tenant = '', argument = ''] = process.argv.slice(2);
const vault = openVault({ dataDir, masterKey: Buffer.from(key, 'base64url'), busyMs: 5000 });
function run(): unknown {
  switch (action) {
    case 'create':
      return createToken(vault.tokens, { tenant, subject: argument, scopes: [], now: Date.now() });
    case 'revoke':
      return vault.tokens.revoke(tenant, argument, Date.now());
    case 'shred':
      return vault.shredTenant(tenant);
    case 'fill':
      for (let i = 0; i < 50; i += 1) vault.values.set(tenant, undefined, `${argument}${i}`, Buffer.from('1'), undefined, 1e9);
      return vault.values.get(tenant, undefined, `${argument}49`, 0) !== undefined;
    default:
      return undefined;
  }
}
process.stdout.write(`${JSON.stringify(run() ?? null)}\n`);
vault.close();
