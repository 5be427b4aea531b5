// The files of a new estate, as a user would write them.
// Not responsible for writing them. Invariant: the estate runs as it is, without `npm install`.

const TOOL = `import { defineTool, defineToolset, Type } from 'leasehold';

const hello = defineTool({
  description: 'Greet someone',
  inputSchema: Type.Object({ name: Type.String({ description: 'Whom to greet' }) }),
  annotations: { readOnlyHint: true },
  handler: ({ name }, ctx) => \`Hello, \${name}, from \${ctx.tenant}\`,
});

export default defineToolset({ tools: { hello } });
`;

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Text by path relative to the estate. */
export function estateFiles(version: string): [file: string, text: string][] {
  return [
    ['leasehold.json', json({ $schema: './.leasehold/schemas/leasehold.json' })],
    ['tenants/acme/tenant.json', json({ $schema: '../../.leasehold/schemas/tenant.json', name: 'Acme' })],
    ['tenants/acme/tools/hello.ts', TOOL],
    [
      'package.json',
      json({
        private: true,
        type: 'module',
        scripts: { start: 'leasehold start', dev: 'leasehold dev', check: 'leasehold check' },
        dependencies: { leasehold: `^${version}` },
        devDependencies: { typebox: '^1.4.3', typescript: '^7.0.2' },
      }),
    ],
    [
      'tsconfig.json',
      json({
        compilerOptions: {
          target: 'es2024',
          module: 'preserve',
          moduleResolution: 'bundler',
          lib: ['es2024', 'webworker'],
          types: [],
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          allowImportingTsExtensions: true,
          resolveJsonModule: true,
          isolatedModules: true,
        },
        include: ['tenants', 'shared'],
      }),
    ],
    ['.gitignore', 'node_modules\n.leasehold\n'],
  ];
}
