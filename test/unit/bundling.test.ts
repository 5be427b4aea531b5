// What a bundle may be made of: every way out that is known, each of the two walls alone, and problems with their places.
import '../helpers/bare-children.ts';
import { spawnSync } from 'node:child_process';
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { builtinModules, SourceMap } from 'node:module';
import { dirname, join } from 'node:path';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import type { BundleOrder } from '../../src/boundary/bundling.ts';
import { ALLOWED_BUILTINS } from '../../src/shared/allowed-builtins.ts';
import { BUNDLING_LIMITS } from '../../src/shared/bundling-limits.ts';
import { type Bundled, BundlerChild } from '../../src/tenants/toolset/bundler-child.ts';

const SECRET = 'CANARY-7f3a';

class Estate {
  readonly dir: string;
  readonly #child: BundlerChild;
  readonly order: BundleOrder;

  constructor(t: Test) {
    this.dir = realpathSync(t.testdir({ empty: {} }));
    for (const folder of ['tenants/acme/tools', 'shared', 'node_modules', '.leasehold'])
      mkdirSync(join(this.dir, folder), { recursive: true });
    // What must never be read: another tenant, the data folder, the estate's own file, a library outside.
    this.write('tenants/globex/tenant.json', JSON.stringify({ name: SECRET }));
    this.write('tenants/globex/tools/g.ts', `export const g = '${SECRET}';`);
    this.write('tenants/globex/node_modules/theirs/index.js', `module.exports = '${SECRET}';`);
    this.write('.leasehold/master.json', JSON.stringify(SECRET));
    this.write('.leasehold/master.txt', SECRET);
    this.write('leasehold.json', JSON.stringify({ x: SECRET }));
    this.write('outside/index.js', `module.exports = '${SECRET}';`);
    this.write('outside/package.json', '{"name":"outside"}');
    this.order = {
      estate: this.dir,
      tenant: join(this.dir, 'tenants/acme'),
      shared: join(this.dir, 'shared'),
      libraries: [join(this.dir, 'node_modules')],
      runtime: 'sandbox',
      entries: ['tools/a.ts'],
    };
    this.#child = new BundlerChild(this.order, join(this.dir, 'empty'));
    t.teardown(() => this.#child.end());
  }
  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.dir, path)), { recursive: true });
    writeFileSync(join(this.dir, path), text);
  }
  link(path: string, target: string): void {
    mkdirSync(dirname(join(this.dir, path)), { recursive: true });
    symlinkSync(target, join(this.dir, path));
  }
  async bundle(source?: string): Promise<Bundled> {
    if (source !== undefined) this.write('tenants/acme/tools/a.ts', source);
    return this.#child.bundle(this.order);
  }
  async problems(source?: string) {
    const { answer } = await this.bundle(source);
    return answer.ok ? [] : answer.problems;
  }
}

function run(bundled: Bundled, modules: Record<string, unknown> = {}): { toolsets: { toolset: unknown }[] } {
  if (!('script' in bundled)) throw new Error(JSON.stringify(bundled.answer));
  const module = { exports: {} as { toolsets: { toolset: unknown }[] } };
  const require = (name: string) => {
    if (name in modules) return modules[name];
    throw new Error(`no ${name}`);
  };
  runInNewContext(bundled.script.toString(), { module, exports: module.exports, require });
  return module.exports;
}

