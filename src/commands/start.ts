// `leasehold start`: serves an estate until it is told to stop.
// Not responsible for how (`serve`).
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SERVER_FILE } from '../config/load-server.ts';
import { TENANTS_FOLDER } from '../config/load-tenant.ts';
import { defineCommand, UserError } from './command.ts';
import { compiledConfig } from './locate.ts';
import { serverFlags, serveOptions } from './serve-options.ts';

export const start = defineCommand({
  name: 'start',
  summary: 'serve an estate',
  usage: ['[folder] [--port <number>]'],
  options: serveOptions,
  positionals: { min: 0, max: 1 },
  help: `The folder (default: this one) holds leasehold.json and tenants/<id>/. Each setting may stand in leasehold.json,
in the environment (LEASEHOLD_PUBLIC_URL) or in an option; the later one wins.`,
  async run({ values, positionals, io }) {
    const folder = resolve(io.cwd, positionals[0] ?? '.');
    requireEstate(folder);
    const config = compiledConfig(folder, io, serverFlags(values, io));
    const { serve } = await import('./serve.ts');
    return serve({ io, config, json: values.json === true });
  },
});

/** A wrong folder would serve nobody and put its data there. */
export function requireEstate(folder: string): void {
  if (existsSync(join(folder, SERVER_FILE)) || existsSync(join(folder, TENANTS_FOLDER))) return;
  throw new UserError(`${folder} is no estate: it has neither ${SERVER_FILE} nor ${TENANTS_FOLDER}/`);
}
