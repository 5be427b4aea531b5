// The parts of asking a client, alone: what a form can ask, the order of a replay, and what a sealed state opens for.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { OperationCall } from '../../src/mcp/ports.ts';
import { formSchema, type FormSchema, readForm } from '../../src/shared/form-schema.ts';
import { digestOf, type Entry, Journal, Track } from '../../src/tenants/asking/journal.ts';
import { questionOf, readAnswer } from '../../src/tenants/asking/question.ts';
import { SealedState, STATE_CHARACTERS } from '../../src/tenants/asking/sealed-state.ts';
import { createStateSeal } from '../../src/vault/state-seal.ts';

function form(properties: Record<string, unknown>, required: string[] = []): FormSchema {
  const schema = formSchema({ type: 'object', properties, required });
  if (typeof schema === 'string') throw new Error(schema);
  return schema;
}

void t.test('a form is flat: what it can ask goes out as the protocol says, the rest is refused with a reason', (t) => {
  const plain = (schema: unknown) => formSchema(JSON.parse(JSON.stringify(schema)));
  t.strictSame(plain(Type.Object({ a: Type.String(), b: Type.Optional(Type.Enum(['x', 'y'])) })), {
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'string', enum: ['x', 'y'] } },
    required: ['a'],
  });
  t.match(plain(Type.Object({ u: Type.Union([Type.Literal('x'), Type.Literal('y')]) })), {
    properties: { u: { type: 'string', enum: ['x', 'y'] } },
  });
  const titled = Type.Object({ u: Type.Union([Type.Literal('x', { title: 'Ex' }), Type.Literal('y')]) });
  t.match(plain(titled), {
    properties: {
      u: {
        oneOf: [
          { const: 'x', title: 'Ex' },
          { const: 'y', title: 'y' },
        ],
      },
    },
  });
  t.notOk('additionalProperties' in (plain(Type.Object({}, { additionalProperties: false })) as object));
  for (const [field, reason] of [
    [{ type: 'object' }, /flat/],
    [{ type: 'string', pattern: '(a+)+$' }, /`pattern`/],
    [{ $ref: '#' }, /flat/],
    [{ type: 'array', items: { type: 'string' } }, /choices/],
    [{ type: 'string', format: 'regex' }, /format/],
    [{ type: 'string', enum: [1] }, /choices/],
    [{ type: 'string', enum: Array.from({ length: 300 }, String) }, /choices/],
    [{ type: 'integer', default: 1.5 }, /default that must be an integer/],
    [7, /not a schema/],
  ] as const) {
    t.match(formSchema({ type: 'object', properties: { f: field } }), reason);
  }
  t.match(formSchema({ type: 'object', properties: {}, required: ['x'] }), /required/);
  t.match(formSchema(JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}')), /name/);
  t.match(
    formSchema({ type: 'object', properties: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [i, { type: 'string' }])) }),
    /64/,
  );
  for (const odd of [null, 7, [], {}, { type: 'object' }]) t.type(formSchema(odd), 'string');
  t.end();
});

void t.test('answers: checked, defaulted, nothing that was not asked', (t) => {
  const all = form(
    {
      name: { type: 'string', minLength: 2, maxLength: 4, default: 'John' },
      age: { type: 'integer', minimum: 0, maximum: 150 },
      score: { type: 'number', default: 9.5 },
      mail: { type: 'string', format: 'email' },
      day: { type: 'string', format: 'date' },
      at: { type: 'string', format: 'date-time' },
      uri: { type: 'string', format: 'uri' },
      one: { type: 'string', oneOf: [{ const: 'a', title: 'A' }] },
      many: {
        type: 'array',
        minItems: 1,
        maxItems: 2,
        items: {
          anyOf: [
            { const: 'a', title: 'A' },
            { const: 'b', title: 'B' },
            { const: 'c', title: 'C' },
          ],
        },
      },
      sure: { type: 'boolean' },
    },
    ['age'],
  );
  t.strictSame(readForm(all, { age: 3, evil: 1, __proto__: { x: 1 } }), {
    ok: true,
    value: { name: 'John', age: 3, score: 9.5 },
  });
  for (const good of [
    { mail: 'a@b' },
    { day: '2026-11-22' },
    { at: '2026-11-22T10:00:00Z' },
    { uri: 'https://a.b/c' },
    { one: 'a' },
    { many: ['a', 'b'] },
    { sure: false },
  ]) {
    t.ok(readForm(all, { age: 1, ...good }).ok, JSON.stringify(good));
  }
  for (const bad of [{}, { age: '1' }, { age: 1.5 }, { age: -1 }, { age: 151 }, { age: 1e300 }])
    t.match(readForm(all, bad), { ok: false, path: '/age' });
  for (const bad of [
    { name: 'x' },
    { name: 'xxxxx' },
    { name: null },
    { score: 'x' },
    { mail: 'a' },
    { day: '2026-1-1' },
    { at: 'now' },
    { uri: 'x' },
    { one: 'b' },
    { many: [] },
    { many: ['a', 'b', 'c'] },
    { many: ['z'] },
    { many: 'a' },
    { sure: 'yes' },
    { sure: {} },
  ]) {
    t.match(readForm(all, { age: 1, ...bad }), { ok: false, path: `/${Object.keys(bad)[0]}` }, JSON.stringify(bad));
  }
  for (const odd of [null, 7, [], 'x']) t.match(readForm(all, odd), { ok: false, path: '' });
  const schema = Type.Object({
    s: Type.String({ minLength: 1 }),
    n: Type.Number({ minimum: 0 }),
    b: Type.Boolean(),
    c: Type.Enum(['x', 'y']),
  });
  const known = form(JSON.parse(JSON.stringify(schema)).properties, ['s', 'n', 'b', 'c']);
  const value = fc.oneof(fc.string({ maxLength: 3 }), fc.double(), fc.boolean(), fc.constant(null), fc.constant('x'));
  fc.assert(
    fc.property(fc.record({ s: value, n: value, b: value, c: value }), (content) => {
      t.equal(readForm(known, content).ok, Value.Check(schema, content), JSON.stringify(content));
    }),
    { numRuns: 200 },
  );
  t.end();
});

