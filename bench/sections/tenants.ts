// Many registered tenants of ten tools each: start from the cache, memory of each, and what one of them notices.
// Not responsible for judging the figures (`bars`).
// Invariant: no tool of the many is called, only those of the one that is measured. One of the many is bundled by Leasehold; the
// others get copies of its folder and of its cache, with their own paths and times, since bundling thousands takes hours.
import { cp, mkdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadCall, median, warm } from '../load/load.ts';
import type { Measured } from '../load/generate.ts';
import { freePort, heldBytes } from '../load/heap.ts';
import type { BenchOptions } from '../options.ts';
import type { ServerProcess } from '../load/server.ts';
import { endpointOf, Estate, startLeasehold, type Subject } from '../subjects.ts';
import { ECHO } from './echo.ts';

export interface TenantsFigures {
  readonly tenants: number;
  readonly readyMs: number;
  /** Of an estate with one tenant, from its cache. */
  readonly readyMsAlone: number;
  /** Growth of what an idle supervisor holds over an estate with one tenant, per tenant. */
  readonly bytesPerTenant: number;
  /** Echo, requests per second and CPU of the supervisor: in the large estate and in one with a single tenant. */
  readonly large: Measured;
  readonly alone: Measured;
}

const START_MS = 5 * 60_000;
const SETTLE_MS = 2000;
const TOOLS = 10;
const SEED = 'many-0';

function toolset(): string {
  const tools = Array.from(
    { length: TOOLS },
    (_, index) =>
      `tool_${index}: defineTool({ description: 'Tool ${index}', inputSchema: Type.Object({ text: Type.String(), times: Type.Optional(Type.Integer()) }), handler: ({ text }) => text })`,
  );
  return `import { defineTool, defineToolset, Type } from 'leasehold';\nexport default defineToolset({ tools: { ${tools.join(', ')} } });\n`;
}

/** The cache's index of one tenant, as far as it names files. */
interface Index {
  inputs: { path: string; mtimeMs: number; ctimeMs: number }[];
  absent: string[];
}

async function copySeed(estate: string, id: string, index: string): Promise<void> {
  const tenants = join(estate, 'tenants');
  const bundles = join(estate, '.leasehold', 'bundles');
  await cp(join(tenants, SEED), join(tenants, id), { recursive: true });
  await cp(join(bundles, SEED), join(bundles, id), { recursive: true });
  const moved = JSON.parse(index.replaceAll(join(tenants, SEED), join(tenants, id))) as Index;
  for (const input of moved.inputs) {
    const { mtimeMs, ctimeMs } = await stat(input.path);
    Object.assign(input, { mtimeMs, ctimeMs });
  }
  await writeFile(join(bundles, id, 'index.json'), JSON.stringify(moved));
}

async function fill(estate: Estate, count: number): Promise<void> {
  const dir = join(estate.dir, 'tenants', SEED);
  await mkdir(join(dir, 'tools'), { recursive: true });
  await writeFile(join(dir, 'tenant.json'), '{}');
  await writeFile(join(dir, 'tools', 'all.ts'), toolset());
  await (await estate.serve()).stop();
  const root = await realpath(estate.dir);
  const index = await readFile(join(root, '.leasehold', 'bundles', SEED, 'index.json'), 'utf8');
  for (let number = 1; number < count; number += 1) await copySeed(root, `many-${number}`, index);
}

/** What an idle supervisor of this estate holds; in a process of its own, since it is inspected for it. */
async function idleBytes(estate: Estate): Promise<number> {
  const port = await freePort();
  const server = await estate.serve(START_MS, [`--inspect=127.0.0.1:${port}`]);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const bytes = await heldBytes(server.pid, port);
  await server.stop();
  return bytes;
}

async function alone(): Promise<{ bytes: number; readyMs: number }> {
  const estate = await Estate.create();
  try {
    await (await estate.serve()).stop();
    const server = await estate.serve();
    await server.stop();
    return { bytes: await idleBytes(estate), readyMs: server.readyMs };
  } finally {
    await estate.remove();
  }
}

export async function tenantsFigures(options: BenchOptions): Promise<TenantsFigures> {
  const estate = await Estate.create();
  let lone: Subject | undefined;
  let server: ServerProcess | undefined;
  try {
    await fill(estate, options.tenants);
    const token = await estate.token('bench');
    const one = await alone();
    const bytesPerTenant = ((await idleBytes(estate)) - one.bytes) / options.tenants;
    server = await estate.serve(START_MS);
    const target = { url: endpointOf(server, 'bench'), token };
    const call = { ...ECHO, era: '2026-07-28' } as const;
    const large: Measured[] = [];
    const small: Measured[] = [];
    // As fresh as the large one: code that V8 has compiled for earlier sections would count as a cost of tenants.
    lone = await startLeasehold();
    await warm(target, server.pid, call, options);
    await warm(lone.target, lone.server.pid, call, options);
    for (let round = 0; round < options.rounds; round += 1) {
      large.push(await loadCall(target, server.pid, call, options));
      small.push(await loadCall(lone.target, lone.server.pid, call, options));
    }
    const { readyMs } = server;
    return {
      tenants: options.tenants,
      readyMs,
      readyMsAlone: one.readyMs,
      bytesPerTenant,
      large: median(large),
      alone: median(small),
    };
  } finally {
    await server?.stop();
    await lone?.stop();
    await estate.remove();
  }
}
