// The command line as a user meets it: real processes, their output and exit codes; and the pure parts below it.
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { delimiter, join } from 'node:path';
import * as esbuild from 'esbuild-wasm';
import t from 'tap';
import { inventoryOf } from '../../src/commands/author-screen.ts';
import { parseArguments } from '../../src/commands/call-arguments.ts';
import { failureLine, failureOf } from '../../src/commands/call-result.ts';
import { UsageError } from '../../src/commands/command.ts';
import { invocationPrefix } from '../../src/commands/invocation.ts';
import { lastLines, newLines } from '../../src/commands/log-files.ts';
import { formatLine } from '../../src/commands/log-line.ts';
import { nearest } from '../../src/shared/nearest.ts';
import { announce, runningServers } from '../../src/commands/running.ts';
import { table } from '../../src/commands/table.ts';
import { shipEstate } from '../../src/demo/home.ts';
import type { Json } from '../../src/shared/json.ts';
import { serverEvents } from '../../src/shared/net/event-stream.ts';
import { authorLogFile, createAuthorLog } from '../../src/tenants/author-log.ts';
import { cli, leasehold, ownUser, program, root } from '../helpers/cli.ts';
import { writeEstate } from '../helpers/estate.ts';

t.test('help names every command, and each command explains itself', async (t) => {
  const overview = await leasehold(['--help']);
  t.equal(overview.code, 0);
  t.equal(overview.stderr, '');
  for (const entry of table) {
    const command = await entry.load();
    t.equal(command.name, entry.name, 'the table tells the name of the command');
    t.equal(command.summary, entry.summary, 'the table tells the summary of the command');
    t.match(overview.stdout, `  ${entry.name} `);
    t.match(overview.stdout, entry.summary);
  }
  const short = await leasehold(['help', 'logs']);
  const long = await leasehold(['logs', '--help']);
  t.equal(short.code, 0);
  t.equal(short.stdout, long.stdout, '`help logs` and `logs --help` are the same');
  t.match(long.stdout, /^usage: leasehold logs \[tenant\]/);
  t.match(long.stdout, /-f, --follow +keep printing/);
});

t.test('a wrong command line is refused with exit code 2 and what to do', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /usage: leasehold <command>/],
    [['strat'], /✗ unknown command 'strat'\. Did you mean 'start'\?/],
    [['zzzzzz'], /✗ unknown command 'zzzzzz'\. leasehold --help lists them\./],
    [['help', 'tokne'], /Did you mean 'token'\?/],
    [['--jsno'], /✗ unknown option '--jsno'/],
    [['logs', '--wrong'], /✗ Unknown option '--wrong'\nusage: leasehold logs /],
    [['logs', 'a', 'b'], /✗ unexpected argument 'b'\nusage: leasehold logs /],
    [['logs', '--lines', 'many'], /✗ --lines takes a whole number\nusage: /],
    [['version', '--json=yes'], /✗ .*--json.*\nusage: leasehold version/],
  ];
  for (const [args, expected] of cases) {
    const { code, stdout, stderr } = await leasehold(args);
    t.equal(code, 2, args.join(' '));
    t.equal(stdout, '', 'nothing on stdout');
    t.match(stderr, expected);
    t.notMatch(stderr, /\n\s+at /, 'no stack');
  }
});

t.test('the version is that of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  t.equal((await leasehold(['--version'])).stdout, `${version}\n`);
  const json = await leasehold(['version', '--json']);
  t.match(JSON.parse(json.stdout), { leasehold: version, node: process.versions.node });
});

t.test('the entry refuses an old Node before it loads anything', async (t) => {
  const code = stripTypeScriptTypes(readFileSync(cli, 'utf8'));
  t.notMatch(code, /^\s*import\s[^(]/m, 'no static import');
  const [plain, old] = await Promise.all(
    ['esnext', 'node12.20'].map((target) => esbuild.transform(code, { target, format: 'esm', supported: {} })),
  );
  t.equal(old?.code, plain?.code, 'there is no syntax in it that Node 12 cannot parse');

  const oldNode = await findOldNode();
  if (oldNode === undefined) {
    t.pass('skipped: no Node older than 24 on the PATH of this machine');
    return;
  }
  const file = join(t.testdir(), 'cli.mjs');
  writeFileSync(file, code);
  const refused = await program(oldNode, [file, 'start']);
  t.equal(refused.code, 1);
  t.equal(refused.stdout, '');
  t.match(refused.stderr, /^leasehold needs Node\.js 24 or newer; this is v\d+\.\d+\.\d+ .*\n$/, 'one clear line');
});

async function findOldNode(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, 'node');
    const { stdout } = await program(file, ['--version']).catch(() => ({ stdout: '' }));
    if (/^v\d+/.test(stdout) && Number.parseInt(stdout.slice(1), 10) < 24) return file;
  }
  return undefined;
}

