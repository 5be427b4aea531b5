// The options that `start`, `dev` and `demo` share, and how they become flags of the configuration.
// Not responsible for their meaning or their checks (`config`).
// Invariant: a path given on the command line is relative to the working directory, as everywhere in a shell.
import { resolve } from 'node:path';
import type { ServerFlags } from '../config/settings.ts';
import { type Io, jsonOption, type Values } from './command.ts';

export const serveOptions = {
  port: { type: 'string', short: 'p', value: 'number', description: 'port to listen on (8741); 0 takes a free one' },
  host: { type: 'string', value: 'address', description: 'address to listen on (127.0.0.1)' },
  'public-url': { type: 'string', value: 'url', description: 'base of all public URLs (the listen address)' },
  'data-dir': { type: 'string', value: 'folder', description: 'where state, audit and logs live' },
  'log-level': { type: 'string', value: 'level', description: 'trace, debug, info, warn or error' },
  'no-watch': { type: 'boolean', description: 'do not load changed tenants while serving' },
  json: { ...jsonOption, description: 'print one line of JSON on stdout when ready, everything else on stderr' },
} as const;

/** For screens made for people: the operator's log says only what is wrong, unless another level was asked for. */
export function quietFlags(io: Io): ServerFlags {
  return io.env['LEASEHOLD_LOG_LEVEL'] === undefined ? { logLevel: 'warn' } : {};
}

export function serverFlags(values: Values<typeof serveOptions>, io: Io): ServerFlags {
  const { port, host } = values;
  return {
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    ...(values['public-url'] === undefined ? {} : { publicUrl: values['public-url'] }),
    ...(values['data-dir'] === undefined ? {} : { dataDir: resolve(io.cwd, values['data-dir']) }),
    ...(values['log-level'] === undefined ? {} : { logLevel: values['log-level'] }),
    ...(values['no-watch'] === true ? { watch: 'false' } : {}),
  };
}
