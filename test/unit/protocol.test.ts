// The pure parts of the protocol: the envelope scanner against JSON.parse, header values, cursors, results, Accept, Host and Origin.
// Not responsible for anything on a socket (test/mcp).
import fc from 'fast-check';
import t from 'tap';
import { classify } from '../../src/mcp/classify.ts';
import { openCursor, sealCursor } from '../../src/mcp/cursor.ts';
import { type Envelope, type EnvelopeFault, readEnvelope } from '../../src/mcp/envelope.ts';
import { decodeHeaderValue } from '../../src/mcp/header-value.ts';
import { MAX_DEPTH, skipSpace, skipValue } from '../../src/shared/json-scan.ts';
import { listPage } from '../../src/mcp/listing.ts';
import { openBody } from '../../src/mcp/result-body.ts';
import { authorMeta, isReservedKey } from '../../src/mcp/result-meta.ts';
import { failureMembers, failureMeta } from '../../src/mcp/tool-failure.ts';
import { errorMessage } from '../../src/mcp/protocol-error.ts';
import { progressTo } from '../../src/mcp/operate.ts';
import { traceparentOf, tracestateOf } from '../../src/mcp/trace.ts';
import { accepts } from '../../src/server/accept.ts';
import { AllowList } from '../../src/server/allow-list.ts';
import { oneLine } from '../../src/server/event-bytes.ts';
import { duplicateHeader } from '../../src/server/guard.ts';
import { FAILURES, failure, type FailureCode } from '../../src/shared/errors.ts';
import { TestBackend } from '../helpers/mcp-backend.ts';
import { CONFIG } from '../helpers/mcp-server.ts';
import { meta, MODERN, PREFIX } from '../helpers/mcp-wire.ts';

const read = (text: string | Uint8Array): Envelope | EnvelopeFault => readEnvelope(Buffer.from(text as string));
function faultOf(text: string | Uint8Array): string | undefined {
  const got = read(text);
  return 'fault' in got ? got.fault : undefined;
}
function envelopeOf(text: string): Envelope {
  const got = read(text);
  if ('fault' in got) throw new Error(`${got.fault}: ${got.reason}`);
  return got;
}
function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
function scans(text: string): boolean {
  const bytes = Buffer.from(text);
  const end = skipValue(bytes, skipSpace(bytes, 0, bytes.length), bytes.length, 0);
  return end >= 0 && skipSpace(bytes, end, bytes.length) === bytes.length;
}

await t.test('the scanner takes what JSON.parse takes', async (t) => {
  const edges = [
    '',
    ' ',
    '0',
    '-0',
    '-',
    '01',
    '1.',
    '.5',
    '1e',
    '1e+',
    '1e5',
    '1E-5',
    '+1',
    'NaN',
    'Infinity',
    'true',
    'tru',
    'truee',
    'null',
    'nul',
  ];
  const more = [
    '"',
    '"\\"',
    '"\\u12"',
    '"\\u12g4"',
    '"\\uD800"',
    '"\\x"',
    '"\t"',
    '"\u007f"',
    '[',
    ']',
    '[,]',
    '[1,]',
    '[1 2]',
    '{',
    '{}',
    '{"a"}',
    '{"a":}',
  ];
  const last = [
    '{"a":1,}',
    "{'a':1}",
    '{a:1}',
    '[1]x',
    '\ufeff1',
    '// c\n1',
    '"\u2028"',
    ' [ 1 , { "a" : [ ] } ] ',
    '{"a":1 "b":2}',
    '1 1',
    '{"__proto__":{}}',
  ];
  const wrong = [...edges, ...more, ...last].filter((text) => scans(text) !== parses(text));
  t.strictSame(wrong, []);
  const shallow = fc.json({ maxDepth: 6 });
  fc.assert(fc.property(shallow, (text) => scans(text)));
  // A valid text with one thing wrong, or not: whatever it became, both must say the same.
  const bits = fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', 'e', '.', ' ', '\n', '\u0000', 'é', 't');
  fc.assert(
    fc.property(shallow, fc.nat(), fc.nat(3), bits, (text, where, cut, bit) => {
      const at = where % (text.length + 1);
      const broken = text.slice(0, at) + bit + text.slice(at + cut);
      return scans(broken) === parses(broken);
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '1', 'null', '\\u00', ' '), maxLength: 12 }),
      (text) => scans(text) === parses(text),
    ),
    { numRuns: 20_000 },
  );
});

