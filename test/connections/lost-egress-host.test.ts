// The egress host of one cordon is killed while requests are under way, through a whole running server: what its own callers
// get, by what they asked for, and that another cordon's request goes on.
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { toolset } from '../helpers/estate.ts';
import { type ServedEstate, serve } from '../helpers/runtime.ts';
import { json, startUpstream } from '../bindings/upstream-server.ts';

t.setTimeout(60_000);

const TOOLS = toolset(`
  get: rest({ description: 'd', inputSchema: Type.Object({}), connection: 'api', method: 'GET', path: '/get' }),
  post: rest({ description: 'd', inputSchema: Type.Object({}), connection: 'api', method: 'POST', path: '/post' }),
  keyed: rest({
    description: 'd', inputSchema: Type.Object({}), connection: 'api', method: 'POST', path: '/keyed', idempotencyKey: 'Idempotency-Key',
  }),
  code: defineTool({
    description: 'd', inputSchema: Type.Object({ method: Type.String() }), connections: { api: {} },
    handler: async ({ method }, ctx) => JSON.stringify(await ctx.connections.api.json('/' + method + '_code', { method })),
  }),
`);
const DONE = '{"done":true}';

interface Host {
  readonly cordon: string;
  readonly pid: number;
}
function egressHosts({ logs }: ServedEstate): Host[] {
  const started = logs.filter((line) => line.includes('"host started"')).map((line) => JSON.parse(line).host);
  return started.filter(({ kind }) => kind === 'egress');
}

async function scene(t: Test) {
  const held: ServerResponse[] = [];
  const upstream = await startUpstream((_, response) => {
    if (scene.holding) held.push(response);
    else json(response, { done: true });
  });
  t.teardown(() => upstream.close());
  const files = {
    tenant: { connections: { api: { type: 'none', origins: [upstream.origin] } }, cordon: 'own' },
    tools: { 'all.ts': TOOLS },
  };
  const served = await serve(t, {
    server: { egress: { privateOrigins: [upstream.origin] } },
    tenants: { acme: files, globex: files },
  });
  const scene = { ...served, upstream, held, holding: false };
  for (const tenant of ['acme', 'globex']) {
    await served.retry(tenant, 'get');
    await served.retry(tenant, 'code', { method: 'GET' });
  }
  upstream.received.length = 0;
  return scene;
}

t.test('the egress host of one cordon is killed', async (t) => {
  const s = await scene(t);
  const paths = () => s.upstream.received.splice(0).map(({ url }) => url);
  for (let round = 1; round <= 3; round += 1) {
    s.holding = true;
    const neighbour = s.call('globex', 'post');
    const calls = {
      get: s.call('acme', 'get'),
      keyed: s.call('acme', 'keyed'),
      getCode: s.call('acme', 'code', { method: 'GET' }),
      post: s.call('acme', 'post'),
      postCode: s.call('acme', 'code', { method: 'POST' }),
    };
    while (s.held.length < 6) await delay(5);
    const before = paths();
    t.strictSame(before.toSorted(), ['/GET_code', '/POST_code', '/get', '/keyed', '/post', '/post']);
    s.holding = false;
    const victim = egressHosts(s).findLast(({ cordon }) => cordon.includes('acme'));
    if (victim === undefined) throw new Error('it has a host of its own');
    process.kill(victim.pid, 'SIGKILL');

    t.equal((await calls.get).text, DONE, 'what may be repeated is');
    t.equal((await calls.keyed).text, DONE);
    t.equal((await calls.getCode).text, DONE);
    for (const call of [calls.post, calls.postCode])
      t.match((await call).error, { code: 'outcome_unknown', nextAction: { do: 'none' } }, 'what may have had an effect is not');
    t.strictSame(paths().toSorted(), ['/GET_code', '/get', '/keyed'], 'each once more, and nothing else');
    t.equal((await s.call('acme', 'post')).text, DONE, 'the next call works');
    t.equal((await s.call('acme', 'code', { method: 'POST' })).text, DONE);
    t.strictSame(paths(), ['/post', '/POST_code']);

    for (const response of s.held.splice(0)) if (!response.destroyed) json(response, { done: true });
    t.equal((await neighbour).text, DONE, 'the request of another cordon noticed nothing');
    t.strictSame(paths(), [], 'nor was it sent again');
  }
  const hosts = egressHosts(s).map(({ cordon }) => cordon);
  t.equal(hosts.filter((cordon) => cordon.includes('globex')).length, 1);
  t.equal(hosts.filter((cordon) => cordon.includes('acme')).length, 4);
});