t.test('a bundle of own, shared and library files', async (t) => {
  const estate = new Estate(t);
  estate.write('tenants/acme/lib/b.ts', 'import { s } from "../../../shared/s.ts"; export const b: string = `b${s}`;');
  estate.write('tenants/acme/data.json', '{"n": 1}');
  estate.write('shared/s.ts', 'export const s = "s";');
  estate.write(
    'node_modules/lib/package.json',
    '{"name":"lib","exports":{".":{"node":"./node.js","browser":"./web.js"},"./sub/*":"./s/*.js"}}',
  );
  estate.write('node_modules/lib/web.js', 'module.exports = "web " + require("#in") + require("dep");');
  estate.write(
    'node_modules/lib/package.json',
    '{"name":"lib","imports":{"#in":"./in.js"},"exports":{".":{"node":"./node.js","browser":"./web.js"},"./sub/*":"./s/*.js"}}',
  );
  estate.write('node_modules/lib/in.js', 'module.exports = "in";');
  estate.write('node_modules/lib/s/x.js', 'exports.x = "sub";');
  estate.write('node_modules/lib/node_modules/dep/package.json', '{"name":"dep","main":"./m"}');
  estate.write('node_modules/lib/node_modules/dep/m.js', 'module.exports = "nested";');
  const bundled = await estate.bundle(`
    import { b } from '../lib/b.js'; import data from '../data.json' with { type: 'json' };
    import lib from 'lib'; import { x } from 'lib/sub/x'; import { parse } from 'node:path'; import { Type } from 'leasehold';
    export default { b, data, lib, x, parse, Type };`);
  const { toolsets } = run(bundled, { 'node:path': { parse: 1 }, leasehold: { Type: 2 } });
  t.match(toolsets, [
    { file: 'tools/a.ts', toolset: { b: 'bs', data: { n: 1 }, lib: 'web innested', x: 'sub', parse: 1, Type: 2 } },
  ]);
  if (!('script' in bundled)) return;
  t.notMatch(bundled.script.toString(), estate.dir, 'names no path of this machine');
  t.notMatch(bundled.map.toString(), estate.dir);
  const names = bundled.answer.inputs.map((input) => input.path.slice(estate.dir.length + 1));
  for (const file of [
    'tenants/acme/tools/a.ts',
    'tenants/acme/lib/b.ts',
    'tenants/acme/data.json',
    'shared/s.ts',
    'node_modules/lib/package.json',
  ]) {
    t.ok(names.includes(file), `${file} is an input`);
  }
  t.strictSame(bundled.answer.absent, [join(estate.dir, 'tenants/acme/lib/b.js')], 'what was tried in vain');
  const same = await estate.bundle();
  t.ok('script' in same && same.script.equals(bundled.script), 'the same sources give the same bytes');
});

