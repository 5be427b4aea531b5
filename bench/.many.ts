import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHosts } from '../src/hosts/create-hosts.ts';
import { createLog } from '../src/audit/operational-log.ts';
import { loadServerConfig } from '../src/config/load-server.ts';
import { createRegistry } from '../src/tenants/registry.ts';
import { ToolsetUsers } from '../src/tenants/toolset-users.ts';
const dir = '/tmp/spike/many', N = 10_000; rmSync(dir, { recursive: true, force: true });
const tools = Array.from({ length: 10 }, (_, i) => `t${i}: defineTool({ description: 'tool ${i}', inputSchema: Type.Object({ name: Type.String() }), handler: () => 'x' })`).join(',');
const tenant = (id: string) => { mkdirSync(`${dir}/tenants/${id}/tools`, { recursive: true }); writeFileSync(`${dir}/tenants/${id}/tenant.json`, '{"name":"x"}'); writeFileSync(`${dir}/tenants/${id}/tools/a.ts`, `import { defineTool, defineToolset, Type } from 'leasehold'; export default defineToolset({ tools: {${tools}} });`); };
tenant('t0');
const open = async (watch: string) => { const server = loadServerConfig(dir, {}, { watch }).value!; mkdirSync(server.dataDir, { recursive: true });
  const hosts = createHosts({ runDir: join(server.dataDir, 'run') });
  const audit = { append: async () => {}, healthy: () => true, close: async () => {} };
  const t = performance.now(); const registry = await createRegistry({ server, hosts, users: new ToolsetUsers(), audit, log: createLog('error') });
  return { registry, hosts, ms: performance.now() - t }; };
let s = await open('false'); console.log('one cold', s.ms, s.registry.get('t0')?.toolset?.tools.size); await s.registry.close(); await s.hosts.close(0);
const base = `${dir}/.leasehold/bundles/t0`; const index = JSON.parse(readFileSync(`${base}/index.json`, 'utf8'));
for (let i = 1; i < N; i++) { const id = `t${i}`; tenant(id); const to = `${dir}/.leasehold/bundles/${id}`; cpSync(base, to, { recursive: true });
  const inputs = index.inputs.map((x: any) => { const path = x.path.replace('/t0/', `/${id}/`); const st = statSync(path); return { ...x, path, mtimeMs: st.mtimeMs, ctimeMs: st.ctimeMs }; });
  writeFileSync(`${to}/index.json`, JSON.stringify({ ...index, inputs, recordedAt: Date.now() + 5000 })); }
for (const watch of ['false', process.argv[2] ?? 'false']) { (globalThis as any).gc(); const m0 = process.memoryUsage();
 s = await open(watch); (globalThis as any).gc(); const m1 = process.memoryUsage();
 console.log('watch', watch, 'many', s.ms, s.registry.list().length, s.registry.list().filter((x) => x.toolset === undefined).length, 'heap/tenant', (m1.heapUsed - m0.heapUsed) / N, 'rss/tenant', (m1.rss - m0.rss) / N);
 await s.registry.close(); await s.hosts.close(0); }
process.exit(0);
