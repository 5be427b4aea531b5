// An estate for tests of streams: tools that tell things, a prompt, resources, for two tenants, and how it is changed while it serves.
// Not responsible for what is asserted. Invariant: both tenants have the same files, so that only the caller tells them apart.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServedEstate } from './runtime.ts';

const TOOLS = `import { definePrompt, defineResource, defineTool, defineToolset, Type } from 'leasehold';
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export default defineToolset({
  tools: {
    touch: defineTool({ description: 'touch', inputSchema: Type.Object({ uri: Type.String() }), handler({ uri }, ctx) { ctx.notifyResourceUpdated(uri); return 'touched'; } }),
    flood: defineTool({ description: 'flood', handler(_a, ctx) { for (let i = 0; i < 5000; i += 1) ctx.notifyResourceUpdated('doc://a'); return 'flooded'; } }),
    talk: defineTool({ description: 'talk', handler(_a, ctx) { ctx.log.debug('quiet'); ctx.log.info('said', { n: 1 }); console.log('for the author'); ctx.log.warn('careful'); ctx.log.error('bad\\nline'); return 'talked'; } }),
    steps: defineTool({ description: 'steps', inputSchema: Type.Object({ bytes: Type.Optional(Type.Integer()) }), async handler({ bytes }, ctx) { ctx.progress({ progress: 1 }); await pause(300); ctx.progress({ progress: 2 }); return 'x'.repeat(bytes ?? 1); } }),
    routed: defineTool({ description: 'routed', inputSchema: Type.Object({
      region: Type.Optional(Type.String({ 'x-mcp-header': 'Region' })),
      size: Type.Optional(Type.Integer({ 'x-mcp-header': 'Size' })),
      deep: Type.Optional(Type.Object({ on: Type.Optional(Type.Boolean({ 'x-mcp-header': 'Deep-On' })) })),
    }), handler: (args) => JSON.stringify(args) }),
  },
  prompts: { hello: definePrompt({ description: 'hello', handler: () => 'hello' }) },
  resources: {
    a: defineResource({ uri: 'doc://a', description: 'a', handler: () => 'a' }),
    one: defineResource({ uriTemplate: 'doc://items/{id}', description: 'items', handler: ({ params }) => params.id }),
    secret: defineResource({ uri: 'doc://secret', description: 'secret', scopes: ['secret'], handler: () => 's' }),
  },
});
`;
export const ESTATE = { tenants: { acme: { tools: { 'all.ts': TOOLS } }, globex: { tools: { 'all.ts': TOOLS } } } };

/** Changes the tenant's sources and waits for the swap. */
export async function swap(served: ServedEstate, tenant: string, mark: string): Promise<void> {
  const file = join(served.estate, 'tenants', tenant, 'tools', 'all.ts');
  const swapped = Promise.withResolvers<void>();
  const before = served.runtime.registry.get(tenant)?.toolset?.hash;
  served.runtime.registry.onChange((change) => {
    if (change.tenant === tenant && served.runtime.registry.get(tenant)?.toolset?.hash !== before) swapped.resolve();
  });
  writeFileSync(file, readFileSync(file, 'utf8').replace("description: 'hello'", `description: '${mark}'`));
  await swapped.promise;
}
