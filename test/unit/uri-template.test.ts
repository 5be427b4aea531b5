// URI templates: what is taken, what matches, and that matching costs one pass whatever both texts hold.
import fc from 'fast-check';
import t from 'tap';
import { parseUriTemplate, URI_CHARACTERS, type UriTemplate } from '../../src/shared/uri-template.ts';
import { IndexedResources } from '../../src/tenants/toolset/resource-index.ts';

function parsed(text: string): UriTemplate {
  const template = parseUriTemplate(text);
  if (typeof template === 'string') throw new Error(template);
  return template;
}

t.test('what is taken, and the reason for what is not', (t) => {
  const cases: [string, RegExp][] = [
    ['x://fixed', /no variable/],
    ['x://{', /braces/],
    ['x://{a', /braces/],
    ['x://}', /"}" without a "{"/],
    ['x://{a}}', /braces/],
    ['x://{a}{b}', /two variables without text/],
    ['x://{+a}/{b}', /behind \{\+a\}/],
    ['x://{a*}', /not supported/],
    ['x://{a:3}', /not supported/],
    ['x://{/a}', /not supported/],
    ['x://{}', /not supported/],
    ['x://{a}/{a}', /twice/],
    ['x://{?a}/x', /elsewhere than at its end/],
    [`x://${Array.from({ length: 33 }, (_, n) => `{v${n}}`).join('/')}`, /more than 32/],
    [`x://${'y'.repeat(URI_CHARACTERS)}/{a}`, /longer than/],
  ];
  for (const [text, reason] of cases) t.match(parseUriTemplate(text), reason, text.slice(0, 40));
  t.strictSame(parsed('x://{a}/{+b}.txt{?c,d}').variables, ['a', 'b', 'c', 'd']);
  t.end();
});

t.test('what matches', (t) => {
  const cases: [string, string, Record<string, string> | undefined][] = [
    ['x://{id}/data', 'x://7/data', { id: '7' }],
    ['x://{id}/data', 'x:///data', undefined],
    ['x://{id}/data', 'x://a/b/data', undefined],
    ['x://{id}/data', 'x://a%2Fb/data', { id: 'a/b' }],
    ['x://{id}/data', 'x://%zz/data', undefined],
    ['x://{id}/data', 'X://7/data', undefined],
    ['x://{a}-{b}/{c}', 'x://1-2-3/4', { a: '1', b: '2-3', c: '4' }],
    ['x://{a}.{b}', 'x://a?b.c', undefined],
    ['x://{+path}', 'x://a/b/c', { path: 'a/b/c' }],
    ['x://{+path}.md', 'x://a.md/b.md', { path: 'a.md/b' }],
    ['x://{+path}', 'x://', undefined],
    ['x://s{?a,b}', 'x://s', {}],
    ['x://s{?a,b}', 'x://s?b=2&a=%20', { a: ' ', b: '2' }],
    ['x://s{?a,b}', 'x://s?c=1', undefined],
    ['x://s{?a,b}', 'x://s?a=1&a=2', undefined],
    ['x://s{?a,b}', 'x://s?a', undefined],
    ['x://{__proto__}', 'x://7', JSON.parse('{"__proto__":"7"}') as Record<string, string>],
  ];
  for (const [template, uri, params] of cases) t.strictSame(parsed(template).match(uri), params, `${template} ${uri}`);
  t.equal(parsed('x://{a}').match(`x://${'y'.repeat(URI_CHARACTERS)}`), undefined);
  t.end();
});

t.test('what a client expands is matched back', (t) => {
  const value = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => text.isWellFormed());
  fc.assert(
    fc.property(value, value, value, (a, b, c) => {
      const encode = encodeURIComponent;
      const match = parsed('x://{a}/is/{b}{?c}').match(`x://${encode(a)}/is/${encode(b)}?c=${encode(c)}`);
      t.strictSame(match, { a, b, c });
    }),
  );
  // Texts made of the template's own pieces: the shortest way to ambiguity.
  const piece = fc.array(fc.constantFrom('a', '-', '/', '--', '-a', '?', '%'), { maxLength: 30 }).map((all) => all.join(''));
  fc.assert(
    fc.property(piece, (text) => {
      const params = parsed('x:{a}-{b}-/{c}--a').match(`x:${text}`);
      const slow = /^([^/?#]+)-([^/?#]+)-\/([^/?#]+)--a$/.test(text) && !text.includes('%');
      t.equal(params !== undefined, slow, text);
    }),
  );
  t.end();
});

t.test('the worst texts cost little', (t) => {
  const template = parsed(`x:${Array.from({ length: 32 }, (_, n) => `{v${n}}`).join('aa')}b`);
  const begun = performance.now();
  for (let n = 0; n < 100; n += 1) t.equal(template.match(`x:${'a'.repeat(URI_CHARACTERS - 2)}`), undefined);
  t.ok(performance.now() - begun < 2000);
  t.end();
});

t.test('a fixed URI comes before templates, templates by name', (t) => {
  const spec = (name: string, of: { uri?: string; uriTemplate?: string }) =>
    ({ name, description: '', file: 'f', listing: '', variables: [], repeatable: true, ...of }) as const;
  const index = new IndexedResources([
    spec('a', { uriTemplate: 'x://{id}' }),
    spec('b', { uriTemplate: 'x://{+all}' }),
    spec('c', { uri: 'x://fixed' }),
  ]);
  t.strictSame(
    ['x://fixed', 'x://1', 'x://1/2', 'y://', `x://${'y'.repeat(URI_CHARACTERS)}`].map((uri) => index.find(uri)?.name),
    ['c', 'a', 'b', undefined, undefined],
  );
  t.strictSame([index.template('x://{id}')?.name, index.template('x://fixed')?.name], ['a', undefined]);
  t.end();
});
