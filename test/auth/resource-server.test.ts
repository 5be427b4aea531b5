// What MCP 2026-07-28 asks of a resource server (basic/authorization), requirement by requirement, over both eras; and that what a caller
// may not use is nowhere to be seen. Each requirement is cited by a test; the last one says which are not.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  Client as ModernClient,
  ClientCredentialsProvider as ModernCredentials,
  StreamableHTTPClientTransport as ModernTransport,
} from '@modelcontextprotocol/client';
import { ClientCredentialsProvider as LegacyCredentials } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import t, { type Test } from 'tap';
import { compileAuth } from '../../src/config/compile-auth.ts';
import { parsePublicUrl } from '../../src/config/origin.ts';
import { createToken } from '../../src/vault/access-token.ts';
import { toolset } from '../helpers/estate.ts';
import { EventReader } from '../helpers/event-reader.ts';
import { init, initialize, legacy, modern, post, type Reply, rpc } from '../helpers/mcp-wire.ts';
import { serve, type ServedEstate } from '../helpers/runtime.ts';
import { type ForeignIssuer, INTROSPECTION_SECRET, startForeignIssuer } from './foreign-issuer.ts';

t.setTimeout(240_000);

const REQUIREMENTS = {
  R1: 'RFC 9728 metadata with at least one authorization server',
  R2: 'resource_metadata in WWW-Authenticate and the well-known address; the canonical URI of the tenant’s endpoint',
  R3: 'every request is verified, sessions are no authentication',
  R4: 'the token is for this tenant as audience',
  R5: '401 for what is no good token, 403 for missing scopes, 400 for a malformed request',
  R6: 'no token for others is accepted, none is passed on',
  R7: 'tokens in the Authorization header only',
  R8: 'scope hierarchies count',
  R9: 'no token is stored or logged',
  R10: 'TLS for everything but loopback',
  R11: 'no proxying of another authorization server',
  R12: 'scope in the 401 challenge',
  R13: '403 insufficient_scope with all scopes of the operation',
  R14: 'scopes_supported is minimal, without offline_access',
  R15: 'scheme and host of the resource in any case',
  R16: 'no error code for a request without credentials',
} as const;
const cited = new Set<string>();
function verifies(ids: readonly (keyof typeof REQUIREMENTS)[], what: string, body: (t: Test) => Promise<void>): Promise<void> {
  for (const id of ids) cited.add(id);
  return t.test(`${ids.join(' ')} ${what}`, body).then(() => undefined);
}

const HIDDEN = `import { definePrompt, defineResource, defineTool, defineToolset, Type } from 'leasehold';
const scopes = ['secret:read', 'secret:write'];
export default defineToolset({
  tools: {
    open: defineTool({ description: 'open', handler: (_a, ctx) => ctx.subject }),
    hidden_tool: defineTool({ description: 'CANARY', scopes, handler: () => 'CANARY' }),
    climb: defineTool({ description: 'nested', handler: async (_a, ctx) => {
      try { return await ctx.call('hidden_tool', {}); } catch (error) { return 'refused ' + error.code; }
    } }),
  },
  prompts: {
    hidden_prompt: definePrompt({ description: 'CANARY', scopes, argsSchema: Type.Object({ a: Type.String() }), complete: { a: () => ['CANARY'] }, handler: () => 'CANARY' }),
  },
  resources: {
    hidden_resource: defineResource({ uri: 'doc://hidden', description: 'CANARY', scopes, handler: () => 'CANARY' }),
    hidden_template: defineResource({ uriTemplate: 'doc://t/{x}', description: 'CANARY', scopes, complete: { x: () => ['CANARY'] }, handler: () => 'CANARY' }),
  },
});
`;

