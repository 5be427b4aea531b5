// `leasehold logs`: what the tools of a tenant logged and how they failed.
// Not responsible for the audit or for the server's own log.
// Invariant: reads files only; works while the server runs and when it does not.
import { once } from 'node:events';
import type { StampedLine } from '../tenants/author-log.ts';
import { defineCommand, type Io, jsonOption, UsageError } from './command.ts';
import { estateOption, locateEstate, requireTenant } from './locate.ts';
import { lastLines, loggedTenants, newLines } from './log-files.ts';
import { formatLine } from './log-line.ts';

export const logs = defineCommand({
  name: 'logs',
  summary: 'show what the tools of a tenant logged',
  usage: ['[tenant] [-f] [--lines <count>]'],
  options: {
    follow: { type: 'boolean', short: 'f', description: 'keep printing what is added' },
    lines: { type: 'string', short: 'n', value: 'count', default: '100', description: 'how many of the last lines (100)' },
    estate: estateOption,
    json: { ...jsonOption, description: 'print the lines as they are stored' },
  },
  positionals: { min: 0, max: 1 },
  async run({ values, positionals, io }) {
    const count = Number(values.lines);
    if (!Number.isSafeInteger(count) || count < 0) throw new UsageError('--lines takes a whole number');
    const estate = locateEstate(io, values.estate);
    const { dataDir } = estate.config;
    const [tenant] = positionals;
    if (tenant !== undefined) requireTenant(estate, tenant);
    const wanted = tenant === undefined ? await loggedTenants(dataDir) : [tenant];
    const show = printer(io, values.json === true);
    const last = await lastLines(dataDir, wanted, count);
    for (const line of last) await show(line);
    if (values.follow !== true) {
      if (last.length === 0) io.stderr.write('nothing was logged yet\n');
      return 0;
    }
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort());
    process.once('SIGTERM', () => stop.abort());
    for await (const line of newLines(dataDir, tenant === undefined ? [] : [tenant], stop.signal)) await show(line);
    return 0;
  },
});

function printer(io: Io, json: boolean): (line: StampedLine) => Promise<void> {
  const style = { colour: io.isTTY && io.env['NO_COLOR'] === undefined };
  return async (line) => {
    // A slow reader (`| less`) slows the reading of files, not this process's memory.
    if (!io.stdout.write(json ? `${JSON.stringify(line)}\n` : formatLine(line, style))) await once(io.stdout, 'drain');
  };
}