void t.test('questions and answers of all kinds; what is not declared is not asked', (t) => {
  const body = (params: unknown) => Buffer.from(JSON.stringify(params));
  const asked = { message: 'm', requestedSchema: { type: 'object', properties: {} } };
  const elicit = { op: 'ask', kind: 'elicit', key: 'k' } as const;
  const sample = { ...elicit, kind: 'sample' } as const;
  const roots = { ...elicit, kind: 'roots' } as const;
  t.match(questionOf(elicit, body(asked), { elicitation: {} }), { method: 'elicitation/create', params: asked });
  t.match(questionOf(elicit, body(asked), { elicitation: { form: {} } }), { kind: 'elicit' });
  for (const capabilities of [{}, { elicitation: { url: {} } }, { elicitation: true }]) {
    t.match(questionOf(elicit, body(asked), capabilities), {
      code: 'elicit_unsupported',
      data: { requiredCapabilities: { elicitation: {} } },
    });
  }
  t.match(questionOf(sample, body({ tools: [] }), { sampling: {} }), {
    code: 'elicit_unsupported',
    data: { requiredCapabilities: { sampling: { tools: {} } } },
  });
  t.match(questionOf(sample, body({ tools: [] }), { sampling: { tools: {} } }), { method: 'sampling/createMessage' });
  t.match(questionOf(roots, body({}), {}), { data: { requiredCapabilities: { roots: {} } } });
  for (const bad of [
    body(7),
    body({ ...asked, message: {} }),
    body({ message: 'm', requestedSchema: { type: 'string' } }),
    Buffer.alloc(70_000, 32),
    Buffer.from('{'),
    Buffer.from(`{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`),
  ]) {
    t.match(questionOf(elicit, bad, { elicitation: {} }), { code: 'tool_failed' });
  }
  const answer = (ask: typeof elicit | typeof sample | typeof roots, result: unknown) => {
    const question = questionOf(ask, body(ask === elicit ? asked : {}), { elicitation: {}, sampling: {}, roots: {} });
    return 'code' in question ? question : readAnswer(question, result);
  };
  t.strictSame(answer(elicit, { action: 'decline', content: { x: 1 } }), { action: 'decline' });
  t.strictSame(answer(elicit, { action: 'accept' }), { action: 'accept', content: {} });
  t.strictSame(answer(sample, { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'm', code: 'internal_error' }), {
    role: 'assistant',
    content: { type: 'text', text: 'x' },
    model: 'm',
  });
  t.strictSame(answer(roots, { roots: [{ uri: 'file:///a' }] }), { roots: [{ uri: 'file:///a' }] });
  for (const bad of [null, 7, {}, { action: 'x' }]) t.match(answer(elicit, bad), { code: 'answer_invalid' });
  for (const bad of [{}, { role: 'x', content: {}, model: 'm' }, { role: 'user', content: [7], model: 'm' }])
    t.match(answer(sample, bad), { code: 'answer_invalid' });
  for (const bad of [{}, { roots: [7] }, { roots: Array(2000).fill({ uri: 'x' }) }])
    t.match(answer(roots, bad), { code: 'answer_invalid' });
  t.end();
});

const done = (path: string, at: number, body = 'x'): Entry => ({
  path,
  at,
  digest: 'd',
  reply: { status: 'ok' },
  body: Buffer.from(body),
});

