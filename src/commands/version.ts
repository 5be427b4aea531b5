// `leasehold version`: what runs here, for bug reports.
// Not responsible for a running server's version: that is its `GET /version`.
import { arch, platform } from 'node:process';
import { defineCommand, jsonOption } from './command.ts';
import { leaseholdVersion } from './version-of.ts';

export const version = defineCommand({
  name: 'version',
  summary: 'show the versions in use',
  usage: ['[--json]'],
  options: { json: jsonOption },
  positionals: { min: 0, max: 0 },
  async run({ values, io }) {
    const facts = { leasehold: leaseholdVersion(), node: process.versions.node, platform: `${platform} ${arch}` };
    io.stdout.write(
      values.json === true
        ? `${JSON.stringify(facts)}\n`
        : `leasehold ${facts.leasehold}  node ${facts.node}  ${facts.platform}\n`,
    );
    return 0;
  },
});
