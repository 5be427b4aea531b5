// API keys, basic credentials and headers: leased for one request, at rest after a refusal, in clear nowhere.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import type { CompiledConnection } from '../../src/config/compiled.ts';
import { createCredentials } from '../../src/connections/credentials.ts';
import { LEASE_MS, leaseOf } from '../../src/connections/lease.ts';
import { restMs } from '../../src/connections/rejections.ts';
import { cli } from '../helpers/cli.ts';
import { toolset } from '../helpers/estate.ts';
import { serve } from '../helpers/runtime.ts';
import { json, startUpstream } from '../bindings/upstream-server.ts';
import { credentialScene, type SceneParts, textOf, vaultIn } from './credential-scene.ts';

t.setTimeout(120_000);
const file = t;
const KEY = { owner: 'acme', secret: 'crm-key' };
const credentials =
  (now: () => number = Date.now) =>
  ({ vault, audit }: SceneParts) =>
    createCredentials({ ...vault, audit, privateOrigins: [], now });
const apiKey = (origin: string, more = {}): CompiledConnection => ({
  slot: 'crm',
  type: 'api_key',
  origins: [origin],
  in: 'header',
  name: 'X-Api-Key',
  prefix: 'Key ',
  key: KEY,
  ...more,
});

t.test('each kind adds what it should, under a lease that is on record', async (t) => {
  const s = await credentialScene(t, file, ({ url, headers }, response) => json(response, { url, headers }), credentials());
  const base = { slot: 'crm', origins: [s.upstream.origin] };
  s.vault.secrets.set('acme', 'crm-key', 'canary-key-value', 1);
  s.vault.secrets.set('acme', 'password', 'canary-pässword', 1);
  const seen = () => s.upstream.received.at(-1);

  t.match(textOf(await s.fetch(apiKey(s.upstream.origin))), /\[redacted\]/, 'an echo is cut out');
  t.equal(seen()?.headers['x-api-key'], 'Key canary-key-value');
  const query = apiKey(s.upstream.origin, { in: 'query', name: 'api key', prefix: '' });
  const echoed = await s.fetch(query, '/a%20b?x=1&y=%7E#f');
  t.equal(seen()?.url, '/a%20b?x=1&y=%7E&api%20key=canary-key-value');
  t.notMatch(JSON.stringify(echoed) + textOf(echoed), /canary/, 'neither in the URL that the tool gets');
  await s.fetch(query, '/plain');
  t.equal(seen()?.url, '/plain?api%20key=canary-key-value');
  t.match(await s.fetch(query, '/?api%20key=mine'), {
    ok: false,
    failure: { code: 'egress_denied', message: /query parameter/ },
  });
  await s.fetch({ ...base, type: 'basic', username: 'ada', password: { owner: 'acme', secret: 'password' } });
  t.equal(seen()?.headers.authorization, `Basic ${Buffer.from('ada:canary-pässword').toString('base64')}`);
  await s.fetch({ ...base, type: 'headers', headers: { 'x-account': '7', 'x-auth': KEY } });
  t.match(seen()?.headers, { 'x-account': '7', 'x-auth': 'canary-key-value' });
  t.equal(
    textOf(await s.fetch(apiKey(s.upstream.origin), '/', { request: { headers: { 'X-API-key': 'mine' } } })),
    'egress_denied',
    'a tool cannot set it',
  );
  await s.fetch({ ...base, type: 'none' });
  t.notMatch(JSON.stringify(seen()?.headers), /canary/);

  const records = await s.records();
  const leases = records.filter(({ kind }) => kind === 'egress.request').map(({ lease }) => lease);
  t.equal(new Set(leases.slice(0, -1)).size, leases.length - 1, 'each request has a lease of its own');
  t.equal(leases.at(-1), undefined, 'none where none is needed');
  t.notMatch(JSON.stringify(records) + s.onDisk(), /canary|Y2FuYXJ5/);
});

t.test('a lease is short and never outlives its credential', async (t) => {
  const credential = { headers: {}, version: 'v' };
  t.equal(leaseOf(credential, 1e9, 0).expiresInMs, LEASE_MS);
  t.equal(leaseOf(credential, 5, 0).expiresInMs, 5);
  t.equal(leaseOf({ ...credential, expiresAt: 1500 }, 1e9, 1000).expiresInMs, 500);
  t.equal(leaseOf({ ...credential, expiresAt: 1500 }, 1e9, 2000).expiresInMs, 0);
});

