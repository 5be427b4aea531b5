// Declared tools without a network: templates, arguments to requests, answers to results, and the static check.
import { posix } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { RestBinding } from '../../src/boundary/binding.ts';
import { checkBinding } from '../../src/shared/binding-check.ts';
import type { JsonObject } from '../../src/shared/json.ts';
import { parsePathTemplate } from '../../src/shared/path-template.ts';
import { compileSelect } from '../../src/shared/select.ts';
import { expandPath } from '../../workers/bindings/path.ts';
import { compileRestRequest } from '../../workers/bindings/rest-request.ts';
import { compileRestResponse } from '../../workers/bindings/rest-response.ts';
import { createSchemaCheck } from '../../workers/schema-check.ts';

const ORIGIN = 'https://api.example.com';

function bindingOf(more: Partial<RestBinding>): RestBinding {
  return { kind: 'rest', connection: 'api', method: 'GET', path: '/', ...more };
}
function template(path: string) {
  const parsed = parsePathTemplate(path);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.template;
}
function expand(path: string, args: JsonObject): string | undefined {
  const expanded = expandPath(template(path), args);
  return expanded.ok ? expanded.path : undefined;
}

t.test('path templates: what is one and what is not', async (t) => {
  for (const path of [
    '/',
    '/a',
    '/a/',
    '/a/{b}',
    '/{a}.json',
    '/{a}-{b}/c',
    '/v1/files/{id}:copy',
    "/a(b)'c;v=1",
    '/caf%C3%A9/{x}',
  ]) {
    t.ok(parsePathTemplate(path).ok, path);
  }
  for (const path of [
    '',
    'a',
    '//',
    '/a//b',
    '/.',
    '/..',
    '/a/../b',
    '/./a',
    '/..;x/a',
    '/%2e%2e/a',
    '/a%2fb',
    '/a%5Cb',
    '/a%00',
    '/a%252e',

    '/a?b',
    '/a#b',
    '/a\\b',
    '/a b',
    '/é',
    '/{a',
    '/a}',
    '/{}',
    '/{+a}',
    '/{?a}',
    '/{a,b}',
    '/{a*}',
    '/{a:3}',
    '/{a/b}',
    '/{{a}}',
    '/a\n',
  ]) {
    t.notOk(parsePathTemplate(path).ok, JSON.stringify(path));
  }
});

t.test('RFC 6570 simple expansion', async (t) => {
  t.equal(expand('/{var}', { var: 'value' }), '/value');
  t.equal(expand('/{hello}', { hello: 'Hello World!' }), '/Hello%20World%21');
  t.equal(expand('/{x},{y}', { x: 1024, y: 768 }), '/1024,768');
  t.equal(expand('/{half}', { half: '50%' }), '/50%25');
  t.equal(expand('/{list}', { list: ['red', 'green'] }), '/red,green');
  t.equal(expand('/{q}', { q: "?a=b#c&d;e'(f)*é€😀" }), '/%3Fa%3Db%23c%26d%3Be%27%28f%29%2A%C3%A9%E2%82%AC%F0%9F%98%80');
  t.equal(expand('/{b}/x', { b: true }), '/true/x');
  t.equal(expand('/{e}', { e: 'a%20b%41' }), '/a%2520b%2541', 'what is encoded already stays what it is');
  t.equal(expand('/{d}', { d: 'v1.2..3' }), '/v1.2..3', 'dots within a segment are harmless');
  t.equal(expand('/{d}', { d: '\ud800' }), '/%EF%BF%BD', 'a lone surrogate does not throw');
});