interface Scene {
  readonly served: ServedEstate;
  readonly issuer: ForeignIssuer;
  readonly url: string;
}
async function scene(t: Test, auth: object = {}): Promise<Scene> {
  const issuer = await startForeignIssuer(t);
  const served = await serve(t, {
    server: { auth: { issuers: [{ issuer: issuer.origin }], ...auth }, egress: { privateOrigins: [issuer.origin] } },
    tenants: {
      acme: { tools: { 'h.ts': HIDDEN } },
      globex: { tools: { 'h.ts': HIDDEN } },
      plain: { tenant: { auth: { issuers: [] } } },
    },
  });
  return { served, issuer, url: served.endpoint('acme') };
}
function call(url: string, token: string | undefined, tool = 'open'): Promise<Reply> {
  const { body, headers } = modern('tools/call', { name: tool, arguments: {} });
  return post(url, token, body, headers);
}
const challengeOf = ({ headers }: Reply): Record<string, string> =>
  Object.fromEntries(
    [...(headers.get('www-authenticate') ?? '').matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  );

await verifies(['R1', 'R2'], 'metadata at both well-known forms, and the way to them', async (t) => {
  const { served, issuer, url } = await scene(t);
  const { resource_metadata: metadata = '' } = challengeOf(await call(url, undefined));
  t.equal(metadata, `${served.runtime.url}/.well-known/oauth-protected-resource/t/acme/mcp`);
  const response = await fetch(metadata);
  t.match(response.headers.get('content-type'), /^application\/json/);
  const document = (await response.json()) as { resource: string };
  t.strictSame(document, { resource: url, authorization_servers: [issuer.origin], bearer_methods_supported: ['header'] });
  t.notMatch(document.resource, /#|\/$/);
  t.strictSame(
    await (await fetch(metadata.replace('acme', 'nowhere'))).json(),
    { ...document, resource: served.endpoint('nowhere') },
    'who asks does not learn which tenants there are',
  );
  const none = await call(served.endpoint('plain'), undefined);
  t.equal(challengeOf(none)['resource_metadata'], undefined, 'a tenant without an authorization server has no document');
  t.equal((await fetch(metadata.replace('acme', 'plain'))).status, 404);
  for (const odd of ['ACME', '%61cme', 'acme%2f..', 'аcme', '..', 'acme/x'])
    t.not((await fetch(metadata.replace('acme', odd))).status, 200, odd);
  t.equal((await fetch(metadata, { method: 'POST' })).status, 404);
  t.equal(
    (await fetch(`${served.runtime.url}/.well-known/oauth-protected-resource`)).status,
    404,
    'by path only, the root stands for nobody',
  );
});

await verifies(['R3'], 'a session is worth nothing without its token', async (t) => {
  const { served, url } = await scene(t);
  const made = createToken(served.vault.tokens, { tenant: 'acme', subject: 'ada', scopes: [], now: Date.now() });
  const { session } = await initialize(url, made.token);
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
  t.equal((await legacy(url, made.token, session, ping)).status, 200);
  served.vault.tokens.revoke('acme', made.record.id, Date.now());
  t.equal((await legacy(url, made.token, session, ping)).status, 401);
  t.equal((await post(url, undefined, JSON.stringify(ping), { 'mcp-session-id': session })).status, 401);
});

await verifies(
  ['R4', 'R6', 'R15'],
  'the audience is this tenant’s endpoint; no token goes on to a tool or an upstream',
  async (t) => {
    const { served, issuer, url } = await scene(t);
    t.equal((await call(url, await issuer.sign(url))).status, 200);
    t.equal((await call(url, await issuer.sign(url.replace('http://', 'HTTP://')))).status, 200);
    for (const aud of [served.endpoint('globex'), 'https://api.github.com', issuer.origin, undefined])
      t.equal((await call(url, await issuer.sign(aud))).status, 401, String(aud));
    const upstream: string[] = [];
    const api = createServer((request, response) => {
      upstream.push(JSON.stringify([request.url, request.rawHeaders]));
      response.setHeader('content-type', 'application/json').end('{}');
    }).listen(0, '127.0.0.1');
    await once(api, 'listening');
    t.teardown(() => api.close());
    const origin = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    const behind = await serve(t, {
      server: { auth: { issuers: [{ issuer: issuer.origin }] }, egress: { privateOrigins: [issuer.origin, origin] } },
      tenants: {
        acme: {
          tenant: { connections: { api: { type: 'none', origins: [origin] } } },
          tools: {
            'e.ts': toolset(`up: defineTool({ description: 'up', connections: { api: {} }, async handler(_a, ctx) {
            await ctx.connections.api.fetch('/x');
            return JSON.stringify({ ...ctx, env: globalThis.process?.env });
          } })`),
          },
        },
      },
    });
    const token = await issuer.sign(behind.endpoint('acme'));
    const sent = await call(behind.endpoint('acme'), token, 'up');
    t.match(sent, { status: 200, text: /tenant/ });
    t.equal(upstream.length, 1);
    for (const text of [sent.text, ...upstream]) t.notOk(text.includes(token.slice(-30)) || /bearer|"authorization/i.test(text));
  },
);

await verifies(['R5', 'R7', 'R16'], 'statuses, and error codes', async (t) => {
  const { issuer, url } = await scene(t);
  const none = await call(url, undefined);
  t.equal(none.status, 401);
  t.equal(challengeOf(none)['error'], undefined);
  const wrong = await call(url, 'nonsense');
  t.equal(wrong.status, 401);
  t.equal(challengeOf(wrong)['error'], 'invalid_token');
  t.equal((await call(url, await issuer.sign(url, { exp: 1 }))).status, 401);
  const basic = await post(url, undefined, '{}', { authorization: 'Basic YTpi' });
  t.strictSame([basic.status, challengeOf(basic)['error']], [401, undefined], 'another scheme is no credential');
  t.equal((await call(`${url}?access_token=${await issuer.sign(url)}`, undefined)).status, 401);
  t.equal((await call(url, await issuer.sign(url), 'hidden_tool')).status, 403);
  const good = `Bearer ${await issuer.sign(url)}`;
  const headers = ['host', new URL(url).host, 'authorization', good, 'authorization', good];
  const [twice] = (await once(httpRequest(url, { method: 'POST', headers }).end('{}'), 'response')) as [IncomingMessage];
  t.equal(twice.resume().statusCode, 400, 'credentials twice are no request');
});

await verifies(
  ['R8', 'R12', 'R13', 'R14'],
  'scopes: asked for sparingly, stepped up in one go, with what they imply',
  async (t) => {
    const { issuer, url, served } = await scene(t, {
      scopes: { basic: ['mcp:use'], implies: { 'secret:admin': ['secret:read', 'secret:write'] } },
    });
    const none = challengeOf(await call(url, undefined));
    t.equal(none['scope'], 'mcp:use');
    t.match(await (await fetch(none['resource_metadata'] ?? '')).json(), { scopes_supported: ['mcp:use'] });
    t.match(compileAuth({ scopes: { basic: ['offline_access'] } }, { secrets: 'acme', shared: false }), {
      faults: [{ at: '/scopes/basic/0' }],
    });
    const few = await issuer.sign(url, { scope: 'secret:read' });
    const denied = await call(url, few, 'hidden_tool');
    t.equal(denied.status, 403);
    t.match(denied.headers.get('www-authenticate'), /^Bearer /);
    const { realm: _realm, ...told } = challengeOf(denied);
    t.strictSame(told, {
      error: 'insufficient_scope',
      scope: 'secret:read secret:write',
      resource_metadata: `${served.runtime.url}/.well-known/oauth-protected-resource/t/acme/mcp`,
    });
    const { session } = await initialize(url, few);
    const old = await legacy(url, few, session, {
      jsonrpc: '2.0',
      id: 2,
      method: 'tools/call',
      params: { name: 'hidden_tool', arguments: {} },
    });
    t.strictSame([old.status, challengeOf(old)['scope']], [403, 'secret:read secret:write'], 'in a session, too');
    for (const [method, params] of [
      ['prompts/get', { name: 'hidden_prompt', arguments: { a: 'x' } }],
      ['resources/read', { uri: 'doc://hidden' }],
      ['resources/read', { uri: 'doc://t/1' }],
    ] as const)
      t.strictSame([(await rpc(url, few, method, params)).status], [403], `${method} steps up, too`);
    t.match(await call(url, await issuer.sign(url, { scope: 'secret:admin' }), 'hidden_tool'), { status: 200, text: /CANARY/ });
    t.match(await call(url, await issuer.sign(url, { scope: 'secret:read secret:write' }), 'hidden_tool'), {
      status: 200,
      text: /CANARY/,
    });
  },
);

await verifies(['R9'], 'no token in any file of the data folder, in no log', async (t) => {
  const { served, issuer, url } = await scene(t);
  const tokens = [
    await issuer.sign(url),
    served.token('acme'),
    await issuer.sign('https://elsewhere.example'),
    `lh_acme_${'B'.repeat(43)}`,
    'opaque-canary-token-0123456789',
  ];
  for (const token of tokens) await call(url, token);
  await served.runtime.flush();
  const stored = readdirSync(served.dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const all = stored.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('') + served.logs.join('');
  for (const token of tokens) t.notOk(all.includes(token.slice(-24)), token.slice(0, 8));
});

// R11 where the server itself is the authorization server: `test/login/refused`.
await verifies(['R10', 'R11'], 'TLS but for loopback; other authorization servers are named, never stood in for', async (t) => {
  t.match(parsePublicUrl('http://mcp.example.com', false), { ok: false });
  for (const issuer of ['http://login.example.com', 'javascript:alert(1)', 'file:///etc/passwd', 'https://u:p@x.example'])
    t.match(
      compileAuth({ issuers: [{ issuer }] }, { secrets: 'acme', shared: false }),
      { faults: [{ at: '/issuers/0/issuer' }] },
      issuer,
    );
  const { served } = await scene(t);
  for (const path of [
    '/authorize',
    '/token',
    '/register',
    '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration',
  ])
    t.equal((await fetch(served.runtime.url + path)).status, 404, path);
});

await t.test('stock clients with client credentials find all they need from the address alone', async (t) => {
  const { issuer, url } = await scene(t, { scopes: { basic: ['read'] } });
  const credentials = { clientId: 'machine', clientSecret: INTROSPECTION_SECRET, expectedIssuer: issuer.origin };
  const legacyClient = new LegacyClient({ name: 'machine', version: '1' });
  await legacyClient.connect(
    new LegacyTransport(new URL(url), { authProvider: new LegacyCredentials(credentials) }) as Parameters<
      LegacyClient['connect']
    >[0],
  );
  t.match(await legacyClient.callTool({ name: 'open', arguments: {} }), {
    content: [{ text: 'machine' }],
    _meta: { 'leasehold/tenant': 'acme' },
  });
  await legacyClient.close();
  const modernClient = new ModernClient({ name: 'machine', version: '1' });
  await modernClient.connect(new ModernTransport(new URL(url), { authProvider: new ModernCredentials(credentials) }));
  t.match(await modernClient.callTool({ name: 'open', arguments: {} }), { content: [{ text: 'machine' }] });
  await modernClient.close();
  t.ok(issuer.asked.includes('/token'));
});

await t.test(
  'what a caller may not use: not listed, not callable by name, not readable, not completed, not told of; in either era',
  async (t) => {
    const { issuer, url } = await scene(t);
    const token = await issuer.sign(url, { scope: 'secret:read' });
    const { session } = await initialize(url, token);
    const methods: [string, Record<string, unknown>][] = [
      ['server/discover', {}],
      ['tools/list', {}],
      ['tools/call', { name: 'hidden_tool', arguments: {} }],
      ['tools/call', { name: 'climb', arguments: {} }],
      ['prompts/list', {}],
      ['prompts/get', { name: 'hidden_prompt', arguments: { a: 'x' } }],
      ['resources/list', {}],
      ['resources/templates/list', {}],
      ['resources/read', { uri: 'doc://hidden' }],
      ['resources/read', { uri: 'doc://t/x' }],
      ['completion/complete', { ref: { type: 'ref/prompt', name: 'hidden_prompt' }, argument: { name: 'a', value: 'C' } }],
      ['completion/complete', { ref: { type: 'ref/resource', uri: 'doc://t/{x}' }, argument: { name: 'x', value: 'C' } }],
      ['resources/subscribe', { uri: 'doc://hidden' }],
      ['logging/setLevel', { level: 'debug' }],
    ];
    for (const [method, params] of methods) {
      const now = await rpc(url, token, method, params);
      const then = await legacy(url, token, session, { jsonrpc: '2.0', id: 9, method, params });
      for (const [era, { text }] of [
        ['2026', now],
        ['2025', then],
      ] as const) {
        t.notMatch(text, /CANARY/, `${method} ${JSON.stringify(params)} ${era}`);
        if (method.endsWith('/list')) t.notMatch(text, /hidden_/, `${method} ${era} does not name it`);
      }
      if (params['name'] === 'climb') t.match(now.text, /refused scope_insufficient/, 'nor through a tool that it may use');
    }
    const { body, headers } = modern('subscriptions/listen', {
      notifications: { resourceSubscriptions: ['doc://hidden', 'doc://t/x'] },
    });
    const stream = await EventReader.open(url, init(token, { body, headers }));
    const first = await stream.next();
    t.notMatch(first?.data, /hidden/, 'a subscription to it is not honoured');
    stream.leave();
    const whole = await issuer.sign(url, { scope: 'secret:read secret:write' });
    t.match((await rpc(url, whole, 'tools/list', {})).text, /hidden_tool/, 'who may use it sees it');
  },
);

await t.test('every requirement is cited', (t) => {
  t.strictSame([...cited].toSorted(), Object.keys(REQUIREMENTS).toSorted());
  t.end();
});
