// The Inspector's CLI against the real server, in each era it knows: list the tools, call one.
// Not responsible for having it: where the registry has no such package, the smoke test is skipped and says so.
// Invariant: an exact version, run through npx and never installed; the token goes in a header, as its users send it.
import { program } from '../helpers/cli.ts';
import type { Refereed } from './server.ts';

const PACKAGE = '@modelcontextprotocol/inspector@2.12.0';
const ERAS = ['legacy', 'auto', 'modern'] as const;

export interface Inspected {
  readonly era: string;
  readonly problem?: string;
  readonly skipped?: string;
}

export async function inspect({ endpoint, token }: Refereed): Promise<Inspected[]> {
  const npx = (args: readonly string[]) => program('npx', ['-y', PACKAGE, ...args]);
  const had = await npx(['--cli', '--help']);
  if (had.code !== 0) {
    const why = had.stderr.trim().split('\n').at(-1) ?? '';
    return ERAS.map((era) => ({ era, skipped: `skipped: npx cannot run ${PACKAGE} here (${why.slice(0, 200)})` }));
  }
  const inspected: Inspected[] = [];
  for (const era of ERAS) {
    const common = ['--cli', endpoint, '--transport', 'http', '--header', `Authorization: Bearer ${token}`];
    const run = (args: readonly string[]) => npx([...common, '--protocol-era', era, '--format', 'json', ...args]);
    const listed = await run(['--method', 'tools/list']);
    const called = await run(['--method', 'tools/call', '--tool-name', 'test_simple_text', '--tool-args-json', '{}']);
    const good = listed.code === 0 && called.code === 0 && called.stdout.includes('This is a simple text response');
    const said = `${listed.stderr}${called.stderr}${called.stdout}`.replaceAll(token, '(token)').slice(0, 1000);
    inspected.push(good ? { era } : { era, problem: `exit codes ${listed.code} and ${called.code}: ${said}` });
  }
  return inspected;
}
