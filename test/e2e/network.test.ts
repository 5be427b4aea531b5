// The operator's proxy, certificate authorities and name servers, from leasehold.json to the sockets of an egress host; and
// connections that are kept per tenant.
import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { loadServerConfig } from '../../src/config/load-server.ts';
import { toolset, writeEstate } from '../helpers/estate.ts';
import { serveFolder } from '../helpers/runtime.ts';
import { startProxy } from '../bindings/proxy-server.ts';
import { json, startUpstream, TEST_CERTIFICATE } from '../bindings/upstream-server.ts';

t.setTimeout(120_000);
const REST = (path: string) =>
  JSON.stringify({
    kind: 'rest',
    connection: 'api',
    tools: { get: { description: 'd', request: { method: 'GET', path } } },
  });
const CODE = toolset(`
  many: defineTool({ description: 'd', connections: { api: {} }, handler: async (_, ctx) => {
    for (let i = 0; i < 3; i += 1) await ctx.connections.api.json('/');
    await ctx.call('get', {});
    return 'done';
  } }),
`);

t.test("a proxy and a certificate authority: names are the proxy's, private origins are reached directly", async (t) => {
  const proxy = await startProxy(t);
  const secure = await startUpstream((_, response) => json(response, { secure: true }), { tls: true });
  const inside = await startUpstream((_, response) => json(response, { inside: true }));
  t.teardown(() => Promise.all([secure.close(), inside.close()]));
  const origin = `https://upstream.test:${secure.port}`;
  const literal = `https://127.0.0.1:${secure.port}`;
  const tenant = (of: string) => ({
    tenant: { connections: { api: { type: 'none', origins: [of] } } },
    tools: { 'a.binding.json': REST('/') },
  });
  const estate = writeEstate(t, {
    server: { egress: { proxy: proxy.origin, ca: './ca.pem', privateOrigins: [inside.origin] } },
    tenants: { outside: tenant(origin), inside: tenant(inside.origin), literal: tenant(literal) },
  });
  writeFileSync(join(estate, 'ca.pem'), `# ours\n${TEST_CERTIFICATE.toString()}`);
  const s = await serveFolder(t, estate);
  t.equal((await s.call('outside', 'get')).text, '{"secure":true}');
  t.equal((await s.call('outside', 'get')).text, '{"secure":true}');
  t.strictSame(proxy.asked, [`upstream.test:${secure.port}`], 'one tunnel, kept');
  t.equal((await s.call('inside', 'get')).text, '{"inside":true}');
  t.equal((await s.call('literal', 'get')).error?.code, 'egress_denied', 'an address is judged here');
  t.equal(proxy.asked.length, 1);
  await s.close();

  const refusing = await serveFolder(t, estate);
  proxy.status = 403;
  t.equal((await refusing.call('outside', 'get')).error?.code, 'egress_denied');
  proxy.status = 502;
  t.equal((await refusing.call('outside', 'get')).error?.code, 'upstream_unavailable');
});

t.test('without the authority of the operator the certificate does not fit', async (t) => {
  const secure = await startUpstream((_, response) => json(response, {}), { tls: true });
  t.teardown(() => secure.close());
  const estate = writeEstate(t, {
    server: { egress: { privateOrigins: [`https://localhost:${secure.port}`] } },
    tenants: {
      acme: {
        tenant: { connections: { api: { type: 'none', origins: [`https://localhost:${secure.port}`] } } },
        tools: { 'a.binding.json': REST('/') },
      },
    },
  });
  const s = await serveFolder(t, estate);
  t.equal((await s.call('acme', 'get')).error?.code, 'upstream_invalid');
  t.equal(secure.received.length, 0);
});

t.test(
  "name servers of the operator; connections are kept over calls and nested calls, and are not another tenant's",
  async (t) => {
    const server = await startUpstream((_, response) => json(response, {}));
    const dns = createSocket('udp4');
    let queries = 0;
    dns.on('message', (query, peer) => {
      queries += 1;
      const end = query.indexOf(0, 12) + 5;
      const isA = query.readUInt16BE(end - 4) === 1;
      const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
      const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
      dns.send(Buffer.concat([head, query.subarray(12, end), ...(isA ? [record] : [])]), peer.port, peer.address);
    });
    await new Promise<void>((resolve) => dns.bind(0, '127.0.0.1', resolve));
    t.teardown(async () => {
      dns.close();
      await server.close();
    });
    const origin = `http://api.test:${server.port}`;
    const files = {
      tenant: { connections: { api: { type: 'none', origins: [origin] } } },
      tools: { 'a.binding.json': REST('/bound'), 'b.ts': CODE },
    };
    const estate = writeEstate(t, {
      server: { egress: { privateOrigins: [origin], nameServers: [`127.0.0.1:${dns.address().port}`] } },
      tenants: { acme: files, globex: files, apart: { ...files, tenant: { ...files.tenant, cordon: 'own' } } },
    });
    const s = await serveFolder(t, estate);
    for (let i = 0; i < 3; i += 1) t.equal((await s.call('acme', 'many')).text, 'done');
    t.equal((await s.call('acme', 'get')).error, undefined);
    t.strictSame(new Set(server.received.map(({ connection }) => connection)), new Set([1]), '13 requests, one connection');
    t.equal(server.received.length, 13);
    t.ok(queries >= 1 && queries <= 2, 'A and AAAA, once');
    await s.call('globex', 'many');
    await s.call('apart', 'many');
    t.strictSame(new Set(server.received.map(({ connection }) => connection)), new Set([1, 2, 3]), 'one for each tenant');
  },
);

t.test('settings that cannot be: told with their place', async (t) => {
  const problems = (egress: object) => {
    const estate = writeEstate(t, { server: { egress }, tenants: {} });
    writeFileSync(join(estate, 'key.pem'), '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
    writeFileSync(join(estate, 'bad.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    return loadServerConfig(estate, {}, {}).problems.map(({ reason }) => reason);
  };
  t.match(problems({ proxy: 'http://user:pw@proxy' }), ['/egress/proxy must not hold a user name or password']);
  t.match(problems({ proxy: 'socks5://x' }), [/http or https origin/]);
  t.match(problems({ ca: 'absent.pem' }), [/\/egress\/ca cannot be read \(ENOENT\)/]);
  t.match(problems({ ca: 'key.pem' }), [/has no certificate in PEM/]);
  t.match(problems({ ca: 'bad.pem' }), [/certificate that cannot be read/]);
  t.match(problems({ nameServers: ['1.1.1.1', '[::1]:5353', '127.0.0.1:53', '::1'] }), []);
  t.match(problems({ nameServers: ['dns.example'] }), [/\/egress\/nameServers\/0 must be address/]);
});
