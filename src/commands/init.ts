// `leasehold init`: a new estate with one tenant and one tool, ready to run.
// Not responsible for the content of its files (`init-files`).
// Invariant: a file that is there is never overwritten; a folder with something in it is asked about first.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { prepareDataDir } from '../config/data-dir.ts';
import { writeEditorSchemas } from '../config/editor-schemas.ts';
import { defineCommand, type Io, UserError } from './command.ts';
import { estateFiles } from './init-files.ts';
import { invocation } from './invocation.ts';
import { leaseholdVersion } from './version-of.ts';

export const init = defineCommand({
  name: 'init',
  summary: 'make a new estate with one tenant and one tool',
  usage: ['[folder] [--yes]'],
  options: { yes: { type: 'boolean', short: 'y', description: 'do not ask, also where the folder has files in it' } },
  positionals: { min: 0, max: 1 },
  async run({ values, positionals, io }) {
    const folder = resolve(io.cwd, positionals[0] ?? '.');
    if (values.yes !== true) await requireConsent(folder, io);
    mkdirSync(folder, { recursive: true });
    for (const [file, text] of estateFiles(leaseholdVersion())) {
      const path = join(folder, file);
      const kept = existsSync(path);
      if (!kept) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
      }
      io.stdout.write(`${kept ? 'kept ' : 'wrote'} ${file}\n`);
    }
    const dataDir = join(folder, '.leasehold');
    const problem = prepareDataDir(dataDir);
    if (problem !== undefined) throw new UserError(`${problem.file} ${problem.reason}`);
    writeEditorSchemas(dataDir);
    const prefix = invocation(io);
    const near = relative(io.cwd, folder);
    const shown = near.startsWith('..') ? folder : near || '.';
    io.stdout.write(`
next     ${prefix} start ${shown}
         ${prefix} token create acme --subject you --estate ${shown}
         ${prefix} call acme hello name=Ada
editor   npm install in ${shown} gives types to the tools
`);
    return 0;
  },
});

async function requireConsent(folder: string, io: Io): Promise<void> {
  if (!existsSync(folder) || readdirSync(folder).length === 0) return;
  if (!io.isTTY) throw new UserError(`${folder} is not empty. Name another folder, or add --yes (nothing is overwritten)`);
  const prompt = createInterface({ input: io.stdin, output: io.stdout });
  try {
    const answer = await prompt.question(`${folder} is not empty. Add an estate to it? Nothing is overwritten. (y/N) `);
    if (!/^y(?:es)?$/i.test(answer.trim())) throw new UserError('nothing was written');
  } finally {
    prompt.close();
  }
}
