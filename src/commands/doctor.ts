// `leasehold doctor`: which walls stand around the tenants of an estate on this machine, which are missing, and what to do.
// Not responsible for finding out (`doctor`). Invariant: exit code 1 where a check fails; it changes nothing.
import { resolve } from 'node:path';
import type { Check } from '../doctor.ts';
import { defineCommand, jsonOption } from './command.ts';
import { printable } from './log-line.ts';
import { requireEstate } from './start.ts';

const SIGNS: { readonly [status in Check['status']]: string } = { ok: '✓', warn: '!', fail: '✗', off: '–' };

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'show which walls stand on this machine, and which are missing',
  usage: ['[folder]'],
  help: `Looks at Node, the rights of the server, the walls of the operating system, the files of the estate that must be closed to
others, and the tenants that are kept apart. Each line that is not ✓ says what to do. Exit code 1 where one is ✗.`,
  options: { json: jsonOption },
  positionals: { min: 0, max: 1 },
  async run({ values, positionals, io }) {
    const folder = resolve(io.cwd, positionals[0] ?? '.');
    requireEstate(folder);
    const { examine } = await import('../doctor.ts');
    const checks = examine(folder, io.env);
    const ok = checks.every(({ status }) => status !== 'fail');
    if (values.json === true) io.stdout.write(`${JSON.stringify({ ok, checks })}\n`);
    else {
      const width = Math.max(...checks.map(({ name }) => name.length));
      for (const { name, status, detail, todo } of checks) {
        io.stdout.write(`${SIGNS[status]} ${name.padEnd(width)}  ${printable(detail)}\n`);
        if (todo !== undefined) io.stdout.write(`  ${' '.repeat(width)}  → ${printable(todo)}\n`);
      }
    }
    return ok ? 0 : 1;
  },
});
