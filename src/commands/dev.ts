// `leasehold dev`: `start` for authors; every change, log line and failure is shown as it happens.
// Not responsible for how changes are found or swapped in (`tenants`).
import { resolve } from 'node:path';
import { defineCommand } from './command.ts';
import { compiledConfig } from './locate.ts';
import { quietFlags, serverFlags, serveOptions } from './serve-options.ts';
import { requireEstate } from './start.ts';

const { 'no-watch': _, ...options } = serveOptions;

export const dev = defineCommand({
  name: 'dev',
  summary: 'serve an estate and show what every change and call does',
  usage: ['[folder] [--port <number>]'],
  options,
  positionals: { min: 0, max: 1 },
  help: `A saved file is bundled, described and swapped in while calls run; a broken one is reported with its place, and
the last good version keeps serving. What tools log and how they fail is shown with positions in your own files.`,
  async run({ values, positionals, io }) {
    const folder = resolve(io.cwd, positionals[0] ?? '.');
    requireEstate(folder);
    const config = compiledConfig(folder, io, { ...quietFlags(io), ...serverFlags(values, io), watch: 'true' });
    const { serve } = await import('./serve.ts');
    return serve({ io, config, json: values.json === true, showAuthor: true });
  },
});
