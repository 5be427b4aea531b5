// How this CLI was started, so that the commands it prints work where they are printed.
// Not responsible for what they do.
// Invariant: in a clone the printed line goes through npm, whose scripts run on the clone's own Node; a machine's `node`
// may be too old to run the sources.
import { basename, relative } from 'node:path';

export interface Invocation {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** `process.argv[1]`: the script as it was named. */
  readonly script: string;
}

/** The words before the name of a command: `leasehold`, `npx leasehold`, `npm run leasehold --`. */
export function invocationPrefix({ env, cwd, script }: Invocation): string {
  if (script.endsWith('.ts')) {
    if (env['npm_lifecycle_event'] !== undefined) return 'npm run leasehold --';
    const near = relative(cwd, script);
    return `node ${near.startsWith('..') ? script : near}`;
  }
  const installed = basename(script).startsWith('leasehold');
  // npx and package.json scripts find the command in node_modules/.bin; an interactive shell does not.
  if (env['npm_command'] !== undefined || env['npm_lifecycle_event'] !== undefined) return 'npx leasehold';
  return installed ? 'leasehold' : `node ${relative(cwd, script) || script}`;
}

/** Of this process. */
export function invocation(io: { env: Invocation['env']; cwd: string }): string {
  return invocationPrefix({ env: io.env, cwd: io.cwd, script: process.argv[1] ?? 'leasehold' });
}
