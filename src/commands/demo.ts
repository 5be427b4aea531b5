// `leasehold demo`: serves the two example tenants, with the API that their tools call.
// Not responsible for how (`serve`), nor for what the estate holds (`demo/`).
// Invariant: tokens are shown here and nowhere else, since these guard nothing but the example on this machine.
import { join, resolve } from 'node:path';
import { startDemoApi } from '../demo/api.ts';
import { demoHome, shipEstate } from '../demo/home.ts';
import { defineCommand } from './command.ts';
import { demoTokens } from './demo-tokens.ts';
import { compiledConfig, refuseServedTwice } from './locate.ts';
import { quietFlags, serverFlags, serveOptions } from './serve-options.ts';
import { shortPath } from './serve-screen.ts';

const { 'data-dir': _, ...shared } = serveOptions;

export const demo = defineCommand({
  name: 'demo',
  summary: 'serve two example tenants',
  usage: ['[--port <number>] [--json]'],
  options: {
    ...shared,
    'data-dir': { type: 'string', value: 'folder', description: 'where the example estate and its data live' },
  },
  positionals: { min: 0, max: 0 },
  help: `The estate is copied to ~/.local/share/leasehold/demo once, to be read and edited while it runs. Its tokens stay
the same from start to start.`,
  async run({ values, io }) {
    const { 'data-dir': folder, ...rest } = values;
    const home = folder === undefined ? demoHome(io.env) : resolve(io.cwd, folder);
    // Before anything is written: the files of a running demo lead to its own API.
    refuseServedTwice(io, home);
    const { serve } = await import('./serve.ts');
    const api = await startDemoApi(0);
    try {
      await shipEstate(home, api.url);
      const config = compiledConfig(home, io, { ...quietFlags(io), ...serverFlags(rest, io) });
      const tool = shortPath(join(home, 'tenants', 'acme', 'tools', 'travel.ts'));
      const hints = (prefix: string) => [
        `try      ${prefix} call acme hello name=Ada          (prints: Hello, Ada, from acme)`,
        `         ${prefix} call acme warmest cities=Lima cities=Lagos`,
        `edit     ${tool}   and call again: changes are live at once`,
        `watch    ${prefix} logs -f`,
      ];
      return await serve({ io, config, json: values.json === true, tokens: demoTokens, hints });
    } finally {
      await api.close();
    }
  },
});