t.test('arguments that would leave the path are refused by name', async (t) => {
  const bad = [
    '',
    '.',
    '..',
    ' ',
    ' ..',
    '%2e',
    '%2e%2e',
    '%2E%2e',
    '.%2e',
    '%252e%252e',
    '%25252e%25252e',
    '..;',
    '..;x=1',
    '%2e%2e%3b',
    ';',

    'a/b',
    '/',
    '../x',
    '..\\x',
    'a\\b',
    '%2f',
    'a%2Fb',
    '%252f',
    '%5c',
    '%255C',
    'a\0',
    '%00',
    'a\rb',
    'a\nb',
    '%0d%0a',
    '%0A',
    '\x7f',
    '%c0%ae%c0%ae',
    '%C0%AF',
    '%e0%80%ae',
    '%f0%80%80%ae',
    '%25c0%25ae',
    '\u0085',
  ];
  for (const value of bad) {
    const expanded = expandPath(template('/users/{id}/posts'), { id: value });
    t.match(expanded, { ok: false, path: '/id' }, JSON.stringify(value));
  }
  for (const value of [null, {}, [], [{}], [null], undefined]) {
    t.match(expandPath(template('/users/{id}'), { id: value } as JsonObject), { ok: false, path: '/id' }, JSON.stringify(value));
  }
  t.match(expandPath(template('/{toString}'), {}), { ok: false }, 'nothing is taken from a prototype');
  t.notOk(expandPath(template('/{a}{b}'), { a: '.', b: '.' }).ok, 'dots of two arguments make no segment of dots');
  let deep = '..';
  for (let i = 0; i < 12; i += 1) deep = encodeURIComponent(deep).replaceAll('.', '%2e');
  t.notOk(expandPath(template('/{a}'), { a: deep }).ok, 'encoded too often to look through');
});

