// The scenarios of MCP clients against the HTTP edge over the tests' backend.
// Not responsible for tools in hosts and threads: the same scenarios run against the whole server elsewhere.
import fc from 'fast-check';
import t from 'tap';
import { admission, garbage, legacyWire, modernWire, realClients, type Target } from '../helpers/mcp-scenarios.ts';
import { CONFIG, startServer, type TestServer, TOKENS } from '../helpers/mcp-server.ts';
import { modern } from '../helpers/mcp-wire.ts';

function targetOf(server: TestServer): Target {
  return {
    url: server.endpoint(),
    token: TOKENS.acme,
    foreignToken: TOKENS.globex,
    revokedToken: TOKENS.revoked,
    otherToken: TOKENS.acmeBob,
    bodyBytes: CONFIG.bodyBytes,
    tools: {
      ok: { name: 'echo', args: { text: 'héllo' }, text: 'héllo' },
      wrong: { name: 'echo', args: {}, path: '/text', reason: /required/ },
      progress: { name: 'steps', args: { count: 3 }, steps: 3 },
      endless: { name: 'wait', args: {} },
    },
    cancelled: (count) => server.backend.until(() => server.backend.cancelled.length >= count),
  };
}

await t.test('real clients', async (t) => realClients(t, targetOf(await startServer(t))));
await t.test('2026-07-28 on the wire', async (t) => {
  const server = await startServer(t);
  await modernWire(t, targetOf(server));
});
await t.test('who is let in', async (t) => {
  const server = await startServer(t);
  await admission(t, targetOf(server));
  t.ok(server.denied.length >= 10);
  t.ok(
    server.denied.every(
      ({ tenant, address, correlation }) =>
        (tenant === undefined || tenant === 'acme') && address === '127.0.0.1' && correlation.length === 26,
    ),
  );
  t.ok(
    server.denied.some(({ code, tenant }) => code === 'token_invalid' && tenant === undefined),
    'an unknown tenant is not named',
  );
  t.strictSame([...new Set(server.denied.map(({ code }) => code))].toSorted(), [
    'host_forbidden',
    'origin_forbidden',
    'token_invalid',
    'unauthenticated',
  ]);
});
await t.test('2025 sessions on the wire', async (t) => legacyWire(t, targetOf(await startServer(t))));

await t.test('garbage on the socket', async (t) => {
  // Long enough for whole requests on a machine that is busy.
  const server = await startServer(t, { timeouts: { headersMs: 2000, requestMs: 2000, checkMs: 50, keepAliveMs: 300 } });
  const line = `POST /t/acme/mcp HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${TOKENS.acme}\r\nConnection: close\r\nContent-Type: application/json\r\n`;
  const good = modern('tools/list').body;
  const fixed = [
    '\r\n\r\n\r\n',
    'GET',
    'GET / HTTP/9.9\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    `${line}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}`,
    `${line}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${line}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    `${line}Transfer-Encoding: gzip\r\n\r\n{}`,
    `${line}Content-Length: -1\r\n\r\n{}`,
    `${line}Content-Length: 99999999999999999999\r\n\r\n{}`,
    `${line}Content-Length: 100\r\n\r\n${good.slice(0, 50)}`,
    `${line}Content-Encoding: gzip\r\nContent-Length: ${good.length}\r\n\r\n${good}`,
    `${line}X: ${'a'.repeat(20_000)}\r\n\r\n`,
    `${line}${Array.from({ length: 150 }, (_, i) => `X-${i}: 1\r\n`).join('')}Content-Length: 2\r\n\r\n{}`,
    `${line}Mcp-Name: \u0001\r\nContent-Length: 2\r\n\r\n{}`,
    `${line}Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}`,
    `CONNECT acme:443 HTTP/1.1\r\nHost: acme:443\r\n\r\n`,
    `${line}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
    `${line}Expect: nonsense\r\nContent-Length: 2\r\n\r\n{}`,
    `GET /t/${'a'.repeat(15_000)}/mcp HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`,
    `GET /%ff%zz HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`,
  ];
  const random = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 200 }), { numRuns: 10, seed: 7 });
  const bodies = fc
    .sample(fc.oneof(fc.json(), fc.string()), { numRuns: 30, seed: 7 })
    .map((body) => `${line}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await Promise.all([...fixed, ...random, ...bodies].map((bytes) => garbage(t, targetOf(server), [bytes])));
});
