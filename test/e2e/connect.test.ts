// `leasehold connect`: the entries of desktop clients, in files of a temporary home; what it writes is what a client would use.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'jsonc-parser';
import t, { type Test } from 'tap';
import { cli, leasehold, ownUser, program, serving } from '../helpers/cli.ts';
import { toolset, writeEstate } from '../helpers/estate.ts';
import { connectClient, connectStdio, type Started } from '../helpers/mcp-clients.ts';

const TOOLS = toolset(`who: defineTool({ description: 'who', handler: (_a, ctx) => ctx.subject }),`);
const FILES: { readonly [client: string]: string } = {
  vscode: '.config/Code/User/mcp.json',
  'claude-code': '.claude.json',
  'claude-desktop': '.config/Claude/claude_desktop_config.json',
  cursor: '.cursor/mcp.json',
};
const otherSystem = process.platform !== 'linux' && 'the places of Linux';

interface Home {
  readonly env: Record<string, string>;
  readonly estate: string;
  readonly file: (client: string) => string;
  readonly connect: (client: string, ...more: string[]) => ReturnType<typeof leasehold>;
}

function home(t: Test): Home {
  const env: Record<string, string> = { ...ownUser(t), XDG_CONFIG_HOME: '' };
  const estate = writeEstate(t, { server: { listen: '127.0.0.1:0' }, tenants: { work: { tools: { 'tools.ts': TOOLS } } } });
  return {
    env,
    estate,
    file: (client) => join(env['HOME'] ?? '', FILES[client] ?? ''),
    connect: (client, ...more) => leasehold(['connect', client, 'work', '--estate', estate, ...more], { env }),
  };
}

const entryIn = (text: string): any => {
  const { servers, mcpServers } = parse(text) as { servers?: any; mcpServers?: any };
  return (servers ?? mcpServers)['leasehold-work'];
};

t.test('each client gets an entry with which its kind of client works', { skip: otherSystem }, async (t) => {
  const { connect, env, estate, file } = home(t);
  const { ready } = await serving(t, ['start', estate], env);
  const endpoint = `${ready.url}/t/work/mcp`;
  for (const client of Object.keys(FILES)) {
    const printed = await connect(client, '--subject', 'ada');
    t.equal(printed.code, 0, printed.stderr);
    t.match(printed.stderr, file(client), 'says which file it is for');
    t.notOk(existsSync(file(client)), 'and leaves it alone');
    const written = await connect(client, '--subject', 'ada', '--write');
    t.equal(written.code, 0, written.stderr);
    t.match(written.stderr, /estart|start it/, 'what to do next');
    const text = readFileSync(file(client), 'utf8');
    t.same(parse(text), JSON.parse(printed.stdout), 'printed and written are the same');
    t.equal(statSync(file(client)).mode & 0o777, 0o600);
    const entry = entryIn(text);
    if (client === 'claude-desktop') {
      t.notMatch(text, /lh_work_/, 'no token');
      t.ok(isAbsolute(entry.command) && isAbsolute(entry.args[0]));
      const started: Started = { command: entry.command, args: entry.args, env: { ...env, ...entry.env } };
      await using real = await connectStdio('sdk 1.32', started);
      t.strictSame(await real.list(), ['who']);
    } else {
      t.equal(entry.url, endpoint);
      if (client !== 'cursor') t.equal(entry.type, 'http');
      const token = entry.headers.Authorization.replace('Bearer ', '');
      await using real = await connectClient('client 2.4 auto', entry.url, token);
      t.strictSame(await real.list(), ['who']);
    }
    const again = await connect(client, '--subject', 'ada', '--write');
    t.match(again.stderr, /stands in .* already/);
    t.equal(readFileSync(file(client), 'utf8'), text, 'nothing changes the second time');
    t.strictSame(
      readdirSync(dirname(file(client))).filter((name) => name.includes(basename(file(client)))),
      [basename(file(client))],
    );
  }
});