t.test('a secret that is missing or cannot be sent: nothing leaves, and the operator is told what to type', async (t) => {
  const s = await credentialScene(t, file, (_, response) => json(response, {}), credentials());
  const missing = await s.fetch(apiKey(s.upstream.origin));
  t.match(missing, { ok: false, failure: { code: 'not_connected', message: /leasehold secret set acme crm-key$/ } });
  const shared = apiKey(s.upstream.origin, { key: { owner: '_server', secret: 'app' } });
  t.match(await s.fetch(shared), { failure: { message: /leasehold secret set --server app/ } });
  s.vault.secrets.set('acme', 'crm-key', 'canary-ключ', 1);
  const odd = await s.fetch(apiKey(s.upstream.origin));
  t.match(odd, { ok: false, failure: { code: 'not_connected', message: /cannot be sent in the header "x-api-key"/ } });
  t.notMatch(JSON.stringify(odd), /canary/);
  s.vault.secrets.set('acme', 'crm-key', 'good', 1);
  t.match(await s.fetch(apiKey(s.upstream.origin)), { ok: true });
  t.equal(s.upstream.received.length, 1);
});

t.test('401: the credential rests, longer each time, until it is set anew or accepted', async (t) => {
  let time = Date.now();
  let good = 'right';
  const s = await credentialScene(
    t,
    file,
    ({ headers }, response) => json(response, {}, headers['x-api-key'] === `Key ${good}` ? 200 : 401),
    credentials(() => time),
    { now: () => time },
  );
  const connection = apiKey(s.upstream.origin);
  const sent = () => s.upstream.received.splice(0).length;
  s.vault.secrets.set('acme', 'crm-key', 'canary-wrong', 1);
  t.match(await s.fetch(connection), {
    ok: false,
    failure: { code: 'credential_rejected', message: /refused the credential.*leasehold secret set acme crm-key/ },
  });
  t.equal(sent(), 1);
  for (let i = 0; i < 20; i += 1) t.equal(textOf(await s.fetch(connection)), 'credential_rejected');
  t.equal(sent(), 0, 'no hammering');

  const other = vaultIn(t, s.dataDir);
  t.match(other.rejections.list('acme'), [{ slot: 'crm', rejection: { failures: 1 } }], 'other processes see it');
  time += restMs(1);
  const tries = await Promise.all(Array.from({ length: 10 }, () => s.fetch(connection)));
  t.strictSame(new Set(tries.map(textOf)), new Set(['credential_rejected']));
  t.equal(sent(), 1, 'one try after the rest');
  t.match(s.vault.rejections.list('acme'), [{ rejection: { failures: 2, until: time + restMs(2) } }]);

  other.secrets.set('acme', 'crm-key', 'right', 2);
  let answer = 'credential_rejected';
  for (const until = performance.now() + 5000; answer !== '{}' && performance.now() < until; ) {
    answer = textOf(await s.fetch(connection));
  }
  t.equal(answer, '{}', 'a new secret is tried at once, in a running server');
  t.strictSame(s.vault.rejections.list('acme'), [], 'and the mark is gone');
  sent();

  good = 'later';
  await s.fetch(connection);
  good = 'right';
  time += restMs(1);
  t.equal(textOf(await s.fetch(connection)), '{}', 'the service takes it again');
  t.strictSame(s.vault.rejections.list('acme'), []);
  t.equal(textOf(await s.fetch(connection)), '{}');
  t.equal(sent(), 3);
  const rejected = (await s.records()).filter(({ kind }) => kind === 'credential.rejected');
  t.strictSame(
    rejected.map(({ connection: slot, failures }) => [slot, failures]),
    [
      ['crm', 1],
      ['crm', 2],
      ['crm', 1],
    ],
  );
  t.notMatch(JSON.stringify(await s.records()) + s.onDisk(), /canary/);
  t.ok(restMs(1) < restMs(2) && restMs(99) === restMs(100));
});

