// What both sides of the process line share: the table of what is under way, and the ids.
import '../helpers/bare-children.ts';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { argumentShape } from '../../src/shared/argument-shape.ts';
import { newCorrelationId } from '../../src/shared/ids.ts';
import { NumberMap } from '../../src/shared/number-map.ts';

void t.test('a NumberMap answers as a Map does, whatever comes and goes', async () => {
  // Few low bits, so that homes collide and wrap around; numbers beyond 32 bits, as a server reaches them.
  const number = fc.oneof(
    fc.nat(40),
    fc.nat(6).map((n) => n * 64 + 15),
    fc.nat(8).map((n) => 2 ** 40 + n * 16),
  );
  const step = fc.record({ act: fc.constantFrom('set', 'set', 'delete', 'clear'), number });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
      const model = new Map<number, object>();
      const tried = new NumberMap<object>();
      for (const { act, number: key } of steps) {
        if (act === 'set') {
          const value = { key };
          model.set(key, value);
          tried.set(key, value);
        } else if (act === 'delete') {
          if (model.delete(key) !== tried.delete(key)) return false;
        } else if (key === 0) {
          model.clear();
          tried.clear();
        }
        if (tried.size !== model.size || tried.get(key) !== model.get(key)) return false;
      }
      const left = new Set(tried.values());
      return left.size === model.size && [...model].every(([key, value]) => tried.get(key) === value && left.has(value));
    }),
    { numRuns: 500 },
  );
});

void t.test('what left a NumberMap is freed without a full collection', async (t) => {
  const script = `
    import { NumberMap } from ${JSON.stringify(new URL('../../src/shared/number-map.ts', import.meta.url).href)};
    import { getHeapSpaceStatistics } from 'node:v8';
    const old = () => getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size;
    const calls = new NumberMap();
    let first = 0, next = 0;
    const begin = () => calls.set(next++, { held: new Array(64).fill(next) });
    for (let i = 0; i < 20; i++) begin();
    gc();
    const before = old();
    for (let i = 0; i < 400_000; i++) next - first < 4 + (i % 36) ? begin() : calls.delete(first++);
    console.log(Math.round((old() - before) / 1e6));`;
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--expose-gc', '--input-type=module', '-e', script]);
  // 100 MB went through it. A Map keeps most of them.
  t.ok(Number(stdout) < 10, `${stdout.trim()} MB became old`);
});

void t.test('correlation ids are ULIDs', async (t) => {
  t.match(newCorrelationId(0), /^0{10}[0-9A-HJKMNP-TV-Z]{16}$/);
  t.match(newCorrelationId(2 ** 48 - 1), /^7Z{9}[0-9A-HJKMNP-TV-Z]{16}$/);
  t.match(newCorrelationId(1469918176385), /^01ARYZ6S41/, 'the example of the specification');
  const ids = Array.from({ length: 20_000 }, (_, n) => newCorrelationId(1.7e12 + n));
  t.equal(new Set(ids.map((id) => id.slice(10))).size, ids.length, '80 random bits each');
  t.strictSame(ids.toSorted(), ids, 'in the order of their time');
  const seen = Array.from({ length: 16 }, (_, at) => new Set(ids.map((id) => id[10 + at])).size);
  t.ok(
    seen.every((letters) => letters === 32),
    'every place takes every letter',
  );
});

void t.test('of arguments the audit is told so many, and so much of a name', async (t) => {
  const args = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`${n}-`.repeat(100_000 / 200), n]));
  const shape = argumentShape(Buffer.from(JSON.stringify(args)));
  t.equal(shape.length, 128);
  t.ok(
    shape.every(({ name }) => name.length <= 128),
    'names are cut',
  );
});