t.test('typos are recognised, other words are not', async (t) => {
  const words = ['demo', 'start', 'token', 'version'];
  for (const [typed, expected] of [
    ['strat', 'start'],
    ['STAR', 'start'],
    ['toekn', 'token'],
    ['vresoni', undefined],
    ['versoin', 'version'],
    ['x', undefined],
    ['d'.repeat(100_000), undefined],
  ] as const) {
    t.equal(nearest(typed, words), expected, typed.slice(0, 10));
  }
});

t.test('printed commands fit how the CLI was started', async (t) => {
  const script = '/clone/src/cli.ts';
  t.equal(invocationPrefix({ env: { npm_lifecycle_event: 'start' }, cwd: '/clone', script }), 'npm run leasehold --');
  t.equal(invocationPrefix({ env: {}, cwd: '/clone', script }), 'node src/cli.ts');
  t.equal(invocationPrefix({ env: {}, cwd: '/other', script }), 'node /clone/src/cli.ts');
  t.equal(
    invocationPrefix({ env: { npm_command: 'exec' }, cwd: '/x', script: '/x/node_modules/.bin/leasehold' }),
    'npx leasehold',
  );
  t.equal(invocationPrefix({ env: {}, cwd: '/x', script: '/usr/local/bin/leasehold' }), 'leasehold');
});

t.test('key=value words become arguments by the input schema', async (t) => {
  const schema: { [key: string]: Json } = {
    properties: {
      name: { type: 'string' },
      limit: { type: 'integer' },
      loud: { type: 'boolean' },
      tags: { type: 'array', items: { type: 'string' } },
      sizes: { type: 'array', items: { type: 'number' } },
      where: { type: 'object' },
      maybe: { type: ['string', 'null'] },
      level: { anyOf: [{ const: 1 }, { const: 2 }] },
    },
  };
  const parsed = (...words: string[]) => parseArguments(words, schema);
  t.strictSame(
    parsed('name=42', 'limit=20', 'loud=true'),
    { name: '42', limit: 20, loud: true },
    'a string stays what was typed',
  );
  t.strictSame(parsed('limit=many'), { limit: 'many' }, 'what does not fit is passed on for the tool to refuse');
  t.strictSame(parsed('tags=a', 'tags=1'), { tags: ['a', '1'] });
  t.strictSame(parsed('tags=one'), { tags: ['one'] });
  t.strictSame(parsed('sizes=[1,2.5]'), { sizes: [1, 2.5] });
  t.strictSame(parsed('sizes=3'), { sizes: [3] });
  t.strictSame(parsed('where={"a":{"b":1}}'), { where: { a: { b: 1 } } });
  t.strictSame(parsed('maybe=null', 'level=2'), { maybe: 'null', level: 2 });
  t.strictSame(parsed('unknown=7', 'name=a=b'), { unknown: '7', name: 'a=b' });
  t.strictSame(
    parseArguments(['name=B'], schema, { name: 'A', limit: 1 }),
    { name: 'B', limit: 1 },
    'words win over --args-json',
  );
  const odd = parsed('__proto__=x');
  t.ok(Object.hasOwn(odd, '__proto__'), 'a reserved word is an ordinary key');
  for (const bad of ['name', '=x']) t.throws(() => parsed(bad), UsageError, bad);
});

t.test('an event stream is read in whatever pieces it comes, up to its limit', async (t) => {
  const bytes = Buffer.from('event: message\ndata: {"a":"ü"}\n\n: comment\r\n\r\ndata:one\ndata: two\n\ndata: torn');
  const collect = async (size: number, limit = 10_000) => {
    const all: string[] = [];
    const pieces = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })();
    for await (const { data } of serverEvents(pieces, limit)) all.push(data);
    return all;
  };
  for (const size of [1, 2, 3, 7, 1000]) t.strictSame(await collect(size), ['{"a":"ü"}', 'one\ntwo'], `pieces of ${size}`);
  await t.rejects(collect(10, 8), /larger than 8 characters/);
});

