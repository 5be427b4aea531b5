// The wall around tenant code, tried door by door in a real thread with the product's own flags.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { ALLOWED_BUILTINS, PROVIDED_MODULES } from '../../src/shared/allowed-builtins.ts';
import { BUILTIN_MEMBERS } from '../../workers/sandbox/allow-list.ts';
import { ToolsPool } from '../helpers/tools-pool.ts';

const script = readFileSync(new URL('../fixtures/tools/doors.cjs', import.meta.url), 'utf8');

/** What a language wall cannot close or need not: each stands in the README's limits. */
const OPEN_ON_PURPOSE = ['code from text', 'own prototypes', 'high-resolution clock', 'memory outside the heap'];

void t.test('every door is closed but the documented ones', async (t) => {
  const pool = new ToolsPool({ heapMb: 96 });
  t.teardown(() => pool.close());
  t.same(await pool.load(script), { ok: true }); // DOORS=1 prints what each door says
  const { result } = await pool.call('names');
  const names = result?.structuredContent as string[];
  t.ok(names.length >= 100, `${names.length} doors`);
  const open: string[] = [];
  const reasons: string[] = [];
  for (const door of names) {
    const ended = await pool.call('knock', { door });
    const text = ended.result?.content?.[0]?.text ?? JSON.stringify(ended.outcome);
    if (!text.startsWith('closed')) open.push(door);
    reasons.push(`${door}: ${text}`);
  }
  if (process.env['DOORS'] !== undefined) t.comment(reasons.join('\n'));
  t.same(open, OPEN_ON_PURPOSE);
  t.same(pool.errors, [], 'and the thread has lived through all of it');
});

void t.test('of the built-ins and packages, exactly the listed ones are given', async (t) => {
  const pool = new ToolsPool();
  t.teardown(() => pool.close());
  const source = `
    const { defineTool, defineToolset, Type } = require('leasehold');
    const given = defineTool({ description: 'x', inputSchema: Type.Object({ names: Type.Array(Type.String()) }),
      outputSchema: Type.Record(Type.String(), Type.Array(Type.String())),
      handler: ({ names }) => Object.fromEntries(names.flatMap((name) => {
        try { return [[name, Object.keys(require(name))]]; } catch { return []; }
      })) });
    module.exports = { toolsets: [{ file: 'tools/a.ts', toolset: defineToolset({ tools: { given } }) }] };`;
  t.same(await pool.load(source), { ok: true });
  const names = [...builtinModules, ...builtinModules.map((name) => `node:${name}`), ...PROVIDED_MODULES, 'lodash', 'piscina'];
  const { result } = await pool.call('given', { names });
  const given = result?.structuredContent as Record<string, string[]>;
  const allowed = [...ALLOWED_BUILTINS, ...ALLOWED_BUILTINS.map((name) => `node:${name}`), ...PROVIDED_MODULES];
  t.same(Object.keys(given).sort(), allowed.sort());
  for (const [name, members] of Object.entries(BUILTIN_MEMBERS)) {
    if (members !== true)
      t.same(
        given[name]?.filter((member) => !members.includes(member) && !['ok', 'strict'].includes(member)),
        [],
        name,
      );
  }
  t.same(Object.keys(BUILTIN_MEMBERS).sort(), [...ALLOWED_BUILTINS].sort(), 'both lists name the same');
});

void t.test('the thread gives up its permissions and its priority', async (t) => {
  const lockdown = new URL('../../workers/sandbox/lockdown.ts', import.meta.url);
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const code = `
    const { parentPort } = require('node:worker_threads');
    const { permission } = process;
    const { readFileSync } = require('node:fs');
    const { getPriority } = require('node:os');
    const file = ${JSON.stringify(fileURLToPath(lockdown))};
    const may = () => { try { readFileSync(file); return true; } catch (error) { return error.code; } };
    import(${JSON.stringify(lockdown.href)}).then(({ lockdown }) => {
      const before = [may(), permission.has('fs.read', file)];
      lockdown({});
      parentPort.postMessage({ before, after: [may(), permission.has('fs.read', file)], nice: getPriority(0) });
    });`;
  const worker = new Worker(code, {
    eval: true,
    execArgv: ['--permission', `--allow-fs-read=${root}`, `--allow-fs-read=${process.cwd()}`],
  });
  const [{ before, after, nice }] = (await once(worker, 'message')) as [{ before: unknown; after: unknown; nice: number }];
  await worker.terminate();
  t.same(before, [true, true]);
  t.same(after, ['ERR_ACCESS_DENIED', false]);
  if (process.platform === 'linux') t.equal(nice, 5);
});
