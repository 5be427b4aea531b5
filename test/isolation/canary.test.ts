// No refresh token, client secret, key or foreign credential in any host, log, record, error or file in clear, while all of them
// are in use.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { OAuth2Connection } from '../../src/config/compiled.ts';
import { newGrant } from '../../src/connections/oauth/grant-facts.ts';
import { loadMasterKey } from '../../src/vault/keys/master-key.ts';
import { FaultyServer } from '../connections/faulty-server.ts';
import { json, startUpstream } from '../bindings/upstream-server.ts';
import { canariesInFiles, canariesInProcess, canariesInText, type Canaries, hostProcesses } from '../helpers/canary.ts';
import { toolset, writeEstate } from '../helpers/estate.ts';
import { type ServedEstate, serveFolder } from '../helpers/runtime.ts';

t.setTimeout(240_000);
const skip = process.platform === 'linux' ? false : 'memory of other processes is read through /proc';
const KEY = { tenant: 'acme', slot: 'crm', owner: { issuer: 'leasehold', subject: 'ada' } };
const random = (name: string) => `canary-${name}-${randomBytes(24).toString('hex')}`;
const TOOLS = toolset(`
  crm: defineTool({ description: 'd', connections: { crm: {} }, handler: async (_, ctx) => JSON.stringify(await ctx.connections.crm.json('/api')) }),
  key: defineTool({ description: 'd', connections: { key: {} }, handler: async (_, ctx) => JSON.stringify(await ctx.connections.key.json('/')) }),
  fails: defineTool({ description: 'd', connections: { crm: {} }, handler: async (_, ctx) => { await ctx.connections.crm.json('/absent'); } }),
  keep: defineTool({ description: 'd', inputSchema: Type.Object({ text: Type.String() }), handler: ({ text }) => { globalThis.kept = text; return 'kept'; } }),
`);

interface Scene {
  readonly server: FaultyServer;
  readonly estate: string;
  readonly secrets: { readonly clientSecret: string; readonly apiKey: string };
  start(): Promise<ServedEstate>;
  /** Stores a grant of Ada whose token has run out; gives its refresh token. */
  connect(served: ServedEstate): string;
}
async function scene(t: Test): Promise<Scene> {
  const server = await FaultyServer.start();
  const api = await startUpstream((_, response) => json(response, { ok: true }));
  t.teardown(() => Promise.all([server.close(), api.close()]));
  const secrets = { clientSecret: random('client-secret'), apiKey: random('api-key') };
  server.clientSecret = secrets.clientSecret;
  const crm = {
    type: 'oauth2',
    origins: [server.origin],
    owner: 'user',
    endpoints: { authorization: `${server.origin}/authorize`, token: `${server.origin}/token` },
    clientId: 'c',
    clientSecret: { secret: 'crm-secret' },
  };
  const key = { type: 'api_key', origins: [api.origin], in: 'header', name: 'X-Api-Key', key: { secret: 'api-key' } };
  const estate = writeEstate(t, {
    server: { egress: { privateOrigins: [server.origin, api.origin] } },
    tenants: {
      acme: {
        tenant: { connections: { crm, key }, limits: { concurrentCalls: 100, queueLength: 100 } },
        tools: { 'a.ts': TOOLS },
      },
    },
  });
  return {
    server,
    estate,
    secrets,
    async start() {
      const served = await serveFolder(t, estate);
      served.vault.secrets.set('acme', 'crm-secret', secrets.clientSecret, Date.now());
      served.vault.secrets.set('acme', 'api-key', secrets.apiKey, Date.now());
      return served;
    },
    connect(served) {
      const connection = served.runtime.registry.get('acme')?.config.connections.get('crm') as OAuth2Connection;
      const tokens = server.issue();
      served.vault.grants.put(KEY, { ...newGrant('G', connection.oauth, tokens, Date.now()), expiresAt: Date.now() - 1000 });
      return tokens.refreshToken;
    },
  };
}

t.test('secrets stay in the supervisor, and out of everything that is written', { skip }, async (t) => {
  const s = await scene(t);
  const served = await s.start();
  const refreshToken = s.connect(served);
  const calls = await Promise.all(Array.from({ length: 100 }, () => served.call('acme', 'crm')));
  t.strictSame(new Set(calls.map(({ text }) => text)), new Set(['{"path":"/api"}']));
  t.equal(s.server.tokenRequests.length, 1, '100 calls with a token that ran out: one token request');
  t.equal((await served.call('acme', 'key')).text, '{"ok":true}');
  const failed = await served.call('acme', 'fails');

  const grant = served.vault.grants.read(KEY);
  const never: Canaries = {
    'used refresh token': refreshToken,
    'refresh token': grant?.refreshToken ?? '',
    'client secret': s.secrets.clientSecret,
    'master key': loadMasterKey({ source: 'file', path: join(served.dataDir, 'master.key') }, true).key,
    'token of a client': served.token('acme'),
  };
  // A tools host has no credential at all; an egress host has had them for one request.
  const noCredential: Canaries = Object.assign({ 'access token': grant?.accessToken ?? '', 'API key': s.secrets.apiKey }, never);
  const planted = random('planted');
  await served.call('acme', 'keep', { text: planted });

  const hosts = hostProcesses();
  t.strictSame(new Set(hosts.map(({ kind }) => kind)), new Set(['tools', 'egress']));
  for (const { pid, kind } of hosts) t.strictSame(canariesInProcess(pid, kind === 'tools' ? noCredential : never), [], kind);
  const tools = hosts.find(({ kind }) => kind === 'tools')?.pid ?? 0;
  t.ok(
    hosts.some(({ pid, kind }) => kind === 'tools' && canariesInProcess(pid, { planted }).length > 0),
    `what is in the memory of a thread is found (${tools})`,
  );
  t.not(canariesInProcess(process.pid, { 'client secret': s.secrets.clientSecret }).length, 0, 'the supervisor has it');

  const { 'master key': _inItsFile, ...unwritten } = noCredential;
  t.strictSame(canariesInFiles(served.dataDir, unwritten), [], 'store, its journal, audit, logs, bundles');
  t.strictSame(canariesInText(served.logs.join(''), unwritten, 'log'), []);
  t.strictSame(canariesInText(JSON.stringify([...calls, failed]), unwritten, 'answers'), []);
});