t.test('every way out is refused, and nothing of it is in the answer', async (t) => {
  const estate = new Estate(t);
  estate.link('tenants/acme/tools/link.ts', '../../globex/tools/g.ts');
  estate.link('tenants/acme/tools/dirlink', '../../globex/tools');
  estate.link('tenants/acme/abs.json', join(estate.dir, '.leasehold/master.json'));
  estate.link('shared/out', '../outside');
  estate.link('node_modules/linked', '../outside');
  estate.link('node_modules/@scope/linked', '../../outside');
  estate.write('node_modules/climber/package.json', '{"name":"climber","main":"../../tenants/globex/tools/g.ts"}');
  estate.write('node_modules/climber2/package.json', '{"name":"climber2","exports":"./../../outside/index.js"}');
  estate.write(
    'node_modules/climber3/package.json',
    '{"name":"climber3","main":"i.js","browser":{"./x.js":"../../outside/index.js"}}',
  );
  estate.write('node_modules/climber3/i.js', 'module.exports = require("./x.js");');
  estate.write('node_modules/climber4/package.json', '{"name":"climber4","main":"i.js"}');
  estate.write('node_modules/climber4/i.js', 'module.exports = require("../../outside/index.js");');
  estate.write('node_modules/filelink/package.json', '{"name":"filelink","main":"i.js"}');
  estate.link('node_modules/filelink/i.js', '../../outside/index.js');
  estate.write(
    'tenants/acme/tsconfig.json',
    '{"compilerOptions":{"baseUrl":"../globex","paths":{"g":["tools/g.ts"],"~/*":["../globex/*"]}}}',
  );
  estate.write('tenants/acme/node_modules/mine/index.js', 'module.exports = 1;');
  const specifiers = [
    '../../globex/tenant.json',
    '../../globex/tools/g',
    '../../globex',
    '../../../leasehold.json',
    '../../../.leasehold/master.json',
    '../../../.leasehold/master.txt',
    '..',
    './../../globex/tools/g.ts',
    '../../../../../../../../etc/hostname',
    './link.ts',
    './link',
    './dirlink/g.ts',
    '../abs.json',
    '../../../shared/out/index.js',
    'linked',
    '@scope/linked',
    'climber',
    'climber2',
    'climber3',
    'climber4',
    'filelink',
    'g',
    '~/tools/g',
    'theirs',
    'mine',
    'lib/../../outside',
    '../node_modules/../../globex/tools/g',
    '%2e%2e/globex',
    '#g',
    join(estate.dir, 'tenants/globex/tools/g.ts'),
    '/etc/hostname',
    '//etc/hostname',
    `file://${estate.dir}/leasehold.json`,
    'file:../../globex/tenant.json',
    'data:text/javascript,export default 1',
    'http://127.0.0.1/x.js',
    'https://esm.sh/x',
    'C:\\\\x',
    '\\\\\\\\host\\\\x',
    'node:fs',
    'fs',
    'node:child_process',
    'node:module',
    'node:sqlite',
    'node:nonsense',
    'bun:sqlite',
    'leasehold/runtime',
    'typebox/../outside',
  ];
  // These are refused inside the library, once.
  const inLibrary = new Set(['climber3', 'climber4']);
  for (const specifier of specifiers) {
    const bundled = await estate.bundle(
      `import a from '${specifier}';\nconst b = require('${specifier}');\nexport default [a, b,\nimport('${specifier}')];`,
    );
    t.notMatch(JSON.stringify(bundled), SECRET, 'not even quoted');
    const problems = bundled.answer.ok ? [] : bundled.answer.problems;
    t.equal(problems.length, inLibrary.has(specifier) ? 1 : 3, `${specifier}: by import, require and import()`);
    for (const problem of problems) t.match(problem, { reason: String, file: /^(?:tenants\/acme|shared|node_modules)/ });
  }
  for (const type of ['text', 'bytes', 'file', 'css', 'copy']) {
    const file = type === 'text' ? './t.txt' : './t.json';
    estate.write('tenants/acme/tools/t.txt', 'text');
    estate.write('tenants/acme/tools/t.json', '1');
    t.match(await estate.problems(`import x from '${file}' with { type: '${type}' }; export default x;`), [
      { reason: /import attribute/ },
    ]);
  }
  for (const name of ['t.txt', 'x.tsx', 'x.css', 'x.wasm', 'x.node', 'noext']) {
    estate.write(`tenants/acme/tools/${name}`, 'text');
    t.match(
      await estate.problems(`import x from './${name}'; export default x;`),
      [{ reason: /neither TypeScript, JavaScript nor JSON/ }],
      name,
    );
  }
});

t.test('a refused require that the code handles is left to fail in the thread', async (t) => {
  const estate = new Estate(t);
  const bundled = await estate.bundle(`let c = 'none'; try { c = require('crypto'); } catch {} export default c;`);
  t.match(run(bundled).toolsets, [{ toolset: 'none' }]);
  estate.write('node_modules/soft/package.json', '{"name":"soft","main":"i.js","browser":{"fs":false,"crypto":"./c.js"}}');
  estate.write('node_modules/soft/i.js', 'module.exports = [require("fs"), require("crypto")];');
  estate.write('node_modules/soft/c.js', 'module.exports = "own";');
  t.strictSame(
    JSON.stringify(run(await estate.bundle(`import s from 'soft'; export default s;`)).toolsets[0]?.toolset),
    '[{},"own"]',
  );
});

