// Nothing of one tenant is ever with another: not in a thread's heap, a host's environment or command line, a log, a record, a metric,
// an error or an answer; also while one of them misbehaves.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { json, startUpstream } from '../bindings/upstream-server.ts';
import { canariesInText, type Canaries, hostProcesses } from '../helpers/canary.ts';
import { toolset, writeEstate } from '../helpers/estate.ts';
import { type ServedEstate, serveFolder } from '../helpers/runtime.ts';

const skip = process.platform === 'linux' ? false : 'signals and /proc of Linux';
const TENANTS = ['acme', 'globex'] as const;
type Tenant = (typeof TENANTS)[number];
const marker = (tenant: string) => `marker-${tenant}-${randomBytes(16).toString('hex')}`;

const TOOLS = toolset(`
  keep: defineTool({ description: 'k', inputSchema: Type.Object({ text: Type.String() }), handler: ({ text }, ctx) => { (globalThis as any).kept = text; ctx.log.info(text); return text; } }),
  vars: defineTool({ description: 'v', handler: (_a, ctx) => String(ctx.vars.mark) }),
  store: defineTool({ description: 's', inputSchema: Type.Object({ text: Type.String() }), async handler({ text }, ctx) { await ctx.store.tenant.set('kept', text); return String(await ctx.store.tenant.get('kept')); } }),
  fails: defineTool({ description: 'f', inputSchema: Type.Object({ text: Type.String() }), handler: ({ text }) => { throw new Error(text); } }),
  fetch: defineTool({ description: 'u', inputSchema: Type.Object({ text: Type.String() }), connections: { api: {} }, async handler({ text }, ctx) { return JSON.stringify(await ctx.connections.api.json('/?' + text)); } }),
  array: defineTool({ description: 'a', handler: () => { const all = []; for (let n = 0; ; n += 1) all.push(n); } }),
  spin: defineTool({ description: 's', handler: () => { for (;;); } }),
  exit: defineTool({ description: 'e', handler: () => { (process as any).exit(1); return 'x'; } }),
`);

async function estate(t: Test): Promise<{ served: ServedEstate; marks: Record<Tenant, Canaries> }> {
  const api = await startUpstream((request, response) => json(response, { path: request.url, key: request.headers['x-key'] }));
  t.teardown(() => api.close());
  const marks = Object.fromEntries(
    TENANTS.map((tenant) => [
      tenant,
      Object.fromEntries(['vars', 'argument', 'stored', 'error', 'upstream', 'credential'].map((name) => [name, marker(tenant)])),
    ]),
  ) as unknown as Record<Tenant, Record<string, string>>;
  const tenants = Object.fromEntries(
    TENANTS.map((tenant) => [
      tenant,
      {
        tenant: {
          vars: { mark: marks[tenant]['vars'] },
          limits: { runMs: 500 },
          connections: { api: { type: 'api_key', in: 'header', name: 'x-key', key: { secret: 'key' }, origins: [api.origin] } },
        },
        tools: { 't.ts': TOOLS },
      },
    ]),
  );
  const folder = writeEstate(t, {
    server: { egress: { privateOrigins: [api.origin] }, adminListen: '127.0.0.1:0' },
    tenants,
  });
  const host = fileURLToPath(new URL('../fixtures/hosts/snapshot-host.ts', import.meta.url));
  const served = await serveFolder(t, folder, 0, { host });
  for (const tenant of TENANTS) served.vault.secrets.set(tenant, 'key', marks[tenant]['credential'] as string, Date.now());
  return { served, marks };
}

/** Puts the markers of a tenant everywhere that something of it can be; gives all that it was answered. */
async function plant(served: ServedEstate, tenant: Tenant, marks: Canaries): Promise<string> {
  const said: string[] = [];
  const call = async (tool: string, mark?: string) => {
    const { raw } = await served.call(tenant, tool, mark === undefined ? {} : { text: marks[mark] });
    said.push(raw);
  };
  await call('vars');
  await call('keep', 'argument');
  await call('store', 'stored');
  await call('fails', 'error');
  await call('fetch', 'upstream');
  return said.join('\n');
}

/** The tenants whose markers are in each thread, by `kind pid thread`. */
async function snapshots(served: ServedEstate): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const { pid, kind } of hostProcesses()) {
    const before = served.logs.length;
    process.kill(pid, 'SIGUSR2');
    const lines = () => served.logs.slice(before).filter((line) => line.includes('snapshot'));
    while (!lines().some((line) => line.includes('snapshot done'))) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const [, thread, tenants] of lines()
      .join('\n')
      .matchAll(/snapshot (\d+) ([a-z,]+)/g)) {
      found.set(
        `${kind} ${pid} ${thread}`,
        (tenants as string).split(',').filter((name) => name !== 'none'),
      );
    }
  }
  return found;
}

t.test('markers of a tenant are nowhere with another', { skip, timeout: 180_000 }, async (t) => {
  const { served, marks } = await estate(t);
  const answers: Record<Tenant, string> = { acme: '', globex: '' };
  for (const tenant of TENANTS) answers[tenant] += await plant(served, tenant, marks[tenant]);

  const heaps = await snapshots(served);
  const owners = [...heaps.values()];
  for (const tenant of TENANTS)
    t.ok(
      owners.some((found) => found.includes(tenant)),
      `the sweep sees ${tenant}'s own threads`,
    );
  for (const [thread, found] of heaps) t.ok(found.length <= 1, `${thread} holds one tenant at most: ${found.join(', ')}`);

  await t.test('also while one of them misbehaves', async (t) => {
    for (const fault of ['array', 'exit', 'spin']) {
      const struck = served.call('acme', fault);
      answers.globex += await plant(served, 'globex', marks.globex);
      await struck;
      answers.acme += await plant(served, 'acme', marks.acme);
    }
    for (const [thread, found] of await snapshots(served)) t.ok(found.length <= 1, `${thread}: ${found.join(', ')}`);
  });

  await served.runtime.flush();
  const metrics = await (await fetch(`${served.runtime.adminUrl}/metrics`)).text();
  for (const tenant of TENANTS) {
    const other = tenant === 'acme' ? 'globex' : 'acme';
    const file = (folder: string) => readFileSync(join(served.dataDir, folder, `${tenant}.jsonl`), 'utf8');
    const places: Record<string, string> = {
      answers: answers[tenant],
      log: file('logs'),
      audit: file('audit'),
      'operational log': served.logs.join('\n'),
      metrics,
    };
    for (const { pid } of hostProcesses()) {
      places[`environment of ${pid}`] = readFileSync(`/proc/${pid}/environ`, 'latin1');
      places[`command line of ${pid}`] = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    }
    for (const [where, text] of Object.entries(places)) {
      t.same(canariesInText(text, marks[other], where), [], `${where} of ${tenant} has nothing of ${other}`);
    }
    for (const where of ['audit', 'operational log', 'metrics']) {
      t.same(canariesInText(places[where] ?? '', marks[tenant], where), [], `${where} has no value at all`);
    }
    t.same(
      canariesInText(answers[tenant] + (places['log'] ?? ''), { credential: marks[tenant]['credential'] as string }),
      [],
      'no credential',
    );
    t.not(canariesInText(answers[tenant], marks[tenant]).length, 0, 'the sweep finds what is there');
  }
});
