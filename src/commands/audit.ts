// `leasehold audit verify`: do the audit files of an estate hold together?
// Not responsible for the check itself (`audit/verify`), nor for what only a running server's journal has yet.
// Invariant: reads only; exit code 1 where any file is broken, cut or cannot be read.
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type ChainHead, type Verification, verifyAudit } from '../audit/verify.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { estateOption, locateEstate } from './locate.ts';

const SECOND_LOOK_MS = 500;
const EXPECT = /^(\d{1,15}):([0-9a-f]{64})$/;

export const audit = defineCommand({
  name: 'audit',
  summary: 'check that the audit trail was not changed',
  usage: ['verify [file…]', 'verify --expect <seq>:<hash> <file>'],
  help: `Checks the hash chain of every <data folder>/audit/<tenant>.jsonl, or of the files named, oldest first: a file that was
rotated away and the one that goes on from it are one chain.
A chain alone cannot show that its end was cut. Keep the head that is printed somewhere else, and give it as --expect later.`,
  options: {
    estate: estateOption,
    expect: { type: 'string', value: 'seq:hash', description: 'a head that was printed before and must still be there' },
    json: jsonOption,
  },
  positionals: { min: 1, max: 1000 },
  async run({ values, positionals, io }) {
    const [action, ...named] = positionals;
    if (action !== 'verify') throw new UsageError(`unknown action '${action}'`);
    const expect = headFrom(values.expect);
    if (expect !== undefined && named.length !== 1) throw new UsageError('--expect needs exactly one file');
    const chains =
      named.length > 0 ? [named.map((file) => resolve(io.cwd, file))] : filesOf(io, values.estate).map((file) => [file]);
    let broken = 0;
    for (const files of chains) {
      let after: ChainHead | undefined;
      for (const file of files) {
        const verified = await verify(file, { after, expect });
        after = verified.head ?? after;
        if (!verified.ok) broken += 1;
        io.stdout.write(`${values.json === true ? JSON.stringify(verified) : sentence(verified)}\n`);
      }
    }
    return broken === 0 ? 0 : 1;
  },
});

function headFrom(text: string | undefined): ChainHead | undefined {
  if (text === undefined) return undefined;
  const [, seq, hash] = EXPECT.exec(text) ?? [];
  if (seq === undefined || hash === undefined) throw new UsageError('--expect must be <seq>:<hash>, as it was printed');
  return { seq: Number(seq), hash };
}

/** Of the server, and of commands, which write apart from it. */
function filesOf(io: Io, estate: string | undefined): string[] {
  const { dataDir } = locateEstate(io, estate).config;
  const files = [join(dataDir, 'audit'), join(dataDir, 'cli', 'audit')].flatMap(trailIn);
  if (files.length === 0) throw new UserError(`there is no audit trail in ${dataDir}`);
  return files;
}

function trailIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  return names.sort().map((name) => join(folder, name));
}

async function verify(
  file: string,
  options: { after: ChainHead | undefined; expect: ChainHead | undefined },
): Promise<Verification> {
  try {
    const first = await verifyAudit(file, options);
    if (first.ok || first.problem?.torn !== true) return first;
    // A running server may be in the middle of writing this line.
    await setTimeout(SECOND_LOOK_MS);
    return await verifyAudit(file, options);
  } catch (cause) {
    throw new UserError(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`, { cause });
  }
}

function sentence({ ok, file, records, lost, head, problem }: Verification): string {
  if (!ok) return `✗ ${file}:${problem?.line ?? 0}  ${problem?.reason ?? 'broken'}`;
  const refused = lost === 0 ? '' : `  (${lost} refused in times without audit)`;
  return `✓ ${file}  ${records} records${refused}  head ${head === undefined ? 'none' : `${head.seq}:${head.hash}`}`;
}