t.test('each wall holds alone', async (t) => {
  const estate = new Estate(t);
  // The permission model, without the plugin: a process with the child's flags reads as it likes.
  const probe = `
    const fs = require('node:fs'); const out = {};
    for (const path of JSON.parse(process.argv[1])) { try { fs.readFileSync(path); out[path] = 'read'; } catch (e) { out[path] = e.code; } }
    try { require('node:child_process').spawnSync('true'); out.spawn = 'ran'; } catch (e) { out.spawn = e.code; }
    console.log(JSON.stringify(out));`;
  estate.write('tenants/acme/tools/a.ts', '1');
  const paths = [
    'tenants/acme/tools/a.ts',
    'tenants/globex/tenant.json',
    '.leasehold/master.txt',
    'leasehold.json',
    'tenants/acme/../globex/tools/g.ts',
  ].map((path) => `${estate.dir}/${path}`);
  const flags = [
    '--permission',
    ...[estate.order.tenant, estate.order.shared, ...estate.order.libraries].map((dir) => `--allow-fs-read=${dir}`),
  ];
  const { stdout } = spawnSync(process.execPath, [...flags, '-e', probe, JSON.stringify([...paths, '/etc/hostname'])], {
    cwd: join(estate.dir, 'empty'),
    env: {},
    encoding: 'utf8',
  });
  const seen = JSON.parse(stdout) as Record<string, string>;
  t.equal(seen[paths[0] as string], 'read');
  for (const path of [...paths.slice(1), '/etc/hostname', 'spawn']) t.equal(seen[path], 'ERR_ACCESS_DENIED', path);

  // The fence, without the permission model: the build itself in this process, which may read everything.
  const { bundle } = await import('../../workers/bundler/bundle.ts');
  estate.link('tenants/acme/tools/link.ts', '../../globex/tools/g.ts');
  for (const specifier of ['../../globex/tenant.json', './link.ts', '../../../.leasehold/master.json', 'theirs']) {
    estate.write('tenants/acme/tools/a.ts', `import x from '${specifier}'; export default x;`);
    const bundled = await bundle(estate.order);
    t.equal(bundled.answer.ok, false, specifier);
    t.notMatch(JSON.stringify(bundled.answer), SECRET);
  }
});

t.test('forbidden built-ins are named with library, chain and what to use', async (t) => {
  const estate = new Estate(t);
  estate.write('node_modules/jwt/package.json', '{"name":"jwt","main":"i.js"}');
  estate.write('node_modules/jwt/i.js', 'const jws = require("jws");\nmodule.exports = jws;');
  estate.write('node_modules/jws/package.json', '{"name":"jws","main":"i.js"}');
  estate.write('node_modules/jws/i.js', '\n  const c = require("crypto"); module.exports = c;');
  t.match(await estate.problems(`import jwt from 'jwt'; export default jwt;`), [
    {
      file: 'node_modules/jws/i.js',
      line: 2,
      column: 21,
      reason:
        /"crypto" is a Node built-in.*through tenants\/acme\/tools\/a\.ts -> node_modules\/jwt\/i\.js -> node_modules\/jws\/i\.js/,
      hint: /crypto\.randomUUID/,
    },
  ]);
  const forbidden = builtinModules.filter((name) => !ALLOWED_BUILTINS.includes(name.replace(/^node:/, '')));
  const problems = await estate.problems(
    `${forbidden.map((name, i) => `import m${i} from '${name}';`).join('\n')}\nexport default [${forbidden.map((_, i) => `m${i}`).join()}];`,
  );
  t.equal(problems.length, Math.min(forbidden.length, BUNDLING_LIMITS.problems));
  for (const problem of problems) t.ok(problem.hint, problem.reason);
});