const orders = [
  ['jsonrpc', 'id', 'method', 'params'],
  ['params', 'method', 'id', 'jsonrpc'],
];

await t.test('an envelope', async (t) => {
  await t.test('gives the arguments as they stand', async () => {
    const dictionary = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 8 });
    const id = fc.oneof(
      fc.string({ maxLength: 50 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc
        .bigInt()
        .map(String)
        .map((digits) => ({ digits })),
    );
    const spaces = fc.constantFrom(undefined, 1, '\t\n\r ');
    fc.assert(
      fc.property(dictionary, id, spaces, fc.constantFrom(...orders), (args, id, space, order) => {
        const raw = typeof id === 'object' ? id.digits : JSON.stringify(id);
        const params = { name: 'x', arguments: args, _meta: { a: 1 } };
        const message: Record<string, unknown> = { jsonrpc: '2.0', id: '@id', method: 'tools/call', params };
        const text = JSON.stringify(
          Object.fromEntries(order.map((key) => [key, message[key]])),
          undefined,
          space as string,
        ).replace('"@id"', () => raw);
        const got = envelopeOf(text);
        const range = got.args;
        if (range === undefined) throw new Error('no arguments');
        const slice = got.body.bytes.subarray(range.start, range.end).toString();
        const same = JSON.stringify(JSON.parse(slice)) === JSON.stringify(args);
        const known = new Set(Object.keys(args));
        return got.id === raw && same && got.shape.every((of) => known.has(of.name)) && got.shape.length === known.size;
      }),
    );
  });

  await t.test('keeps ids as they are written, or refuses them', async (t) => {
    const of = (id: string) => read(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`);
    for (const id of ['0', '-0', '1.50', '1e400', '9007199254740993', '123456789012345678901234567890', '"a\\u0062\\n"', '""']) {
      t.equal((of(id) as Envelope).id, id);
    }
    for (const id of ['null', 'true', '{}', '[1]', `"${'x'.repeat(2000)}"`])
      t.match(of(id), { fault: 'request_invalid', id: undefined });
  });

  await t.test('refuses what two readers could read differently', async (t) => {
    const twice = [
      '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
      '{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{},"params":{"name":"a"}}',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","name":"b"}}',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{},"arguments":{"a":1}}}',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":1,"arguments":{"a":1}}}',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"a":1,"\\u0061":2}}}',
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"a":1,"a":1}}}',
    ];
    for (const text of twice) t.match(read(text), { fault: 'request_invalid', id: '1' });
    t.notOk(
      faultOf('{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"a":{"b":1,"b":2}}}}'),
      'deeper ones are the tool’s own',
    );
  });

  await t.test('bounds depth, members and size', async (t) => {
    const nested = (depth: number) =>
      `{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}}`;
    t.equal(faultOf(nested(MAX_DEPTH - 3)), undefined);
    t.match(read(nested(MAX_DEPTH - 2)), { fault: 'request_invalid', reason: /deeper/ });
    t.match(read(nested(1_000_000)), { fault: 'request_invalid', reason: /deeper/ });
    const many = Array.from({ length: 100 }, (_, i) => `"k${i}":1`).join();
    t.match(read(`{"jsonrpc":"2.0","id":1,"method":"x","params":{${many}}}`), { fault: 'request_invalid' });
    t.equal(faultOf(`{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{${many}}}}`), undefined);
    const long = 'x'.repeat(70_000);
    t.match(read(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'x', params: { _meta: { long } } })), {
      fault: 'params_invalid',
    });
    t.equal(faultOf(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'x', params: { arguments: { long } } })), undefined);
    const shape = envelopeOf(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'x', params: { arguments: { [long]: 1 } } })).shape;
    t.equal(shape[0]?.name.length, 128);
  });

  await t.test('refuses what is no message', async (t) => {
    for (const text of ['', 'x', '{"a":1', '{"jsonrpc":"2.0"}}', '\ufeff{}', '[}', '[1', Uint8Array.of(0x22, 0xff, 0x22)]) {
      t.equal(faultOf(text), 'parse_error');
    }
    const invalid = [
      '[]',
      '[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
      '1',
      '"x"',
      'null',
      '{}',
      '{"jsonrpc":"1.0","id":1,"method":"x"}',
    ];
    for (const text of [...invalid, '{"jsonrpc":"2.0","id":1,"method":1}', '{"jsonrpc":"2.0","id":1,"method":"x","result":{}}']) {
      t.equal(faultOf(text), 'request_invalid');
    }
    for (const params of ['1', 'null', '[]', '"x"'])
      t.equal(faultOf(`{"jsonrpc":"2.0","id":1,"method":"x","params":${params}}`), 'params_invalid');
    const polluted = envelopeOf(
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"__proto__":{"name":"a"},"arguments":{"__proto__":1}}}',
    );
    t.strictSame([...(polluted.params?.keys() ?? [])], ['__proto__', 'arguments']);
    t.strictSame(polluted.shape, [{ name: '__proto__', bytes: 1 }]);
  });
});

await t.test('classification', async (t) => {
  const none = {
    protocolVersion: undefined,
    method: undefined,
    name: undefined,
    session: undefined,
    traceparent: undefined,
    tracestate: undefined,
    baggage: undefined,
    lastEventId: undefined,
    param: () => undefined,
  };
  const message = (over: object = {}, metaOver: Record<string, unknown> = {}) =>
    JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'a', arguments: {}, _meta: meta(metaOver) },
      ...over,
    });
  const good = { ...none, protocolVersion: MODERN, method: 'tools/call', name: 'a' };
  const code = (headers: object, text: string): unknown => {
    const got = classify({ ...none, ...headers }, read(text));
    return got.kind === 'rejection' ? got.failure.code : got.kind;
  };
  t.equal(code(good, message()), 'call');
  t.equal(code({ ...good, name: '=?base64?YQ==?=' }, message()), 'call');
  const rows: [expected: string, headers: object, text: string][] = [
    ['header_mismatch', { ...good, protocolVersion: undefined }, message()],
    ['header_mismatch', { ...good, protocolVersion: '2025-11-25' }, message()],
    ['header_mismatch', { ...good, method: undefined }, message()],
    ['header_mismatch', { ...good, method: 'TOOLS/CALL' }, message()],
    ['header_mismatch', { ...good, name: undefined }, message()],
    ['header_mismatch', { ...good, name: 'b' }, message()],
    ['header_mismatch', { ...good, name: '=?base64?Yg==?=' }, message()],
    ['header_mismatch', { ...good, name: '=?base64?!?=' }, message()],
    [
      'version_unsupported',
      { ...good, protocolVersion: '1900-01-01' },
      message({}, { [`${PREFIX}protocolVersion`]: '1900-01-01' }),
    ],
    ['version_unsupported', { protocolVersion: '2030-01-01' }, '{"jsonrpc":"2.0","id":1,"method":"ping"}'],
    ['params_invalid', good, message({}, { [`${PREFIX}protocolVersion`]: 1 })],
    ['params_invalid', good, message({}, { [`${PREFIX}clientCapabilities`]: undefined })],
    ['params_invalid', good, message({}, { [`${PREFIX}clientCapabilities`]: [] })],
    ['params_invalid', good, '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}'],
    ['params_invalid', good, message({ params: { _meta: meta() } })],
    ['method_unknown', { ...good, method: 'nope' }, message({ method: 'nope' })],
    ['method_unknown', { ...good, method: 'toString' }, message({ method: 'toString' })],
    ['method_unknown', { ...good, method: 'ping' }, message({ method: 'ping' })],
    ['notification', {}, message({ id: undefined })],
    ['legacy', {}, '{"jsonrpc":"2.0","id":1,"method":"initialize"}'],
    ['legacy', { protocolVersion: '2024-11-05' }, '{"jsonrpc":"2.0","id":1,"result":{}}'],
    ['request_invalid', good, '{"jsonrpc":"2.0","id":1,"result":{}}'],
  ];
  for (const [expected, headers, text] of rows)
    t.equal(code(headers, text), expected, `${expected} (${rows.findIndex((row) => row[2] === text && row[1] === headers)})`);
  const header = fc.option(fc.string({ maxLength: 40 }), { nil: undefined });
  fc.assert(
    fc.property(
      header,
      header,
      header,
      fc.oneof(fc.string(), fc.json(), fc.constant(message())),
      (protocolVersion, method, name, text) => {
        classify({ ...none, protocolVersion, method, name }, read(text));
      },
    ),
  );
});

await t.test('header values', async (t) => {
  t.equal(decodeHeaderValue('plain value'), 'plain value');
  t.equal(decodeHeaderValue('=?base64?SGVsbG8sIOS4lueVjA==?='), 'Hello, 世界');
  t.equal(decodeHeaderValue('=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='), '=?base64?literal?=');
  t.equal(decodeHeaderValue('=?BASE64?YQ==?='), '=?BASE64?YQ==?=', 'markers are case-sensitive');
  for (const bad of ['=?base64?YQ?=', '=?base64?Y Q=?=', '=?base64?/w==?=', 'caf\u00e9', 'a\u0000'])
    t.equal(decodeHeaderValue(bad), undefined);
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      (text) => decodeHeaderValue(`=?base64?${Buffer.from(text).toString('base64')}?=`) === text,
    ),
  );
});

await t.test('cursors and pages', async (t) => {
  const key = Buffer.alloc(32, 7);
  const cursor = sealCursor(key, 'ada', 'hash', 500);
  t.equal(openCursor(key, 'ada', 'hash', cursor), 500);
  t.equal(openCursor(key, 'bob', 'hash', cursor), undefined, 'of another owner');
  t.equal(openCursor(key, 'ada', 'other', cursor), undefined, 'of another list');
  t.equal(openCursor(Buffer.alloc(32), 'ada', 'hash', cursor), undefined, 'of another key');
  fc.assert(fc.property(fc.string(), (text) => openCursor(key, 'ada', 'hash', text) === undefined));
  const has = { prompts: false, resources: false, completions: false };
  const view = { hash: 'hash', instructions: undefined, tools: TestBackend.many(1200), prompts: [], resources: [], has };
  const names: string[] = [];
  let next: string | undefined;
  do {
    const page = JSON.parse(`{${listPage(view, 'tools', next, () => 'ada', key)}}`) as {
      tools: { name: string }[];
      nextCursor?: string;
    };
    names.push(...page.tools.map((tool) => tool.name));
    next = page.nextCursor;
  } while (next !== undefined);
  t.strictSame(
    names,
    view.tools.map((tool) => tool.name),
    'every tool once, in order',
  );
  t.equal(
    listPage(undefined, 'tools', undefined, () => '', key),
    '"tools":[]',
  );
  t.equal(
    listPage(undefined, 'tools', cursor, () => 'ada', key),
    undefined,
  );
});

await t.test('result bodies and meta', async (t) => {
  t.strictSame(openBody(Buffer.from('{"a":1}')), Buffer.from('"a":1}'));
  for (const bad of ['', '{', '{}', '[1]', ' {"a":1}', '"x"']) t.equal(openBody(Buffer.from(bad)), undefined);
  t.ok(
    ['io.modelcontextprotocol/x', 'dev.mcp/', 'org.modelcontextprotocol.api/x', 'com.mcp.tools/x', 'leasehold/error'].every(
      isReservedKey,
    ),
  );
  t.notOk(['com.example.mcp/x', 'plain', 'example.com/x', 'mcp/x'].some(isReservedKey));
  t.strictSame(authorMeta({ a: 1, 'io.modelcontextprotocol/serverInfo': 2 }), { a: 1 });
  t.equal(authorMeta({ 'leasehold/error': 2 }), undefined);
});

await t.test('every failure says what to do and never its detail', async (t) => {
  for (const code of Object.keys(FAILURES) as FailureCode[]) {
    const of = failure(code, {
      detail: 'SECRET',
      path: '/a',
      reason: 'must be a number',
      url: 'https://x.test/c',
      retryAfterMs: 5,
    });
    const result = JSON.parse(`{${failureMembers(of, 'REF')}}`) as { content: { text: string }[]; isError: boolean };
    const error = JSON.parse(errorMessage('1', of, 'REF')) as { error: { code: number; data: { code: string } } };
    t.equal(result.isError, true);
    t.equal(error.error.code, FAILURES[code].rpc);
    t.notMatch(JSON.stringify([result, error, failureMeta(of, 'REF')]), /SECRET/);
    t.match(failureMeta(of, 'REF'), { code, class: FAILURES[code].class, correlationId: 'REF' });
  }
  const said = (code: FailureCode, more: object = {}) =>
    (JSON.parse(`{${failureMembers(failure(code, more), 'REF')}}`) as { content: [{ text: string }] }).content[0].text;
  t.match(said('arguments_invalid', { path: '/n', reason: 'must be an integer' }), /\/n: must be an integer/);
  t.match(said('not_connected', { url: 'https://x.test/c' }), /open https:\/\/x\.test\/c/);
  t.match(said('concurrency_limit', { retryAfterMs: 250 }), /again in 250 ms/);
  t.match(said('tool_failed'), /REF/);
  t.equal(said('tool_error', { message: 'There is no such issue.' }), 'There is no such issue.', 'an author’s words stand alone');
});

await t.test('progress only rises', async (t) => {
  const told: string[] = [];
  const progress = progressTo('"t"', (message) => told.push(message));
  for (const value of [1, 1, 0, Number.NaN, 2]) progress({ progress: value });
  t.strictSame(
    told.map((message) => (JSON.parse(message) as { params: unknown }).params),
    [
      { progressToken: 't', progress: 1 },
      { progressToken: 't', progress: 2 },
    ],
  );
});

await t.test('trace context', async (t) => {
  const good = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01';
  t.equal(traceparentOf(good), good);
  for (const bad of [
    undefined,
    '',
    'x',
    good.toUpperCase(),
    good.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)),
    `${good}\n`,
  ]) {
    t.match(traceparentOf(bad), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  }
  t.equal(new Set(Array.from({ length: 1000 }, () => traceparentOf(undefined))).size, 1000);
  t.equal(tracestateOf('a=1', good), 'a=1');
  t.equal(tracestateOf('a=1', undefined), undefined);
  t.equal(tracestateOf('a=1\r\n', good), undefined);
});

await t.test('Accept', async (t) => {
  t.strictSame(accepts(undefined), { json: true, stream: false });
  t.strictSame(accepts('text/event-stream;q=0.5, application/json'), { json: true, stream: true });
  t.strictSame(accepts('Application/JSON; charset=utf-8'), { json: true, stream: false });
  t.strictSame(accepts('text/html, text/event-stream;q=0'), { json: false, stream: false });
});

await t.test('Host and Origin', async (t) => {
  const config = {
    ...CONFIG,
    publicUrl: 'https://mcp.example.com',
    allowedHosts: ['inner:8080', 'any.test'],
    allowedOrigins: ['https://app.test'],
  };
  const list = new AllowList(config, 8741);
  const local = { localAddress: '::ffff:10.1.2.3', localPort: 8741 };
  for (const host of [
    '127.0.0.1:8741',
    'LOCALHOST:8741',
    '[::1]:8741',
    'mcp.example.com',
    'inner:8080',
    'any.test:99',
    'any.test',
    '10.1.2.3:8741',
  ]) {
    t.ok(list.host(host, local), host);
  }
  for (const host of [
    undefined,
    '',
    'evil.test',
    '127.0.0.1',
    '127.0.0.1:1',
    'mcp.example.com:1',
    'inner',
    'localhost.evil.test:8741',
    '10.1.2.4:8741',
  ]) {
    t.notOk(list.host(host, local), String(host));
  }
  for (const origin of [
    undefined,
    'http://localhost:8741',
    'http://127.0.0.1:8741',
    'https://mcp.example.com',
    'https://app.test',
  ])
    t.ok(list.origin(origin));
  for (const origin of [
    'null',
    '',
    'http://localhost',
    'https://localhost:8741',
    'http://mcp.example.com',
    'https://app.test.evil',
  ])
    t.notOk(list.origin(origin));
});

await t.test('headers that stand twice', async (t) => {
  t.equal(duplicateHeader(['Host', 'a', 'Accept', 'a', 'accept', 'b', 'Cookie', '1', 'cookie', '2'], 'x-tenant'), undefined);
  for (const name of [
    'Authorization',
    'HOST',
    'mcp-name',
    'Mcp-Param-Region',
    'MCP-Protocol-Version',
    'Content-Type',
    'Origin',
    'Content-Length',
    'X-Tenant',
  ]) {
    t.equal(duplicateHeader([name, 'a', 'x', 'b', name.toLowerCase(), 'a'], 'x-tenant'), name.toLowerCase());
  }
});

await t.test('bytes of an event have no line ends', async (t) => {
  t.equal(Buffer.from(oneLine(Buffer.from('{"a":\r\n\n1}'))).toString(), '{"a":   1}');
  fc.assert(
    fc.property(
      fc.uint8Array(),
      (bytes) => !oneLine(bytes).includes(10) && !oneLine(bytes).includes(13) && oneLine(bytes).length === bytes.length,
    ),
  );
});