t.test(
  'through a whole server, declared tools and tool code: told who has to act, hammered no more, healed by a new secret',
  async (t) => {
    const run = promisify(execFile);
    const given = (value: string) => new Set([value, `Basic ${Buffer.from(`ada:${value}`).toString('base64')}`]);
    let good = given('canary-right');
    const api = await startUpstream(({ url, headers }, response) => {
      const sent = headers['x-api-key'] ?? headers.authorization ?? new URL(url, 'http://x').searchParams.get('key');
      json(response, { done: true }, good.has(String(sent)) ? 200 : 401);
    });
    t.teardown(() => api.close());
    const secret = (slot: string) => ({ secret: `${slot}-secret` });
    const kinds: Record<string, object> = {
      header: { type: 'api_key', in: 'header', name: 'X-Api-Key', key: secret('header') },
      query: { type: 'api_key', in: 'query', name: 'key', key: secret('query') },
      basic: { type: 'basic', username: 'ada', password: secret('basic') },
      several: { type: 'headers', headers: { 'x-account': '7', 'x-api-key': secret('several') } },
    };
    const slots = Object.keys(kinds);
    const tools = slots.flatMap((slot) => [
      `${slot}: rest({ description: 'd', inputSchema: Type.Object({}), connection: '${slot}', method: 'POST', path: '/x', idempotent: true }),`,
      `${slot}_code: defineTool({ description: 'd', inputSchema: Type.Object({}), connections: { ${slot}: {} },
      handler: async (_, ctx) => JSON.stringify(await ctx.connections.${slot}.json('/x')) }),`,
    ]);
    const connections = Object.fromEntries(slots.map((slot) => [slot, { ...kinds[slot], origins: [api.origin] }]));
    const s = await serve(t, {
      server: { egress: { privateOrigins: [api.origin] } },
      tenants: { acme: { tenant: { connections }, tools: { 'all.ts': toolset(tools.join('')) } } },
    });
    const asked = () => api.received.splice(0).length;
    const status = async (slot: string) =>
      (await run(process.execPath, [cli, 'connection', 'status', 'acme', slot, '--estate', s.estate])).stdout;

    for (const slot of slots)
      for (const [first, second] of [
        [slot, `${slot}_code`],
        [`${slot}_code`, slot],
      ] as const) {
        good = given(`canary-of-${first}`);
        s.vault.secrets.set('acme', `${slot}-secret`, `canary-not-for-${first}`, Date.now());
        t.equal((await s.call('acme', first)).error?.code, 'credential_rejected');
        t.equal(asked(), 1, `${first}: one request`);
        for (const tool of [first, second]) {
          const all = await Promise.all(Array.from({ length: 10 }, () => s.call('acme', tool)));
          for (const { error, text } of all) {
            t.match(error, { code: 'credential_rejected', class: 'credential', nextAction: { do: 'contact_operator' } });
            t.match(
              text,
              new RegExp(`refused the credential of the connection "${slot}".*leasehold secret set acme ${slot}-secret`),
            );
          }
        }
        t.equal(asked(), 0, `${first}: hammered no more, whoever asks`);
        if (first === slot)
          t.match(await status(slot), /refused by the service 1 times in a row.*not sent before/, 'the owner sees it');

        s.vault.secrets.set('acme', `${slot}-secret`, `canary-of-${first}`, Date.now());
        t.equal((await s.call('acme', second)).text, '{"done":true}');
        t.equal(asked(), 1, `${first}: a new secret is tried at once`);
        t.equal((await s.call('acme', first)).text, '{"done":true}');
        t.equal(asked(), 1);
        t.strictSame(s.vault.rejections.list('acme'), [], 'and the mark is gone');
      }
    t.notMatch(await status('header'), /refused/);
    const records = await s.audit('acme');
    const rejected = records.filter(({ kind }) => kind === 'credential.rejected');
    t.strictSame(
      rejected.map(({ connection, failures }) => [connection, failures]),
      slots.flatMap((slot) => [
        [slot, 1],
        [slot, 1],
      ]),
    );
    t.notMatch(s.logs.join('') + JSON.stringify(records), /canary|Y2FuYXJ5/);
  },
);