t.test('problems in the sources have their place', async (t) => {
  const estate = new Estate(t);
  t.match(await estate.problems('export default 1;\n\n  const x: = 3;'), [
    { file: 'tenants/acme/tools/a.ts', line: 3, column: 12, reason: /Unexpected/ },
  ]);
  t.match(await estate.problems('const x = 1;\n  await x; export default x;'), [
    { file: 'tenants/acme/tools/a.ts', line: 2, column: 3, reason: /top-level await/, hint: /handler/ },
  ]);
  estate.write('tenants/acme/lib/tla.ts', '\nexport const y = await 1;');
  t.match(await estate.problems('import { y } from "../lib/tla.ts"; export default y;'), [
    { file: 'tenants/acme/lib/tla.ts', line: 2, reason: /top-level await/ },
  ]);
  t.match(await estate.problems('import x from "./gone.ts"; export default x;'), [
    { line: 1, column: 15, reason: /does not exist/ },
  ]);
  t.match(await estate.problems('import x from "left-pad"; export default x;'), [
    { reason: /not in the estate's node_modules/, hint: /npm install left-pad/ },
  ]);
  estate.write('tenants/acme/bad.json', '{"a":\n tru}');
  t.match(await estate.problems('import x from "../bad.json"; export default x;'), [{ file: 'tenants/acme/bad.json', line: 2 }]);
});

t.test('large, many and deep sources end in a problem', async (t) => {
  const estate = new Estate(t);
  estate.write('tenants/acme/big.ts', `export const x = '${'x'.repeat(BUNDLING_LIMITS.fileBytes)}';`);
  t.match(await estate.problems('import { x } from "../big.ts"; export default x;'), [{ reason: /larger than/ }]);
  const many = BUNDLING_LIMITS.files + 10;
  for (let i = 0; i < many; i += 1) estate.write(`tenants/acme/m/${i}.ts`, i < 300 ? `import "./${i + 1}.ts";` : '');
  t.strictSame(await estate.problems('import "../m/0.ts"; export default 1;'), [], 'a deep chain is fine');
  const all = Array.from({ length: many }, (_, i) => `import "../m/${i}.ts";`).join('\n');
  t.match((await estate.problems(`${all}\nexport default 1;`))[0], { reason: /too many/ });
  estate.write('tenants/acme/deep.json', `${'['.repeat(200_000)}${']'.repeat(200_000)}`);
  t.equal(
    (await estate.bundle('import x from "../deep.json"; export default x;')).answer.ok,
    false,
    'whatever it does to the parser',
  );
});

t.test('a child that stops is a problem, not a hang', async (t) => {
  const estate = new Estate(t);
  const child = new BundlerChild(estate.order, join(estate.dir, 'empty'));
  const pending = child.bundle(estate.order);
  child.end();
  t.match(await pending, { answer: { ok: false, problems: [{ reason: /bundler stopped/ }] } });
  t.ok(child.ended);
  t.match(await child.bundle(estate.order), { answer: { ok: false } });
});

t.test('the source map gives the position in the source', async (t) => {
  const estate = new Estate(t);
  estate.write(
    'shared/fail.ts',
    'type Long = { a: 1; b: 2 };\nexport function fail(x: Long | 1): never {\n  throw new Error(String(x));\n}',
  );
  const bundled = await estate.bundle('import { fail } from "../../../shared/fail.ts";\nexport default () => fail(1);');
  if (!('script' in bundled)) throw new Error('no bundle');
  const module = { exports: {} as { toolsets: { toolset(): void }[] } };
  runInNewContext(bundled.script.toString(), { module, exports: module.exports }, { filename: 'bundle.js' });
  try {
    module.exports.toolsets[0]?.toolset();
  } catch (error) {
    const [, line, column] = /bundle\.js:(\d+):(\d+)/.exec(String((error as Error).stack)) ?? [];
    const entry = new SourceMap(JSON.parse(bundled.map.toString())).findEntry(Number(line) - 1, Number(column) - 1);
    t.match(entry, { originalSource: 'shared/fail.ts', originalLine: 2, originalColumn: 8 });
  }
});
