// `leasehold stdio`: what a desktop client starts that speaks only stdio; a bridge to a running server.
// Not responsible for carrying messages (`src/stdio`).
// Invariant: what the client can be told in the protocol is told there, not by ending; only a wrong command line ends it.
import type { Readable, Writable } from 'node:stream';
import { isTenantId } from '../shared/ids.ts';
import { defineCommand, UsageError } from './command.ts';
import { estateOption } from './locate.ts';
import { serverBase } from './keychain-token.ts';
import { placeFinder } from './stdio-place.ts';
import { stopSignals } from './stop-signals.ts';
import { checkedSubject } from './token-input.ts';

const ENDING_MS = 2000;

export const stdio = defineCommand({
  name: 'stdio',
  summary: 'serve a tenant to a client that speaks only stdio',
  usage: ['--tenant <tenant> [--subject <who> | --keychain] [--estate <folder>] [--url <url>]'],
  options: {
    tenant: { type: 'string', value: 'tenant', description: 'whose tools' },
    subject: { type: 'string', value: 'who', description: 'local servers: call as this user, without the keychain' },
    keychain: { type: 'boolean', description: 'take the token from the keychain and from nowhere else' },
    estate: estateOption,
    url: { type: 'string', value: 'url', description: 'base URL of another server; needs a token' },
  },
  positionals: { min: 0, max: 0 },
  help: `A client starts it; \`leasehold connect\` writes the entry. The server must run: this carries messages to it.

The token is LEASEHOLD_TOKEN; else the one in the keychain (\`leasehold token create … --keychain\`); else, for a server of
this machine whose data this user can read, one made from the master key, as \`leasehold call\` has it.`,
  async run({ values, io }) {
    const { tenant, url, estate } = values;
    if (tenant === undefined) throw new UsageError('whose tools? Add --tenant');
    if (!isTenantId(tenant)) throw new UsageError(`'${tenant}' is no tenant id`);
    const subject = values.subject === undefined ? undefined : checkedSubject(values.subject);
    const base = url === undefined ? undefined : serverBase(url);
    if (url !== undefined && base === undefined) throw new UsageError('--url is no http or https URL');
    if (url !== undefined && (subject !== undefined || estate !== undefined)) {
      throw new UsageError('--subject and --estate are for servers of this machine, --url is for others');
    }
    const keychain = values.keychain === true;
    if (keychain && subject !== undefined) throw new UsageError('--subject or --keychain: a token in the keychain has its user');
    const { bridge } = await import('../stdio/bridge.ts');
    const stop = new AbortController();
    const signals = stopSignals();
    void signals.first.then(() => {
      stop.abort();
      signals.limit(ENDING_MS);
    });
    const log = (line: string): void => void io.stderr.write(`leasehold stdio: ${line}\n`);
    await bridge({
      stdin: io.stdin as Readable,
      stdout: io.stdout as Writable,
      find: placeFinder({ io, tenant, subject, keychain, estate, base, log }),
      log,
      signal: stop.signal,
    });
    return 0;
  },
});
