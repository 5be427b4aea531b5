// Where a request names its tenant: path, host name, header, token; all that do must agree, with each other and with the verified
// identity. And the context of a call, followed through three levels in two tenants at once.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Principal } from '../../src/auth/principal.ts';
import { disagreement } from '../../src/tenants/resolve.ts';
import { toolset } from '../helpers/estate.ts';
import { initialize, legacy, modern, raw, type RpcMessage, rpc } from '../helpers/mcp-wire.ts';
import { serve, type ServedEstate } from '../helpers/runtime.ts';
import { type ForeignIssuer, startForeignIssuer } from './foreign-issuer.ts';

t.setTimeout(240_000);

const TOOLS = {
  'w.ts': toolset(`whoami: defineTool({ description: 'who', handler: (_a, ctx) => ctx.tenant + ' ' + ctx.subject })`),
};
const ALL = { path: true, host: '{tenant}.example.test', header: 'X-Tenant', claim: true };

interface Answered {
  readonly status: number;
  readonly text: string;
  readonly json: RpcMessage | undefined;
  readonly challenge: string;
}
type Names = { readonly path?: string; readonly host?: string; readonly header?: string; readonly token?: string };

/** By node:http, since fetch sets Host itself. */
async function ask(
  served: ServedEstate,
  { path, host, header, token }: Names,
  more: { method?: string; url?: string } = {},
): Promise<Answered> {
  const { port } = served.runtime;
  const { body, headers } = modern('tools/call', { name: 'whoami', arguments: {} });
  const sent = httpRequest({
    host: '127.0.0.1',
    port,
    method: more.method ?? 'POST',
    path: more.url ?? (path === undefined ? '/mcp' : `/t/${path}/mcp`),
    headers: {
      ...headers,
      host: `${host ?? '127.0.0.1'}:${port}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...(header === undefined ? {} : { 'x-tenant': header }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });
  sent.end(more.method === 'GET' ? undefined : body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  let json: RpcMessage | undefined;
  try {
    json = JSON.parse(text) as RpcMessage;
  } catch {
    json = undefined;
  }
  return { status: response.statusCode ?? 0, text, json, challenge: response.headers['www-authenticate'] ?? '' };
}

async function scene(t: Test, routing: object = ALL): Promise<{ served: ServedEstate; issuer: ForeignIssuer }> {
  const issuer = await startForeignIssuer(t);
  const served = await serve(t, {
    server: {
      routing,
      auth: { issuers: [{ issuer: issuer.origin, claims: { tenant: 'tid' } }] },
      egress: { privateOrigins: [issuer.origin] },
    },
    tenants: { acme: { tools: TOOLS }, globex: { tools: TOOLS, tenant: { auth: { claimValues: ['org_g'] } } } },
  });
  return { served, issuer };
}

await t.test('each way in, alone and together', async (t) => {
  const { served, issuer } = await scene(t);
  const port = new URL(served.runtime.url).port;
  const minted = served.token('acme');
  const shared = `${served.runtime.url}/mcp`;
  const good: [string, Names, string][] = [
    ['path', { path: 'acme', token: minted }, 'acme ada'],
    ['host', { host: 'acme.example.test', token: minted }, 'acme ada'],
    ['header', { header: 'acme', token: minted }, 'acme ada'],
    ['token that is minted here', { token: minted }, 'acme ada'],
    ['claim', { token: await issuer.sign(shared, { tid: 'acme' }) }, 'acme ada'],
    ['claim by another name', { token: await issuer.sign(shared, { tid: 'org_g' }) }, 'globex ada'],
    [
      'all',
      {
        path: 'acme',
        host: 'ACME.example.test'.toLowerCase(),
        header: 'acme',
        token: await issuer.sign(served.endpoint('acme'), { tid: 'acme' }),
      },
      'acme ada',
    ],
    [
      'the address of the host as audience',
      { host: 'acme.example.test', token: await issuer.sign(`http://acme.example.test:${port}/mcp`, { tid: 'acme' }) },
      'acme ada',
    ],
    ['the suffix of the host in capitals', { host: 'acme.EXAMPLE.test', token: minted }, 'acme ada'],
  ];
  for (const [what, names, said] of good) {
    const { status, json, text } = await ask(served, names);
    t.equal(status, 200, `${what} ${text.slice(0, 200)}`);
    t.equal(json?.result?.content?.[0]?.text, said, what);
    t.equal(json?.result?._meta?.['leasehold/tenant'], said.split(' ')[0], `${what}: the tenant is named in the result`);
  }
  const { session } = await initialize(served.endpoint('acme'), minted);
  const old = await legacy(served.endpoint('acme'), minted, session, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
  t.equal(old.json?.result?._meta?.['leasehold/tenant'], 'acme', 'in the 2025 era, too');

  const bad: [string, Names, number, RegExp | undefined, string?][] = [
    [
      'path and host',
      { path: 'acme', host: 'globex.example.test', token: minted },
      403,
      /the path and the host name different tenants/,
    ],
    ['path and header', { path: 'acme', header: 'globex', token: minted }, 403, /the path and the header name different tenants/],
    [
      'host and header',
      { host: 'acme.example.test', header: 'globex', token: minted },
      403,
      /the host and the header name different tenants/,
    ],
    ['path and token', { path: 'globex', token: minted }, 401, /is of another tenant/, 'globex'],
    ['host and token', { host: 'globex.example.test', token: minted }, 401, /is of another tenant/, 'globex'],
    ['header and token', { header: 'globex', token: minted }, 401, /is of another tenant/, 'globex'],
    [
      'path and claim',
      { path: 'acme', token: await issuer.sign(served.endpoint('acme'), { tid: 'org_g' }) },
      401,
      /names another tenant/,
    ],
    [
      'claim and audience',
      { token: await issuer.sign(served.endpoint('globex'), { tid: 'acme' }) },
      401,
      /is for another tenant/,
    ],
    [
      'header twice named',
      { header: 'acme,acme', token: minted },
      403,
      /the header names something that is no tenant id/,
      '_server',
    ],
    ['header in capitals', { header: 'ACME', token: minted }, 403, /the header names something that is no tenant id/, '_server'],
    ['header with Unicode', { header: 'acm\u00e9', token: minted }, 403, /no tenant id/, '_server'],
    ['header of a proto', { header: '__proto__', token: minted }, 403, /no tenant id/, '_server'],
    ['header that is empty', { header: '', token: minted }, 403, /no tenant id/, '_server'],
    ['host in capitals', { host: 'ACME.example.test', token: minted }, 403, /foreign Host/, '_server'],
    ['host below a tenant', { host: 'a.acme.example.test', token: minted }, 403, /foreign Host/, '_server'],
    ['nothing', { token: await issuer.sign(shared) }, 401, /nothing in the request names a tenant/, '_server'],
    ['nothing and nobody', {}, 401, /there is no bearer token/, '_server'],
    ['a claim of no tenant', { token: await issuer.sign(shared, { tid: 'nowhere' }) }, 401, /there is no such tenant/, '_server'],
    [
      'a claim that lists tenants',
      { token: await issuer.sign(shared, { tid: ['acme', 'org_g'] }) },
      401,
      /nothing in the request names/,
      '_server',
    ],
    ['the shared address without a claim', { header: 'acme', token: await issuer.sign(shared) }, 401, /names no tenant/],
  ];
  for (const [what, names, status, reason, trail = 'acme'] of bad) {
    const before = (await served.audit(trail).catch(() => [])).length;
    const answer = await ask(served, names);
    t.equal(answer.status, status, `${what} ${answer.text}`);
    t.match(answer.text, /does not agree on its tenant|not valid here|Authentication is required|Host is not served/, what);
    const told = (await served.audit(trail)).slice(before);
    t.match(told, [{ kind: 'auth.denied', reason }], `${what}: audited`);
  }
  const twice = await raw(
    Number(port),
    `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-Tenant: acme\r\nX-Tenant: globex\r\nAuthorization: Bearer ${minted}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
  );
  t.match(twice, /^HTTP\/1\.1 400/, 'the header stands once');
});

await t.test('metadata and challenges of each form', async (t) => {
  const { served, issuer } = await scene(t);
  const base = served.runtime.url;
  const { port } = new URL(base);
  const forms: [string, Names, string, string[]][] = [
    ['path', { path: 'acme' }, `${base}/t/acme/mcp`, ['/.well-known/oauth-protected-resource/t/acme/mcp']],
    [
      'host',
      { host: 'acme.example.test' },
      `http://acme.example.test:${port}/mcp`,
      ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource'],
    ],
    ['shared', {}, `${base}/mcp`, ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource']],
  ];
  for (const [what, names, resource, urls] of forms) {
    const { challenge } = await ask(served, names);
    const { origin, pathname } = new URL(resource);
    t.match(challenge, `resource_metadata="${origin}/.well-known/oauth-protected-resource${pathname}"`, what);
    for (const url of urls) {
      const { json } = await ask(served, names, { method: 'GET', url });
      t.strictSame(
        json,
        { resource, authorization_servers: [issuer.origin], bearer_methods_supported: ['header'] },
        `${what} ${url}`,
      );
    }
  }
});

await t.test('the host name of the server itself names nobody', async (t) => {
  const issuer = await startForeignIssuer(t);
  const served = await serve(t, {
    server: {
      publicUrl: 'https://mcp.example.test/base',
      routing: ALL,
      auth: { issuers: [{ issuer: issuer.origin, claims: { tenant: 'tid' } }] },
      egress: { privateOrigins: [issuer.origin] },
      allowedHosts: ['mcp.example.test'],
    },
    tenants: { acme: { tools: TOOLS }, mcp: { tools: TOOLS } },
  });
  const host = 'mcp.example.test';
  t.equal((await ask(served, { host, path: 'acme', token: served.token('acme') })).status, 200);
  t.equal(
    (await ask(served, { host, token: await issuer.sign('https://mcp.example.test/base/mcp', { tid: 'acme' }) })).status,
    200,
  );
  t.equal(
    (await ask(served, { host, token: await issuer.sign('https://acme.example.test/base/mcp', { tid: 'acme' }) })).status,
    200,
  );
  const { challenge } = await ask(served, { host, path: 'acme' });
  const url = 'https://mcp.example.test/.well-known/oauth-protected-resource/base/t/acme/mcp';
  t.match(challenge, `resource_metadata="${url}"`);
  for (const path of [new URL(url).pathname, '/.well-known/oauth-protected-resource/t/acme/mcp'])
    t.match((await ask(served, { host }, { method: 'GET', url: path })).json, {
      resource: 'https://mcp.example.test/base/t/acme/mcp',
    });
});

await t.test('what is not switched on is not looked at', async (t) => {
  const paths = await scene(t, {});
  const minted = paths.served.token('acme');
  t.equal((await ask(paths.served, { path: 'acme', header: 'globex', token: minted })).status, 200, 'a header means nothing');
  t.equal((await ask(paths.served, { token: minted })).status, 404, 'there is no shared endpoint');
  t.equal(
    (await ask(paths.served, { host: 'acme.example.test', path: 'acme', token: minted })).status,
    403,
    'a host name is foreign',
  );
  const headers = await scene(t, { path: false, header: 'x-tenant' });
  const other = headers.served.token('acme');
  t.equal((await ask(headers.served, { path: 'acme', token: other })).status, 404);
  t.equal((await ask(headers.served, { header: 'acme', token: other })).status, 200);
  t.equal((await ask(headers.served, { token: other })).status, 401, 'no default, and the token does not name one');
});

const LEVELS = `
  one: defineTool({ description: '1', inputSchema: Type.Object({ n: Type.String() }), async handler({ n }, ctx) { ctx.log.info('level one ' + n); await Promise.resolve(); return await ctx.call('two', { n }) ; } }),
  two: defineTool({ description: '2', inputSchema: Type.Object({ n: Type.String() }), async handler({ n }, ctx) { getContext().log.info('level two ' + n); return await ctx.call('three', { n }); } }),
  three: defineTool({ description: '3', inputSchema: Type.Object({ n: Type.String() }), connections: { api: {} }, async handler({ n }, ctx) {
    await ctx.connections.api.fetch('/' + ctx.tenant + '/' + n);
    const at = getContext();
    at.log.info('level three ' + n);
    return JSON.stringify([at.tenant, at.subject, at.requestId, at.deadline, n]);
  } }),
`;

await t.test(
  'the context of a call reaches every log line, record, nested call and egress call, in two tenants at once',
  async (t) => {
    const upstream = new Map<string, string>();
    const api = createServer((request, response) => {
      upstream.set(request.url ?? '', String(request.headers['traceparent']));
      response.setHeader('content-type', 'application/json').end('{}');
    }).listen(0, '127.0.0.1');
    await once(api, 'listening');
    t.teardown(() => api.close());
    const origin = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    const tenant = { tenant: { connections: { api: { type: 'none', origins: [origin] } } }, tools: { 'l.ts': toolset(LEVELS) } };
    const served = await serve(t, {
      server: { egress: { privateOrigins: [origin] } },
      tenants: { acme: tenant, globex: tenant },
    });
    const runs = ['acme', 'globex'].flatMap((id) =>
      Array.from({ length: 8 }, (_, i) => ({ id, n: `${id}-${i}`, subject: `user${i % 3}@${id}` })),
    );
    const answers = await Promise.all(
      runs.map(async ({ id, n, subject }, i) => {
        const trace = `00-${(i + 1).toString(16).padStart(32, '0')}-00000000000000aa-01`;
        const { json, headers, text } = await rpc(served.endpoint(id), served.token(id, subject), 'tools/call', {
          name: 'one',
          arguments: { n },
          _meta: { traceparent: trace },
        });
        const said = json?.result?.content?.[0]?.text;
        if (said === undefined) t.fail(text);
        return {
          trace: trace.slice(3, 35),
          correlation: headers.get('x-correlation-id') ?? '',
          said: JSON.parse(said ?? '[]') as unknown[],
        };
      }),
    );
    await served.runtime.flush();
    for (const id of ['acme', 'globex']) {
      const audit = await served.audit(id);
      const log = readFileSync(join(served.dataDir, 'logs', `${id}.jsonl`), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      for (const [i, run] of runs.entries()) {
        const { correlation, trace, said } = answers[i] as (typeof answers)[number];
        const mine = audit.filter((record) => record.correlation === correlation);
        const lines = log.filter(({ call }) => call === correlation);
        if (run.id !== id) {
          t.strictSame([mine, lines], [[], []], `nothing of ${run.n} in ${id}`);
          continue;
        }
        const requests = mine.filter(({ kind }) => kind === 'call.request');
        const [root, child, grandchild] = requests;
        const [, , , deadline] = said;
        t.strictSame(said, [id, run.subject, correlation, deadline, run.n]);
        t.match(requests, [
          { tool: 'one', depth: 0, id: correlation, deadline },
          { tool: 'two', depth: 1, parent: root?.id, deadline },
          { tool: 'three', depth: 2, parent: child?.id, deadline },
        ]);
        t.match(
          mine.find(({ kind }) => kind === 'egress.request'),
          { parent: grandchild?.id },
        );
        t.equal(mine.length, 8, 'three requests, three outcomes, two of egress');
        for (const record of mine) {
          t.match(record, { tenant: id, issuer: 'leasehold', subject: run.subject, correlation });
          t.equal(record.trace.slice(3, 35), trace);
        }
        t.match(
          lines.toSorted((a, b) => Number(a['depth']) - Number(b['depth'])),
          ['one', 'two', 'three'].map((tool, depth) => ({
            tenant: id,
            tool,
            depth,
            subject: run.subject,
            message: `level ${tool} ${run.n}`,
            trace: new RegExp(trace),
          })),
        );
        t.equal(upstream.get(`/${id}/${run.n}`)?.slice(3, 35), trace, 'the upstream sees the trace');
      }
    }
  },
);

t.test('the last wall: whoever was verified for another tenant acts for none', (t) => {
  const principal: Principal = { tenant: 'acme', issuer: 'i', subject: 'ada', credentialId: 'c', scopes: new Set() };
  t.strictSame([disagreement('acme', principal), typeof disagreement('globex', principal)], [undefined, 'string']);
  t.end();
});
