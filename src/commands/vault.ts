// `leasehold vault`: changes the master key, and checks that every sealed record opens.
// Not responsible for how either works (`vault/`). Invariant: also while servers run; interrupted at any point, the vault opens
// with the key that is found.
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { NO_TENANT } from '../audit/record.ts';
import { MASTER_KEY_BYTES } from '../vault/keys/key-text.ts';
import { VaultError } from '../vault/vault-error.ts';
import type { Verified } from '../vault/verify.ts';
import { auditCommand } from './command-audit.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { estateOption, type LocatedEstate, locateEstate } from './locate.ts';
import { runningServers } from './running.ts';
import { withVault } from './vault-access.ts';

/** Servers look every half second. */
const FOLLOW_MS = 2000;

export const vault = defineCommand({
  name: 'vault',
  summary: 'change the master key, and check that everything sealed opens',
  usage: ['rotate-key', 'verify'],
  options: { estate: estateOption, json: jsonOption },
  positionals: { min: 1, max: 1 },
  help: `rotate-key makes a new master key in the place of the old one (file or keychain) and wraps every tenant's key with it. Servers
that run follow within a second. What was sealed stays as it is: whoever had the old key and a copy of the database can still read
that copy, so change what it held, too.
verify opens every sealed record, says how many there are, and names those that do not open. Exit code 1 if there are any.`,
  run({ values, positionals, io }) {
    const estate = locateEstate(io, values.estate);
    switch (positionals[0]) {
      case 'rotate-key':
        return rotate(io, estate, values.json === true);
      case 'verify':
        return verify(io, estate, values.json === true);
      default:
        throw new UsageError(`'${positionals[0]}' is none of rotate-key, verify`);
    }
  },
});

function rotate(io: Io, { config }: LocatedEstate, json: boolean): Promise<number> {
  return withVault(config, async ({ vault: opened, place }) => {
    const next = randomBytes(MASTER_KEY_BYTES);
    try {
      place.write('next', next);
      await auditCommand(config, [{ kind: 'vault.rotated', tenant: NO_TENANT }]);
      const tenants = opened.rotateMasterKey(next);
      place.promote();
      const servers = runningServers(io.env).filter(({ dataDir }) => dataDir === config.dataDir);
      if (servers.length > 0) {
        io.stderr.write(`waiting for ${servers.length === 1 ? 'the server that runs' : `${servers.length} servers`} to follow\n`);
        await wait(FOLLOW_MS);
      }
      opened.forgetOldKey();
      if (json) io.stdout.write(`${JSON.stringify({ rotated: true, tenants, where: place.where })}\n`);
      else
        io.stdout.write(
          `the master key is a new one, in ${place.where}; ${tenants} tenant keys were wrapped anew. Back it up.\n`,
        );
      return 0;
    } catch (error) {
      if (error instanceof VaultError) throw new UserError(error.message);
      throw error;
    } finally {
      next.fill(0);
    }
  });
}

function verify(io: Io, { config }: LocatedEstate, json: boolean): Promise<number> {
  return withVault(
    config,
    ({ vault: opened }) => {
      const verified = opened.verify();
      io.stdout.write(json ? `${JSON.stringify(verified)}\n` : verifiedText(verified));
      return verified.bad.length === 0 ? 0 : 1;
    },
    { guardsOf: 'all' },
  );
}

function verifiedText({ opened, bad }: Verified): string {
  const counts = Object.entries(opened).map(([table, count]) => `${count} ${table.replaceAll('_', ' ')}`);
  const whole = counts.length === 0 ? 'there is nothing sealed yet\n' : `opened ${counts.join(', ')}\n`;
  return whole + bad.map(({ table, tenant, row, reason }) => `✗ ${table} of ${tenant}, row ${row}: ${reason}\n`).join('');
}