t.test('a file of somebody else keeps all that is in it', { skip: otherSystem }, async (t) => {
  const { connect, file } = home(t);
  for (const client of Object.keys(FILES)) {
    const member = client === 'vscode' ? 'servers' : 'mcpServers';
    const before = `\uFEFF// mine\n{\n\t/* all of them */\n\t"${member}": {\n\t\t"other": { "command": "x", "args": ["//no comment"] }, // keep\n\t},\n\t"theme": "dark", // last\n}\n`;
    mkdirSync(dirname(file(client)), { recursive: true });
    const real = `${file(client)}.real`;
    writeFileSync(real, before, { mode: 0o644 });
    symlinkSync(real, file(client));
    const written = await connect(client, '--write');
    t.equal(written.code, 0, written.stderr);
    const after = readFileSync(real, 'utf8');
    t.ok(after.startsWith('\uFEFF// mine\n{\n\t/* all of them */\n'));
    for (const kept of ['"other": { "command": "x", "args": ["//no comment"] }', '// keep', '"theme": "dark", // last']) {
      t.ok(after.includes(kept), `${client}: ${kept}`);
    }
    t.match(after, /\n\t\t"leasehold-work": \{\n\t\t\t"/, 'indented as the rest');
    t.equal(readFileSync(`${real}.leasehold-backup`, 'utf8'), before, 'as it was, beside it');
    t.equal(statSync(`${real}.leasehold-backup`).mode & 0o777, 0o600);
    t.equal(statSync(real).mode & 0o777, client === 'claude-desktop' ? 0o644 : 0o600, 'private where it holds a token');
    // What the user adds to the entry stays when it changes.
    writeFileSync(real, after.replace('"leasehold-work": {', '"leasehold-work": { "disabled": false, // my own\n'));
    t.equal((await connect(client, '--write', '--subject', 'bob')).code, 0);
    const changed = readFileSync(real, 'utf8');
    t.match(changed, /"disabled": false, \/\/ my own/);
    t.match(entryIn(changed.slice(1)), { disabled: false });
    t.not(changed, after);
  }
});

t.test('a file that is not valid is refused and left alone', { skip: otherSystem }, async (t) => {
  const { connect, file } = home(t);
  const bad: [text: string, why: RegExp][] = [
    ['{\n  "mcpServers": {\n    "a": }\n}', /not valid JSON \(line 3: /],
    ['[]', /holds no JSON object/],
    ['{"servers": [], "mcpServers": []}', /has a '(servers|mcpServers)' that is no object/],
    ['{"a": 1', /not valid JSON/],
  ];
  for (const client of Object.keys(FILES)) {
    mkdirSync(dirname(file(client)), { recursive: true });
    for (const [text, why] of bad) {
      writeFileSync(file(client), text);
      const refused = await connect(client, '--write');
      t.equal(refused.code, 1);
      t.match(refused.stderr, why);
      t.match(refused.stderr, /nothing was changed/);
      t.equal(readFileSync(file(client), 'utf8'), text);
      t.notOk(existsSync(`${file(client)}.leasehold-backup`));
    }
  }
  writeFileSync(file('cursor'), Buffer.from([0x7b, 0xff, 0x7d]));
  t.match(await connect('cursor', '--write'), { code: 1, stderr: /it is no text/ });
  writeFileSync(file('cursor'), '');
  t.match(await connect('cursor', '--write'), { code: 0 }, 'an empty one is a new one');
  if (process.getuid?.() !== 0) {
    chmodSync(dirname(file('cursor')), 0o500);
    t.match(await connect('cursor', '--write', '--subject', 'eve'), { code: 1, stderr: /cannot be written/ });
    chmodSync(dirname(file('cursor')), 0o700);
  }
});

t.test('wrong words, and a server elsewhere', { skip: otherSystem }, async (t) => {
  const { connect, env, file } = home(t);
  t.match(await connect('emacs'), { code: 2, stderr: /none of vscode, claude-code, claude-desktop, cursor/ });
  t.match(await leasehold(['connect', 'cursor', 'nope'], { env }), { code: 1 });
  const away = (client: string, token?: string) =>
    leasehold(['connect', client, 'work', '--url', 'https://mcp.example.com/base/', '--write'], {
      env: { ...env, ...(token === undefined ? {} : { LEASEHOLD_TOKEN: token }) },
    });
  t.match(await away('cursor'), { code: 1, stderr: /LEASEHOLD_TOKEN/ });
  t.match(await away('claude-desktop', 'lh_work_x'), { code: 2, stderr: /add --keychain/ });
  t.match(await away('cursor', 'lh_work_x'), { code: 0 });
  t.same(entryIn(readFileSync(file('cursor'), 'utf8')), {
    url: 'https://mcp.example.com/base/t/work/mcp',
    headers: { Authorization: 'Bearer lh_work_x' },
  });
});

// ---- the keychain ----------------------------------------------------------------------------------------------
const session = fileURLToPath(new URL('../fixtures/vault/keychain-session.sh', import.meta.url));
const missing = ['dbus-run-session', 'gnome-keyring-daemon'].filter(
  (name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
);
const noKeychain = otherSystem || (missing.length > 0 && `not installed: ${missing.join(', ')}`);

t.test('a token in the keychain: made once, in no file, and used', { skip: noKeychain }, async (t) => {
  const { env, estate, file } = home(t);
  for (const folder of [join(env['HOME'] ?? '', '../run'), env['XDG_DATA_HOME'] ?? '']) mkdirSync(folder, { mode: 0o700 });
  const { ready } = await serving(t, ['start', estate], env);
  const inSession = (command: string, input = '') =>
    program('dbus-run-session', ['--', 'sh', session, 'unlocked', 'sh', '-c', command], {
      env: {
        ...env,
        XDG_RUNTIME_DIR: join(env['HOME'] ?? '', '../run'),
        NODE: process.execPath,
        CLI: cli,
        ESTATE: estate,
        INPUT: input,
      },
    });
  const wrote = await inSession('"$NODE" "$CLI" connect claude-code work --estate "$ESTATE" --subject ada --keychain --write');
  t.equal(wrote.code, 0, wrote.stderr);
  const text = readFileSync(file('claude-code'), 'utf8');
  t.notMatch(text, /lh_work_/);
  const { args, command, type } = entryIn(text);
  t.equal(type, 'stdio');
  t.equal(command, process.execPath);
  t.strictSame(args, [cli, 'stdio', '--tenant', 'work', '--estate', estate, '--keychain']);
  const list = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'who', arguments: {}, _meta: META } };
  const asked = 'printf "%s\\n" "$INPUT" | "$NODE" "$CLI" stdio --tenant work --estate "$ESTATE" --keychain';
  const used = await inSession(asked, JSON.stringify(list));
  t.match(JSON.parse(used.stdout), { id: 1, result: { content: [{ text: 'ada' }] } }, used.stderr);
  const twice = await inSession('"$NODE" "$CLI" connect claude-code work --estate "$ESTATE" --subject ada --keychain --write');
  t.equal(twice.code, 0, twice.stderr);
  const tokens = await leasehold(['token', 'list', 'work', '--estate', estate, '--json'], { env });
  t.equal(JSON.parse(tokens.stdout).length, 1, 'one token, however often it is asked for');
  const made = await inSession('"$NODE" "$CLI" token create work --estate "$ESTATE" --subject bob --keychain');
  t.match(made, { code: 0, stdout: '', stderr: /It is in the keychain/ });
  const bob = await inSession(asked.replace(' --keychain', ''), JSON.stringify(list));
  t.match(JSON.parse(bob.stdout), { result: { content: [{ text: 'bob' }] } }, 'found without being told');
  t.ok(ready.url);
  const without = await program(
    process.execPath,
    [cli, 'token', 'create', 'work', '--estate', estate, '--subject', 'eve', '--keychain'],
    {
      env: { ...env, DBUS_SESSION_BUS_ADDRESS: '', DISPLAY: '' },
    },
  );
  t.match(without, { code: 1, stdout: '', stderr: /keychain/ });
  const after = await leasehold(['token', 'list', 'work', '--estate', estate, '--json'], { env });
  t.notMatch(after.stdout, /eve/, 'a token that cannot be kept is not made');
});

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
