// Credentials through a whole running server: code tools and declared tools, secrets set by the CLI, grants, and what a
// caller is told. No credential in a tools thread, an answer, a log or the data folder.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { newGrant } from '../../src/connections/oauth/grant-facts.ts';
import type { CompiledConnection } from '../../src/config/compiled.ts';
import { cli, until } from '../helpers/cli.ts';
import { toolset } from '../helpers/estate.ts';
import { type ServedEstate, serve } from '../helpers/runtime.ts';
import { json, startUpstream, type Upstream } from '../bindings/upstream-server.ts';
import { FaultyServer } from '../connections/faulty-server.ts';

t.setTimeout(180_000);
const run = promisify(execFile);

const TOOLS = toolset(`
  read: defineTool({
    description: 'Read through a connection',
    inputSchema: Type.Object({ slot: Type.String(), path: Type.String() }),
    connections: { key: {} },
    handler: async ({ slot, path }, ctx) => JSON.stringify(await ctx.connections[slot].json(path)),
  }),
  crm: defineTool({
    description: 'Read the CRM',
    inputSchema: Type.Object({ path: Type.String() }),
    connections: { crm: { scopes: ['read'] } },
    handler: async ({ path }, ctx) => JSON.stringify(await ctx.connections.crm.json(path)),
  }),
  bound: rest({ description: 'Declared', inputSchema: Type.Object({}), connection: 'key', method: 'GET', path: '/bound' }),
`);

interface Scene extends ServedEstate {
  readonly api: Upstream;
  readonly server: FaultyServer;
  text(tool: string, args?: unknown): Promise<string>;
}
async function scene(t: Test): Promise<Scene> {
  const server = await FaultyServer.start();
  t.teardown(() => server.close());
  const api = await startUpstream(({ url, headers }, response) =>
    json(response, { url, said: headers['x-api-key'] ?? 'nothing' }),
  );
  t.teardown(() => api.close());
  const oauth = {
    endpoints: { authorization: `${server.origin}/authorize`, token: `${server.origin}/token` },
    clientId: 'c',
    scopes: ['read'],
  };
  const served = await serve(t, {
    server: {
      egress: { privateOrigins: [api.origin, server.origin] },
      providers: { crm: { ...oauth, origins: [server.origin], tenants: ['acme'] } },
    },
    tenants: {
      acme: {
        tenant: {
          connections: {
            key: { type: 'api_key', origins: [api.origin], in: 'header', name: 'X-Api-Key', key: { secret: 'api-key' } },
            crm: { provider: 'crm' },
          },
        },
        tools: { 'all.ts': TOOLS },
      },
    },
  });
  return {
    ...served,
    api,
    server,
    text: async (tool, args = {}) => {
      const called = await served.call('acme', tool, args);
      return called.error === undefined ? called.text : `${called.error.code} ${called.text}`;
    },
  };
}

function everyFile(dir: string): string {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true)
    .map((path) => readFileSync(path, 'latin1'))
    .join('');
}

t.test('a secret that the CLI sets reaches a running server; a grant serves its own subject', async (t) => {
  const s = await scene(t);
  t.match(s.runtime.registry.get('acme')?.problems, [
    { reason: /needs the secret "api-key"/, hint: 'leasehold secret set acme api-key' },
  ]);
  t.match(await s.text('bound'), /^not_connected .*leasehold secret set acme api-key/);
  t.equal(s.api.received.length, 0);

  const set = run(process.execPath, [cli, 'secret', 'set', 'acme', 'api-key', '--estate', s.estate]);
  set.child.stdin?.end('canary-api-key\n');
  await set;
  await until(async () => !(await s.text('bound')).startsWith('not_connected'));
  t.match(await s.text('bound'), /"said":"\[redacted\]"/);
  t.match(await s.text('read', { slot: 'key', path: '/x?y=1' }), /"url":"\/x\?y=1","said":"\[redacted\]"/);
  t.equal(s.api.received.at(-1)?.headers['x-api-key'], 'canary-api-key');

  t.match(await s.text('crm', { path: '/api' }), /^not_connected .*needs your 127\.0\.0\.1:\d+ account/);
  const connection = s.runtime.registry.get('acme')?.config.connections.get('crm') as Extract<
    CompiledConnection,
    { type: 'oauth2' }
  >;
  const tokens = s.server.issue();
  const grant = newGrant('G', connection.oauth, tokens, Date.now());
  const key = { tenant: 'acme', slot: 'crm', owner: { issuer: 'leasehold', subject: 'ada' } };
  s.vault.grants.put(key, { ...grant, expiresAt: Date.now() - 1 });
  const calls = await Promise.all(Array.from({ length: 20 }, () => s.text('crm', { path: '/api' })));
  t.strictSame(new Set(calls), new Set(['{"path":"/api"}']));
  t.equal(s.server.tokenRequests.length, 1);
  const bob = await s.call('acme', 'crm', { path: '/api' }, { token: s.token('acme', 'bob') });
  t.equal(bob.error?.code, 'not_connected');
  s.server.revokeAll();
  t.match(await s.text('crm', { path: '/api' }), /^not_connected .*to be connected again/);

  const leases = (await s.audit('acme')).filter(({ kind }) => kind === 'egress.request').map(({ lease }) => lease);
  t.ok(leases.every((lease) => typeof lease === 'string'));
  t.notMatch(s.logs.join('') + everyFile(s.dataDir) + calls.join(''), /canary/);
});

t.test('check names the secrets that are not set', async (t) => {
  const s = await scene(t);
  const check = async () =>
    (await run(process.execPath, [cli, 'check', s.estate]).catch((error: { stdout: string }) => error)).stdout;
  const first = await check();
  t.match(
    first,
    /tenants\/acme\/tenant.json \/connections\/key needs the secret "api-key", which is not set \(leasehold secret set acme api-key\)/,
  );
  s.vault.secrets.set('acme', 'api-key', 'x', 1);
  t.notMatch(await check(), /api-key/);
});
