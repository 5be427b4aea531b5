// What a fuzz run sends: text that nearly is JSON, JSON that nearly is a message, headers that nearly agree.
// Not responsible for sending. Invariant: every value is made by fast-check from the seed alone.
import fc from 'fast-check';
import { MODERN, PREFIX } from '../helpers/mcp-wire.ts';

/** What Node's client lets through as the value of a header. */
const headerValue = fc.oneof(
  fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e]{0,60}[\x21-\x7e])?$/),
  fc.base64String({ maxLength: 60 }).map((text) => `=?base64?${text}?=`),
  fc.constantFrom('', '__proto__', 'tools/call', 'echo', MODERN, '2025-11-25', '2025-03-26', '1999-01-01', '=?base64??=', '0-1'),
);
const methods = fc.constantFrom(
  'tools/call',
  'tools/list',
  'server/discover',
  'subscriptions/listen',
  'prompts/get',
  'resources/read',
  'completion/complete',
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'notifications/cancelled',
  '__proto__',
  'constructor',
  'toString',
  '',
);
const accept = fc.constantFrom(
  'application/json, text/event-stream',
  'text/event-stream',
  'application/json',
  '*/*',
  'text/html',
  ';q',
);

/** JSON text of an id, in every notation there is. */
export const idText = fc.oneof(
  fc.integer().map(String),
  fc.bigInt().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '9007199254740993',
    '-0',
    '1e400',
    '1E+2',
    '0.1',
    '1.0',
    '""',
    '"\\u0000"',
    '"\\ud800"',
    'null',
    'true',
    '[]',
    '{}',
    '01',
    '+1',
    '.5',
  ),
  fc.string().map((text) => JSON.stringify(text)),
  fc.string({ minLength: 900, maxLength: 1200 }).map((text) => JSON.stringify(text)),
);

const key = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'then', '', 'text'),
);
/** Values with keys that a careless reader would trip over, as JSON text. */
export const hostileJson = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('null', 'true', '0', '-0', '1e999', '"\\u2028\\n\\r"'),
    fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
    fc.array(tie('value') as fc.Arbitrary<string>, { maxLength: 4 }).map((values) => `[${values.join(',')}]`),
    fc
      .array(fc.tuple(key, tie('value') as fc.Arbitrary<string>), { maxLength: 4 })
      .map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`),
  ),
})).value as fc.Arbitrary<string>;

const deep = fc.integer({ min: 1, max: 200_000 }).map((depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`);
const huge = fc.integer({ min: 1, max: 3_000_000 }).map((length) => JSON.stringify('x'.repeat(length)));

function message(id: string, method: string, params: string): string {
  return `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${params}}`;
}
const metaText = JSON.stringify({ [`${PREFIX}protocolVersion`]: MODERN, [`${PREFIX}clientCapabilities`]: {} });

/** A request of the 2026 era that is well-formed but for its arguments. */
export function calling(id: string, tool: string, args: string, more = ''): { body: string; headers: Record<string, string> } {
  const params = `{"name":${JSON.stringify(tool)},"arguments":${args},"_meta":${metaText.slice(0, -1)}${more}}}`;
  return {
    body: message(id, 'tools/call', params),
    headers: { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': tool },
  };
}

const body: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.json(),
  fc.tuple(idText, methods, hostileJson).map(([id, method, params]) => message(id, method, params)),
  fc.tuple(idText, methods, deep).map(([id, method, params]) => message(id, method, `{"arguments":${params}}`)),
  fc
    .tuple(idText, methods, huge)
    .map(([id, method, text]) => message(id, method, `{"name":"echo","arguments":{"text":${text}}}`)),
  fc
    .array(fc.tuple(idText, methods, hostileJson), { maxLength: 120 })
    .map((all) => `[${all.map((one) => message(...one)).join(',')}]`),
  // A message that was well-formed, with a part of it cut out or doubled.
  fc.tuple(idText, hostileJson, fc.nat(), fc.nat({ max: 40 }), fc.boolean()).map(([id, args, from, length, twice]) => {
    const whole = calling(id, 'echo', args).body;
    const at = from % whole.length;
    const part = whole.slice(at, at + length);
    return whole.slice(0, at) + (twice ? part + part : '') + whole.slice(at + length);
  }),
);

export const anyRequest = fc.record({
  method: fc.constantFrom('POST', 'POST', 'POST', 'POST', 'GET', 'DELETE', 'PUT', 'OPTIONS'),
  body,
  headers: fc.record(
    {
      accept,
      'content-type': fc.constantFrom('application/json', 'application/json; charset=utf-8', 'text/plain', ''),
      'mcp-protocol-version': headerValue,
      'mcp-method': fc.oneof(headerValue, methods),
      'mcp-name': headerValue,
      'mcp-session-id': headerValue,
      'last-event-id': headerValue,
      'mcp-param-region': headerValue,
      origin: headerValue,
      traceparent: headerValue,
    },
    { requiredKeys: [] },
  ),
  token: fc.constantFrom('good', 'good', 'good', 'none', 'odd'),
  /** Whether the session of the run is named. */
  session: fc.boolean(),
});
