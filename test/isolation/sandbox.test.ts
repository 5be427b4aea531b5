// The wall around tenant code, tried door by door in a real thread with the product's own flags.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { ALLOWED_BUILTINS, PROVIDED_MODULES } from '../../src/shared/allowed-builtins.ts';
import {
  BUILTIN_MEMBERS,
  LANGUAGE_GLOBALS,
  PLATFORM_GLOBALS,
  REPLACED_GLOBALS,
  STREAM_GLOBALS,
} from '../../workers/sandbox/allow-list.ts';
import { ToolsPool } from '../helpers/tools-pool.ts';
import { OPEN_ON_PURPOSE } from './open-doors.ts';

const script = readFileSync(new URL('../fixtures/tools/doors.cjs', import.meta.url), 'utf8');

/** The oldest Node that is supported where this is the newest, and the reverse. */
const OTHER = process.versions.node.startsWith('24.') ? 26 : 24;

/** Why the other Node cannot be had; undefined where it can. */
function otherNode(): string | undefined {
  if (process.env['LEASEHOLD_TEST_ONE_NODE'] !== undefined) return 'this is the other Node';
  const found = spawnSync('npx', ['-y', '-p', `node@${OTHER}`, 'node', '--version'], { encoding: 'utf8', timeout: 120_000 });
  return found.stdout?.startsWith(`v${OTHER}.`) === true ? undefined : `Node ${OTHER} could not be had through npx`;
}

void t.test('every door is closed but the documented ones', async (t) => {
  const pool = new ToolsPool({ heapMb: 96 });
  t.teardown(() => pool.close());
  pool.answer = ({ ask }) =>
    ask.op === 'fetch'
      ? { reply: { status: 'ok', http: { status: 200, headers: { a: 'b' }, url: 'https://x/x' } }, body: Buffer.from('body') }
      : undefined;
  t.same(await pool.load(script), { ok: true }); // DOORS=1 prints what each door says
  const { result } = await pool.call('names');
  const names = result?.structuredContent as string[];
  t.comment(`Node ${process.version}`);
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

void t.test('docs/isolation.md lists exactly what a tool may use', async (t) => {
  const page = readFileSync(new URL('../../docs/isolation.md', import.meta.url), 'utf8');
  /** Names in backticks between a heading and what follows its list. */
  const listed = (heading: string, until = /\n\n(?=[A-Z#-])/): string[] => {
    const part = page.slice(page.indexOf(`\n${heading}\n`) + heading.length + 3);
    const [list = ''] = part.slice(part.indexOf('`')).split(until);
    return [...list.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);
  };
  t.same(listed('### Of the language'), LANGUAGE_GLOBALS);
  t.same(listed('### Of the platform'), PLATFORM_GLOBALS);
  t.same(listed('### Streams'), STREAM_GLOBALS);
  t.same(listed('### Replaced by an object of our own'), REPLACED_GLOBALS);
  t.same(listed('### Provided packages'), PROVIDED_MODULES);
  const members = ALLOWED_BUILTINS.flatMap((name) => [
    name,
    ...(BUILTIN_MEMBERS[name] === true ? [] : (BUILTIN_MEMBERS[name] ?? [])),
  ]);
  t.same(listed('### Built-in modules', /\n### /), members);
  const open = page.slice(page.indexOf('## Doors that stay open'), page.indexOf('Memory that a buffer is given'));
  t.same(
    [...open.matchAll(/^- `([^`]+)`:/gm)].map(([, name]) => name),
    OPEN_ON_PURPOSE,
  );
});

void t.test('the globals of a tool are the listed ones', async (t) => {
  const pool = new ToolsPool();
  t.teardown(() => pool.close());
  const source = `
    const { defineTool, defineToolset, Type } = require('leasehold');
    const all = defineTool({ description: 'x', outputSchema: Type.Object({ names: Type.Array(Type.String()) }),
      handler: () => ({ names: Reflect.ownKeys(globalThis).filter((key) => typeof key === 'string') }) });
    module.exports = { toolsets: [{ file: 'tools/a.ts', toolset: defineToolset({ tools: { all } }) }] };`;
  t.same(await pool.load(source), { ok: true });
  const { result } = await pool.call('all');
  const { names = [] } = (result?.structuredContent ?? {}) as { names?: string[] };
  t.ok(names.length > 100);
  const allowed = new Set<string>([...LANGUAGE_GLOBALS, ...PLATFORM_GLOBALS, ...STREAM_GLOBALS, ...REPLACED_GLOBALS]);
  t.same(
    names.filter((name) => !allowed.has(name)),
    [],
  );
});

void t.test('a tool that reaches for more is told what to use instead', async (t) => {
  const pool = new ToolsPool();
  t.teardown(() => pool.close());
  const reaches = { fetch: 'fetch("http://x")', worker: 'new Worker("x")', exit: 'process.exit(1)', load: 'import("node:fs")' };
  const source = `
    const { defineTool, defineToolset } = require('leasehold');
    const tools = {};
    ${Object.entries(reaches)
      .map(([name, text]) => `tools.${name} = defineTool({ description: 'x', handler: async () => { await ${text}; } });`)
      .join('')}
    module.exports = { toolsets: [{ file: 'tools/a.ts', toolset: defineToolset({ tools }) }] };`;
  t.same(await pool.load(source), { ok: true });
  const told = async (tool: string) => {
    const { outcome } = await pool.call(tool);
    return outcome.status === 'error' ? outcome.failure.detail : outcome.status;
  };
  t.match(await told('fetch'), /fetch is not available in tools: declare a connection and use ctx\.connections/);
  t.match(await told('worker'), /Worker is not available in tools: .*ctx\.call/);
  t.match(await told('exit'), /process\.exit is not available in tools: return a value/);
  t.match(await told('load'), /import\(\) is not available in tools: import at the top/);
  const early = new ToolsPool();
  t.teardown(() => early.close());
  t.match(await early.load(`require('node:fs')`), {
    ok: false,
    failure: { detail: /"node:fs" is not available in tools: tools have no file system/ },
  });
});

void t.test('the same doors on the other Node', { skip: otherNode() ?? false }, async (t) => {
  // Without the loaders of this run.
  const kept = Object.entries(process.env).filter(([name]) => !/^(?:NODE_OPTIONS|NODE_V8_COVERAGE|TAP)/.test(name));
  const { status, stdout } = spawnSync('npx', ['-y', '-p', `node@${OTHER}`, 'node', fileURLToPath(import.meta.url)], {
    env: { ...Object.fromEntries(kept), TAP: '1', LEASEHOLD_TEST_ONE_NODE: '1' },
    stdio: ['ignore', 'pipe', 'ignore'],
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (status !== 0) t.comment(stdout);
  t.equal(status, 0, 'all of this file, there');
  t.match(stdout, new RegExp(`# Node v${OTHER}\\.`), 'it was that Node');
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