t.test('failures say what to do next', async (t) => {
  const answer = {
    http: 200,
    correlation: undefined,
    result: {
      isError: true,
      content: [{ type: 'text', text: 'The arguments do not fit.' }],
      _meta: {
        'leasehold/error': {
          class: 'input',
          code: 'arguments_invalid',
          correlationId: '01JD',
          nextAction: { do: 'fix_arguments', path: '/name', reason: 'is required' },
        },
      },
    },
  };
  const failure = failureOf(answer, 'hello');
  t.ok(failure);
  if (failure !== undefined) {
    t.equal(failureLine(failure), '✗ input  arguments_invalid   hello: /name is required   next: fix_arguments   call 01JD\n');
  }
  t.equal(failureOf({ http: 200, correlation: undefined, result: { content: [] } }, 'hello'), undefined);
  const foreign = failureOf({ http: 200, correlation: undefined, error: { code: -1, message: 'a\u001b[2Jb' } }, 'x');
  t.equal(foreign && failureLine(foreign), '✗ error  -1   x: a\\x1b[2Jb\n', 'control characters are shown, not sent');
});

t.test('the author log is bounded, rotates, and is read back', async (t) => {
  const dataDir = t.testdir();
  const log = createAuthorLog(dataDir, { fileBytes: 2000, waitingBytes: 4000 });
  const heard: string[] = [];
  const stop = log.listen((line) => heard.push(line.message));
  log.write('acme', { level: 'info', message: 'first', tool: 'hello', call: '01JD', fields: { n: 1 } });
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  log.write('acme', { level: 'warn', message: 'not JSON', fields: circular });
  log.write('acme', { level: 'warn', message: 'long', fields: { text: 'x'.repeat(100_000) } });
  await log.flush();
  for (let i = 0; i < 100; i += 1) log.write('acme', { level: 'debug', message: `flood ${i} ${'.'.repeat(100)}` });
  await log.flush();
  log.write('globex', { level: 'error', message: 'boom', stack: 'TypeError: boom\n  at tools/x.ts:3:1', saw: 'tool_failed' });
  log.write('acme', { level: 'info', message: 'after' });
  log.write('../evil', { level: 'info', message: 'no such tenant' });
  stop();
  await log.close();
  log.write('acme', { level: 'info', message: 'too late' });

  t.equal(heard.length, 106);
  const file = authorLogFile(dataDir, 'acme');
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.ok(statSync(`${file}.1`).size <= 2000 + 4000 + 32_768);
  const lines = await lastLines(dataDir, ['acme', 'globex'], 1000);
  const messages = lines.map(({ message }) => message);
  t.ok(messages.includes('not JSON') && messages.includes('long') && messages.includes('after'));
  t.match(messages.find((message) => message.includes('dropped')) ?? '', /^\d+ log lines were dropped here$/);
  t.notOk(messages.includes('too late'));
  t.match(
    lines.find(({ message }) => message === 'first'),
    { tenant: 'acme', tool: 'hello', call: '01JD', fields: { n: 1 } },
  );
  t.throws(() => authorLogFile(dataDir, '../evil'), RangeError);

  const boom = lines.find(({ tenant }) => tenant === 'globex');
  t.ok(boom);
  if (boom === undefined) return;
  t.match(
    formatLine(boom, { colour: false }),
    /globex {2}- {2}error {2}boom {2}\(the caller saw: tool_failed\)\n {4}TypeError: boom\n/,
  );
  const nasty = { ...boom, message: 'a\u001b[31mb\nc', stack: undefined };
  t.match(
    formatLine(JSON.parse(JSON.stringify(nasty)), { colour: false }),
    'a\\x1b[31mb ⏎ c',
    'a tool cannot drive the terminal',
  );
});

t.test('new lines are followed through a rotation', async (t) => {
  const dataDir = t.testdir();
  const log = createAuthorLog(dataDir, { fileBytes: 200 });
  const stop = new AbortController();
  const followed = newLines(dataDir, [], stop.signal);
  const next = followed.next();
  for (let i = 0; i < 5; i += 1) {
    log.write('acme', { level: 'info', message: `line ${i} ä ${'.'.repeat(60)}` });
    await log.flush();
    const { value } = await (i === 0 ? next : followed.next());
    t.match(value, { tenant: 'acme', message: new RegExp(`^line ${i} ä`) });
  }
  stop.abort();
  t.equal((await followed.next()).done, true);
  await log.close();
});

