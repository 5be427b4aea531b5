// `leasehold chaos`: shows on this machine what one tenant can do to another.
// Not responsible for the faults, the load or the verdict (`chaos/`): it makes the estate, starts the server, prints.
// Invariant: its estate and its server are its own and are gone afterwards; exit 1 where B lost what it was promised.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FULL, runCampaign, SHORT } from '../chaos/campaign.ts';
import { writeEstate } from '../chaos/estate-on-disk.ts';
import { type Fault, FAULTS } from '../chaos/faults.ts';
import type { Row } from '../chaos/judge.ts';
import { closingLine, HEADING, rowLines } from '../chaos/report.ts';
import { serveEstate } from '../chaos/served-estate.ts';
import { startUpstream } from '../chaos/upstream.ts';
import { createToken } from '../vault/access-token.ts';
import { defineCommand, type Io, jsonOption, UsageError } from './command.ts';
import { compiledConfig } from './locate.ts';
import { withVault } from './vault-access.ts';

export const chaos = defineCommand({
  name: 'chaos',
  summary: 'let one tenant misbehave and measure its neighbour',
  usage: ['[--short] [--only <words>] [--json]'],
  options: {
    short: { type: 'boolean', description: 'a few seconds for each fault, fewer calls, durations up to 3 times their bar' },
    only: { type: 'string', value: 'words', description: 'only faults whose name holds these words' },
    json: jsonOption,
  },
  positionals: { min: 0, max: 0 },
  help: `Tenant B calls an echo tool all the time; tenant A does one bad thing after another in the same host process. Each line
says what B noticed of it. The server, its estate and all load are this command's own, on loopback, and end with it.`,
  async run({ values, io }) {
    const faults = chosen(values.only);
    const effort = values.short === true ? SHORT : FULL;
    const json = values.json === true;
    const say = (text: string): void => void (json ? io.stderr : io.stdout).write(text);
    const minutes = (faults.length * (effort.quietMs + effort.faultMs)) / 60_000;
    say(`${faults.length} faults, about ${minutes.toFixed(0)} minutes; node ${process.versions.node}\n\n${HEADING}\n`);
    const rows = await inFolder((folder) => campaign(io, folder, faults, effort, (row) => say(rowLines(row))));
    say(`\n${closingLine(rows)}`);
    if (json) io.stdout.write(`${JSON.stringify({ rows })}\n`);
    return rows.every(({ pass }) => pass) ? 0 : 1;
  },
});

function chosen(words: string | undefined): readonly Fault[] {
  const found = FAULTS.filter(({ name }) => name.toLowerCase().includes((words ?? '').toLowerCase()));
  if (found.length > 0) return found;
  throw new UsageError(`no fault is called '${words}'; there are: ${FAULTS.map(({ name }) => name).join(', ')}`);
}

async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-chaos-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function campaign(
  io: Io,
  folder: string,
  faults: readonly Fault[],
  effort: typeof FULL,
  row: (row: Row) => void,
): Promise<readonly Row[]> {
  const upstream = await startUpstream();
  try {
    const tenants = await writeEstate(folder, upstream);
    const tokens = await mint(io, folder, tenants);
    const serve = () => serveEstate([process.execPath, process.argv[1] ?? ''], folder);
    return await runCampaign({ serve, estate: folder, faults, effort, tokens, row });
  } finally {
    await upstream.close();
  }
}

async function mint(io: Io, folder: string, tenants: readonly string[]): Promise<Map<string, string>> {
  const tokens = new Map<string, string>();
  await withVault(compiledConfig(folder, io), ({ vault }) => {
    for (const tenant of tenants) {
      const made = createToken(vault.tokens, { tenant, subject: 'chaos', scopes: [], now: Date.now() });
      tokens.set(tenant, made.token);
    }
  });
  return tokens;
}