void t.test('a replay gives results in the order of the first run, and sees when that cannot be', async (t) => {
  const track = new Track('', [done('', 2), done('', 0), { path: '', at: 1, digest: 'd' }]);
  t.strictSame([track.issue(), track.issue(), track.issue()], [0, 1, 2]);
  const order: number[] = [];
  const turn = async (at: number) => {
    const inTurn = await track.turn(at, 'd');
    if (inTurn) order.push(at);
    if (inTurn && at !== 1) track.gave();
    return inTurn;
  };
  t.strictSame(await Promise.all([turn(0), turn(1), turn(2)]), [true, true, true]);
  t.strictSame(order, [2, 0, 1]);
  const stuck = new Track('', [done('', 1), done('', 0)]);
  const waits = stuck.turn(0, 'd');
  t.ok(stuck.giveUp());
  t.equal(await waits, false);
  t.notOk(stuck.giveUp());
  t.not(digestOf({ op: 'call', tool: 'a' }, Buffer.from('{}')), digestOf({ op: 'call', tool: 'a' }, Buffer.from('{ }')));
  t.not(digestOf({ op: 'call', tool: 'a' }, Buffer.from('{}')), digestOf({ op: 'call', tool: 'b' }, Buffer.from('{}')));

  const journal = new Journal(
    [done('', 0), done('.1', 0), done('.1.2', 0), done('.11', 0), { path: '', at: 1, digest: 'd' }],
    2000,
  );
  journal.drop('.1');
  t.strictSame(
    journal.entries.map((entry) => entry.path),
    ['', '.11'],
    'only what is below',
  );
  journal.add({ path: '', at: 2, digest: 'd' }, { reply: { status: 'ok' }, body: Buffer.alloc(2000) });
  t.ok(journal.full);
  t.strictSame(journal.entries, [], 'nothing is kept for nobody');
});

void t.test(
  'a state opens for the same caller, operation, arguments and bundle, in time, after a restart; for nothing else',
  (t) => {
    const master = randomBytes(32);
    const principal = { tenant: 'acme', issuer: 'i', subject: 'ada', scopes: new Set<string>(), credentialId: 'c' };
    const call = (more: object = {}, args = '{"a":1,"b":{"c":2,"d":3}}', asked: object = {}) =>
      ({
        caller: { correlation: 'first', principal: { ...principal, ...more } },
        asked: { kind: 'tool', name: 'x', ...asked },
        args: Buffer.from(args),
      }) as unknown as OperationCall;
    let now = 1_000_000;
    const clock = () => now;
    const entries: Entry[] = [
      done('', 0, '{"n":1}'),
      { ...done('.1', 0), body: Buffer.from([0xff, 0]) },
      { path: '', at: 1, digest: 'e' },
    ];
    const state = new SealedState(createStateSeal(master), call(), 'bundle', clock).seal(entries) ?? '';
    const opened = (of = call(), bundle = 'bundle', seal = createStateSeal(master), text = state) =>
      new SealedState(seal, of, bundle, clock).open(text);
    const refused = { code: 'state_invalid' };

    t.strictSame(opened(), { of: 'first', entries }, 'with another instance of the same key');
    t.strictSame(opened(call({ credentialId: 'refreshed' })), { of: 'first', entries }, 'with a refreshed token');
    t.strictSame(
      opened(call({}, '{ "b": {"d":3,"c":2}, "a":1 }')),
      { of: 'first', entries },
      'however the arguments are written',
    );
    for (const other of [
      call({ tenant: 'globex' }),
      call({ issuer: 'j' }),
      call({ subject: 'eve' }),
      call({}, '{"a":2}'),
      call({}, undefined, { name: 'y' }),
      call({}, undefined, { kind: 'prompt' }),
    ]) {
      t.match(opened(other), refused);
    }
    t.match(opened(call(), 'other'), { ...refused, message: /changed/ });
    t.match(opened(call(), 'bundle', createStateSeal(randomBytes(32))), refused);
    const bytes = Buffer.from(state, 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      if (!('code' in opened(call(), 'bundle', createStateSeal(master), changed.toString('base64url'))))
        t.fail(`byte ${at} can be changed`);
    }
    for (const text of ['', 'A', `${state}=`, `${state}A`, ` ${state}`, 'A'.repeat(STATE_CHARACTERS + 1)])
      t.match(opened(call(), 'bundle', createStateSeal(master), text), refused);
    now += 600_000;
    t.strictSame(opened(), { of: 'first', entries });
    now += 1;
    t.match(opened(), refused, 'after ten minutes');
    t.equal(
      new SealedState(createStateSeal(master), call(), 'b').seal([done('', 0, 'x'.repeat(40_000))]),
      undefined,
      'too large to be carried',
    );
    t.end();
  },
);
