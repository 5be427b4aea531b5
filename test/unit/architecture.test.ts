// The rooms keep to their arrows: walks the imports of the product's own files and of planted wrong ones.
// Not responsible for lint rules (oxlint has them) or for what a worker can reach at run time (test/isolation).
// Invariant: each rule is shown red on a tree with exactly that fault before it is trusted on the real one.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { checkArchitecture, type PackageFacts, roomOf, tableCycles } from './architecture/check.ts';
import { ROOMS } from './architecture/rules.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

function factsOf(file: string): PackageFacts {
  const pkg = JSON.parse(readFileSync(file, 'utf8')) as {
    name: string;
    dependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
  };
  return { name: pkg.name, dependencies: Object.keys({ ...pkg.dependencies, ...pkg.optionalDependencies }) };
}

await t.test('the product keeps to its arrows', async (t) => {
  t.strictSame(checkArchitecture(root, factsOf(`${root}/package.json`)), []);
});

await t.test('the table of rooms', async (t) => {
  t.strictSame(tableCycles(), [], 'has no cycle');
  for (const [name, room] of Object.entries(ROOMS)) {
    for (const other of room.runs) t.ok(ROOMS[other], `${name} -> ${other} is a room`);
  }
  t.equal(roomOf('src/demo/estate/tenants/acme/tools/a.ts'), 'src/demo/estate', 'the longest name wins');
  t.equal(roomOf('workers/tools.ts'), 'workers');
  t.equal(roomOf('src/elsewhere/a.ts'), undefined);
});

await t.test('a planted fault is found', async (t) => {
  const facts: PackageFacts = { name: 'leasehold', dependencies: ['fastify', 'piscina', 'typebox'] };
  const c = '// What it is.\n';
  const clean = {
    'src/shared/errors.ts': `${c}export const e = 1;\n`,
    'src/boundary/frames.ts': `${c}import { e } from '../shared/errors.ts';\nexport const f = e;\nexport type F = 1;\n`,
    'src/hosts/pool.ts': `${c}import type { F } from '../boundary/frames.ts';\nexport type Pool = F;\n`,
    'src/hosts/hosts.ts': `${c}import { f } from '../boundary/frames.ts';\nexport const h = f;\n`,
    'src/mcp/classify.ts': `${c}import type { Pool } from '../hosts/pool.ts';\nexport type P = Pool;\n`,
    'workers/host.ts': `${c}import { Piscina } from 'piscina';\nimport { f } from '../src/boundary/frames.ts';\nexport const x = [Piscina, f];\n`,
  };
  type Tree = Record<string, string>;
  function found(t: Test, more: Tree): string[] {
    const tree: { [name: string]: Tree | string } = {};
    for (const [path, text] of Object.entries<string>({ ...clean, ...more })) {
      let at = tree as Record<string, Tree & string>;
      const parts = path.split('/');
      for (const folder of parts.slice(0, -1)) at = (at[folder] ??= {} as Tree & string) as unknown as typeof at;
      at[parts.at(-1) as string] = text as Tree & string;
    }
    return checkArchitecture(t.testdir(tree), facts);
  }
  const faults: [name: string, file: string, text: string, expected: RegExp][] = [
    ['a wrong arrow', 'src/mcp/a.ts', `import { h } from '../hosts/hosts.ts';`, /^src\/mcp\/a\.ts:2: runs src\/hosts\/hosts\.ts/],
    ['a wrong arrow by re-export', 'src/mcp/a.ts', `export * from '../hosts/hosts.ts';`, /:2: runs src\/hosts/],
    ['a wrong arrow by import()', 'src/mcp/a.ts', `await import('../hosts/hosts.ts');`, /:2: runs src\/hosts/],
    ['a wrong arrow hidden beside a type', 'src/mcp/a.ts', `import { type P, h } from '../hosts/hosts.ts';`, /runs src\/hosts/],
    ['a contract that is run', 'src/mcp/a.ts', `import { Pool } from '../hosts/pool.ts';`, /runs src\/hosts\/pool/],
    ['a type that is no contract', 'src/mcp/a.ts', `import type { H } from '../hosts/hosts.ts';`, /which is no contract/],
    ['an inline import type', 'src/mcp/a.ts', `export type H = import('../hosts/hosts.ts').H;`, /which is no contract/],
    ['a worker that knows the supervisor', 'workers/a.ts', `import type { P } from '../src/hosts/pool.ts';`, /no contract/],
    ['a computed import', 'src/mcp/a.ts', `export const m = (n: string) => import(n);`, /computed specifier/],
    ['a missing extension', 'src/hosts/a.ts', `import { h } from './hosts';`, /write the extension/],
    ['piscina outside workers/', 'src/hosts/a.ts', `import { Piscina } from 'piscina';`, /piscina, which belongs to workers/],
    ['fastify outside src/server', 'src/mcp/a.ts', `import type { X } from 'fastify';`, /fastify, which belongs to src\/server/],
    ['a plugin of fastify outside src/server', 'src/mcp/a.ts', `import x from '@fastify/cookie';`, /belongs to src\/server/],
    ['a package that is not installed for users', 'src/mcp/a.ts', `import x from 'tap';`, /not in "dependencies"/],
    ['its own front door', 'src/mcp/a.ts', `import { x } from 'leasehold';`, /its own package/],
    ['a room nobody decided on', 'src/elsewhere/a.ts', '', /^src\/elsewhere\/a\.ts: is in no room/],
    ['a name that says nothing', 'src/mcp/utils.ts', '', /'utils' names nothing/],
    ['a file name in camel case', 'src/mcp/toolsCall.ts', '', /not kebab-case/],
    ['a file that is too long', 'src/mcp/a.ts', '\n'.repeat(399), /has 401 lines/],
    ['a file that does not parse', 'src/mcp/a.ts', 'const = 1;', /does not parse/],
  ];
  t.strictSame(found(t, {}), [], 'the clean tree is clean');
  for (const [name, file, text, expected] of faults) {
    await t.test(name, async (t) => {
      const all = found(t, { [file]: `${c}${text}\n` });
      t.match(all, [expected]);
      t.equal(all.length, 1, all.join('\n'));
    });
  }
  await t.test('a file without a comment', async (t) => {
    t.match(found(t, { 'src/mcp/a.ts': 'export const a = 1;\n' }), [/does not open with a comment/]);
    t.strictSame(found(t, { 'src/cli.ts': '#!/usr/bin/env node\n// What it is.\n' }), [], 'a shebang may stand before it');
  });
  await t.test('a cycle', async (t) => {
    const all = found(t, {
      'src/mcp/a.ts': `${c}export { b } from './b.ts';\n`,
      'src/mcp/b.ts': `${c}export const b = () => import('./a.ts');\n`,
    });
    t.strictSame(all, ['cycle: src/mcp/a.ts -> src/mcp/b.ts -> src/mcp/a.ts']);
    const types = {
      'src/mcp/a.ts': `${c}import type { B } from './b.ts';\n`,
      'src/mcp/b.ts': `${c}import type { A } from './a.ts';\n`,
    };
    t.strictSame(found(t, types), [], 'types of one room may refer to each other');
  });
  await t.test('a cycle of types across rooms', async (t) => {
    const all = found(t, {
      'src/auth/principal.ts': `${c}import type { P } from '../mcp/ports.ts';\n`,
      'src/mcp/ports.ts': `${c}import type { P } from '../auth/principal.ts';\n`,
    });
    t.strictSame(all, ['cycle: src/auth/principal.ts -> src/mcp/ports.ts -> src/auth/principal.ts']);
  });
});
