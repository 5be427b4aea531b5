// Many registered tenants of ten tools each: start from the cache, memory of each, and what one of them notices.
// Not responsible for judging the figures (`bars`).
// Invariant: no tool of the many is called, only those of the one that is measured; every tenant's bundle is its own.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadCall, median } from '../load/load.ts';
import type { Measured } from '../load/generate.ts';
import { memoryBytes } from '../load/processes.ts';
import type { BenchOptions } from '../options.ts';
import { endpointOf, Estate, type Subject } from '../subjects.ts';
import { ECHO } from './echo.ts';

export interface TenantsFigures {
  readonly tenants: number;
  /** Of the first start: every tenant is bundled and described. */
  readonly firstReadyMs: number;
  readonly cachedReadyMs: number;
  /** Growth of the supervisor's memory over an estate with one tenant, per tenant. */
  readonly bytesPerTenant: number;
  /** Echo, requests per second and CPU of the supervisor: in the large estate and in one with a single tenant. */
  readonly large: Measured;
  readonly small: Measured;
}

const FIRST_START_MS = 30 * 60_000;
const TOOLS = 10;

function toolset(tenant: number): string {
  const tools = Array.from(
    { length: TOOLS },
    (_, index) =>
      `tool_${index}: defineTool({ description: 'Tool ${index} of tenant ${tenant}', inputSchema: Type.Object({ text: Type.String(), times: Type.Optional(Type.Integer()) }), handler: ({ text }) => text })`,
  );
  return `import { defineTool, defineToolset, Type } from 'leasehold';\nexport default defineToolset({ tools: { ${tools.join(', ')} } });\n`;
}

export async function tenantsFigures(small: Subject, options: BenchOptions): Promise<TenantsFigures> {
  const estate = await Estate.create();
  try {
    for (let index = 0; index < options.tenants; index += 1) {
      const dir = join(estate.dir, 'tenants', `many-${index}`);
      await mkdir(join(dir, 'tools'), { recursive: true });
      await writeFile(join(dir, 'tenant.json'), '{}');
      await writeFile(join(dir, 'tools', 'all.ts'), toolset(index));
    }
    const token = await estate.token('bench');
    const first = await estate.serve(FIRST_START_MS);
    const firstReadyMs = first.readyMs;
    await first.stop();
    const server = await estate.serve(FIRST_START_MS);
    const bytesPerTenant = (memoryBytes(server.pid) - memoryBytes(small.server.pid)) / options.tenants;
    const target = { url: endpointOf(server, 'bench'), token };
    const call = { ...ECHO, era: '2026-07-28' } as const;
    const large: Measured[] = [];
    const alone: Measured[] = [];
    for (let round = 0; round < options.rounds; round += 1) {
      large.push(await loadCall(target, server.pid, call, options));
      alone.push(await loadCall(small.target, small.server.pid, call, options));
    }
    const cachedReadyMs = server.readyMs;
    await server.stop();
    return { tenants: options.tenants, firstReadyMs, cachedReadyMs, bytesPerTenant, large: median(large), small: median(alone) };
  } finally {
    await estate.remove();
  }
}