t.test('no argument leaves its path, however it is decoded on the way', async (t) => {
  const piece = fc.constantFrom(
    '.',
    '..',
    '/',
    '\\',
    '%',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%25',
    '252e',
    ';',
    '?',
    '#',
    '%00',
    '\r\n',
    '\0',
    ' ',
    '\t',
    '@',
    ':',
    'a',
    'é',
    '%c0%ae',
    '{',
    '}',
    '%u002e',
    '．',
    '／',
    '%0a',
    '//evil.com',
    'http:',
    '~',
    '-',
    '%3b',
    '%3f',
    '%23',
  );
  const value = fc.oneof(
    fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  const paths = ['/u/{a}/p', '/u/{a}', '/{a}/{b}', '/x/{a}{b}/y', '/x/{a}.json', '/{a}/', '/x/v{a}:go/{b}/z'];
  fc.assert(
    fc.property(fc.constantFrom(...paths), value, value, (path, a, b) => {
      const made = compileRestRequest(bindingOf({ path }))({ a, b }, ORIGIN);
      if (!made.ok) return;
      const { url } = made.request;
      const wanted = path.split('/');
      if (url.origin !== ORIGIN || url.search !== '' || url.hash !== '') throw new Error(url.href);
      let text = url.pathname;
      for (let round = 0; round < 12; round += 1) {
        // As a careless server: cut path parameters, read backslashes as slashes, resolve dots.
        const read = posix.normalize(text.replaceAll('\\', '/').replace(/;[^/]*/g, ''));
        const segments = read.split('/');
        if (segments.length !== wanted.length) throw new Error(`${url.href} is read as ${read}`);
        wanted.forEach((segment, index) => {
          if (!segment.includes('{') && segments[index] !== segment) throw new Error(`${url.href} is read as ${read}`);
        });
        text = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
      }
    }),
    { numRuns: 20_000 },
  );
  t.pass('20,000 cases');
});

t.test('query, headers and body', async (t) => {
  const build = compileRestRequest(
    bindingOf({
      method: 'POST',
      path: '/r/{owner}',
      query: { 'per-page': 'size', tag: 'tags', q: 'q' },
      headers: { 'X-Version': '2026-01', 'X-Trace': 'v={trace}', Accept: 'application/vnd.x+json' },
      body: 'rest',
    }),
  );
  const args = { owner: 'a b', size: 5, tags: ['x&y', true], q: 'é +', trace: 't1', title: 'T', nested: { n: [1, null] } };
  const made = build(args, ORIGIN);
  if (!made.ok) throw new Error(made.reason);
  const { request } = made;
  t.equal(request.url.href, `${ORIGIN}/r/a%20b?per-page=5&tag=x%26y&tag=true&q=%C3%A9%20%2B`);
  t.strictSame(request.headers, {
    'x-version': '2026-01',
    'x-trace': 'v=t1',
    accept: 'application/vnd.x+json',
    'content-type': 'application/json',
  });
  t.strictSame(JSON.parse(Buffer.from(request.body ?? []).toString()), { title: 'T', nested: { n: [1, null] } });

  const sparse = build({ owner: 'o', q: null }, ORIGIN);
  t.ok(sparse.ok && sparse.request.url.search === '' && !('x-trace' in sparse.request.headers), 'what is absent is left out');
  t.ok(sparse.ok && Buffer.from(sparse.request.body ?? []).toString() === '{}');

  t.match(build({ owner: 'o', q: { a: 1 } }, ORIGIN), { ok: false, path: '/q' });
  t.match(build({ owner: 'o', trace: 'a\r\nx: y' }, ORIGIN), { ok: false, path: '/trace' }, 'no header injection');
  t.match(build({ owner: 'o', trace: 'é' }, ORIGIN), { ok: false, path: '/trace' });
  t.match(build({ owner: 'o', q: 'x'.repeat(9000) }, ORIGIN), { ok: false }, 'a URL has a bound');

  const mapped = compileRestRequest(bindingOf({ method: 'PUT', path: '/x', body: { wire_name: 'a', __proto__x: 'b' } }));
  const put = mapped({ a: 1, b: 2, c: 3 }, ORIGIN);
  t.ok(put.ok && Buffer.from(put.request.body ?? []).toString() === '{"wire_name":1,"__proto__x":2}');
  const listed = compileRestRequest(bindingOf({ method: 'PATCH', path: '/x', body: ['a', 'b'] }))({ a: 1, c: 3 }, ORIGIN);
  t.ok(listed.ok && Buffer.from(listed.request.body ?? []).toString() === '{"a":1}');

  for (const header of [
    'Authorization',
    'cookie',
    'Host',
    'content-length',
    'Transfer-Encoding',
    'bad name',
    'x-forwarded-for',
  ]) {
    t.throws(() => compileRestRequest(bindingOf({ headers: { [header]: 'x' } })), header);
  }
});

t.test('the static check names what is wrong', async (t) => {
  const schema = (names: string[], required: string[] = []) => ({
    type: 'object',
    required,
    properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
  });
  t.strictSame(
    checkBinding({
      inputSchema: schema(['a', 'b', 'c', 'd'], ['a']),
      binding: bindingOf({ path: '/{a}', query: ['b'], headers: { x: '{c}' }, body: ['d'], method: 'POST' }),
    }),
    [],
  );
  t.strictSame(
    checkBinding({ inputSchema: schema(['a', 'b'], ['a']), binding: bindingOf({ path: '/{a}', method: 'POST', body: 'rest' }) }),
    [],
  );
  t.strictSame(
    checkBinding({
      inputSchema: { type: 'object', properties: { a: { type: 'string', default: 'x' } } },
      binding: bindingOf({ path: '/{a}' }),
    }),
    [],
  );
  const found = (inputSchema: Record<string, unknown>, more: Partial<RestBinding>) =>
    checkBinding({ inputSchema, binding: bindingOf(more) }).map(({ at, reason }) => `${at}: ${reason}`);
  t.strictSame(found(schema(['a', 'b'], ['a']), { path: '/{a}' }), [
    'inputSchema: the argument "b" stands nowhere in the request',
  ]);
  t.strictSame(found(schema(['a'], ['a']), { path: '/{a}/{z}' }), ['path: uses "z", which is no argument']);
  t.strictSame(found(schema(['a']), { path: '/{a}' }), ['path: uses "a", which is optional']);
  t.strictSame(found(schema([]), { query: ['page'] }), ['query: uses "page", which is no argument']);
  t.strictSame(found(schema([]), { query: ['constructor'] }), ['query: uses "constructor", which is no argument']);
  t.strictSame(found(schema([]), { headers: { x: 'a{y}' } }), ['headers: uses "y", which is no argument']);
  t.strictSame(found(schema(['a']), { body: ['a'] }), ['body: GET has no body']);
  t.strictSame(found({}, { path: '/a/../b' }), ['path: has the segment ".."']);
  t.strictSame(found({}, { headers: { Authorization: 'Bearer x' } }), ['headers: "Authorization" cannot be set']);
  t.strictSame(found({}, { headers: { Host: 'x', 'a b': 'y', z: 'a\nb' } }), [
    'headers: "Host" is set by the runtime',
    'headers: "a b" is no header name',
    'headers: the value of "z" has a character that is not allowed',
  ]);
});

t.test('select', async (t) => {
  t.strictSame(compileSelect('{items: [].{number: number}}')([{ number: 1, x: 2 }]), {
    ok: true,
    value: { items: [{ number: 1 }] },
  });
  t.strictSame(compileSelect('constructor')({}), { ok: true, value: null }, 'nothing but JSON comes out');
  t.strictSame(compileSelect('a.b')({}), { ok: true, value: null });
  t.match(compileSelect('sum(@)')({ a: 1 }), { ok: false, reason: /^Invalid type/ });
  t.throws(() => compileSelect('['));
  t.throws(() => compileSelect('!'.repeat(4096)), 'a parser that runs out of stack is a refusal');
  t.throws(() => compileSelect('a'.repeat(4097)));
});

t.test('answers become results', async (t) => {
  const answer = (body: string, status = 200, contentType: string | undefined = 'application/json; charset=utf-8') => ({
    status,
    contentType,
    body: Buffer.from(body),
  });
  const text = (mapped: ReturnType<ReturnType<typeof compileRestResponse>>) =>
    mapped.ok ? Buffer.from(mapped.body).toString() : JSON.stringify(mapped.failure);
  const plain = compileRestResponse(undefined, undefined);
  t.equal(
    text(plain(answer('{"id": 12345678901234567890}'))),
    '{"content":[{"type":"text","text":"{\\"id\\": 12345678901234567890}"}]}',
  );
  t.equal(text(plain(answer('', 204))), '{"content":[]}');
  t.equal(text(plain(answer('12 °C', 200, 'text/plain'))), '{"content":[{"type":"text","text":"12 °C"}]}');
  t.match(text(plain(answer('{"a":'))), 'upstream_invalid');
  t.match(text(plain(answer('<!DOCTYPE html><p>', 200, 'application/json'))), 'HTML instead of JSON');
  t.match(text(plain(answer('<p>', 200, 'text/html'))), 'HTML instead of JSON');

  const typed = compileRestResponse(
    { select: '{n: number}' },
    createSchemaCheck({ type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }),
  );
  t.equal(
    text(typed(answer('{"number":3,"x":1}'))),
    '{"content":[{"type":"text","text":"{\\"n\\":3}"}],"structuredContent":{"n":3}}',
  );
  t.match(text(typed(answer('{"number":"3"}'))), 'output schema: /n');
  t.match(text(typed(answer(''))), 'not JSON');
  t.match(
    text(typed(answer('['.repeat(100_000) + ']'.repeat(100_000)))),
    'upstream_invalid',
    'deep JSON is an answer that cannot be used',
  );

  const refusal = plain(answer('{"message":"number is required"}', 422));
  t.match(refusal, {
    ok: false,
    failure: { code: 'upstream_error', data: { status: 422, body: { message: 'number is required' } }, detail: 'HTTP 422' },
  });
  t.strictSame(plain(answer('{"stack":"x"}', 500)).ok, false);
  t.notMatch(text(plain(answer('{"stack":"x"}', 500))), 'stack', 'the inside of a failing service is not told');
  t.match(text(plain(answer('', 302))), 'redirect');
});