t.test('a running server is found, a dead or damaged entry is not', async (t) => {
  const env = { XDG_STATE_HOME: t.testdir() };
  t.strictSame(runningServers(env), []);
  const server = { pid: process.pid, url: 'http://127.0.0.1:1', port: 1, estate: '/e', dataDir: '/d' };
  const withdraw = announce(env, server);
  const folder = join(env.XDG_STATE_HOME, 'leasehold', 'running');
  const child = await program(process.execPath, ['-p', 'process.pid']);
  const dead = Number(child.stdout);
  writeFileSync(join(folder, `${dead}.json`), JSON.stringify({ ...server, pid: dead }));
  writeFileSync(join(folder, '1.json'), '{"pid":1');
  writeFileSync(join(folder, '2.json'), JSON.stringify({ ...server, pid: 2, url: 'file:///etc/passwd' }));
  t.strictSame(runningServers(env), [server]);
  withdraw();
  t.strictSame(runningServers(env), []);
});

t.test('the demo estate is kept up to date, and what its user changed is kept', async (t) => {
  const home = join(t.testdir(), 'demo');
  await shipEstate(home, 'http://127.0.0.1:5001');
  const tenant = join(home, 'tenants', 'acme', 'tenant.json');
  const tool = join(home, 'tenants', 'acme', 'tools', 'travel.ts');
  t.match(readFileSync(tenant, 'utf8'), 'http://127.0.0.1:5001');
  t.ok(statSync(join(home, 'node_modules', 'convert', 'package.json')).isFile(), 'its npm package is there');

  const state = join(home, '.leasehold', 'demo.json');
  const shipped = readFileSync(tool, 'utf8');
  writeFileSync(tool, 'mine');
  await shipEstate(home, 'http://127.0.0.1:5002');
  t.equal(readFileSync(tool, 'utf8'), 'mine', 'a changed file is kept');

  const older = JSON.parse(readFileSync(state, 'utf8')) as { files: Record<string, string> };
  older.files['tenants/acme/tools/travel.ts'] = createHash('sha256').update('older release').digest('hex');
  writeFileSync(state, JSON.stringify(older));
  writeFileSync(tool, 'older release');
  await shipEstate(home, 'http://127.0.0.1:5002');
  t.equal(readFileSync(tool, 'utf8'), shipped, 'a file as an older release shipped it is brought up to date');

  writeFileSync(tenant, readFileSync(tenant, 'utf8').replace('Acme Travel', 'Mine'));
  await shipEstate(home, 'http://127.0.0.1:5003');
  t.match(readFileSync(tenant, 'utf8'), /"Mine"[^]*http:\/\/127\.0\.0\.1:5003/, 'the origin moves in a changed file too');
});

t.test('a folder that is no estate, and settings that are wrong, are refused with one line', async (t) => {
  const env = ownUser(t);
  const empty = t.testdir({ estate: { 'leasehold.json': '{ "listen": 1 }' } });
  const cases: [string[], RegExp][] = [
    [['start', empty], /^✗ .* is no estate: it has neither leasehold\.json nor tenants\/\n$/],
    [['start', join(empty, 'estate')], /^✗ leasehold\.json:1:\d+ .*listen/],
    [['start', join(empty, 'nothing')], /^✗ .* is no estate/],
    [['logs', '--estate', empty], /^nothing was logged yet\n$/],
    [['call', 'acme', 'hello'], /^✗ there is no estate here and no server runs; add --estate <folder>\n$/],
  ];
  for (const [args, expected] of cases) {
    const { stdout, stderr } = await leasehold(args, { env, cwd: empty });
    t.equal(stdout, '', args.join(' '));
    t.match(stderr, expected);
  }
});

t.test('what a tenant has is counted, and what it has not is left out but for tools', async (t) => {
  t.equal(inventoryOf(0, 0, 0), '0 tools');
  t.equal(inventoryOf(1, 0, 2), '1 tool, 2 resources');
  t.equal(inventoryOf(2, 1, 0), '2 tools, 1 prompt');
});

t.test('a supervisor under a debugger refuses to start', async (t) => {
  const env = ownUser(t);
  const estate = writeEstate(t, { tenants: {} });
  const args = ['--inspect=127.0.0.1:0', cli, 'start', estate, '--port', '0'];
  const refused = await program(process.execPath, args, { env });
  t.equal(refused.code, 1);
  t.match(refused.stderr, /the inspector is open/);
});
