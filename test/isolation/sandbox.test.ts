// The wall around tenant code, tried door by door in a real thread with the product's own flags.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { ToolsPool } from '../helpers/tools-pool.ts';

const script = readFileSync(new URL('../fixtures/tools/doors.cjs', import.meta.url), 'utf8');

/** What a language wall cannot close or need not: each stands in the README's limits. */
const OPEN_ON_PURPOSE = ['code from text', 'own prototypes', 'high-resolution clock', 'memory outside the heap'];

void t.test('every door is closed but the documented ones', async (t) => {
  const pool = new ToolsPool({ heapMb: 96 });
  t.teardown(() => pool.close());
  t.same(await pool.load(script), { ok: true });
  const { result } = await pool.call('names');
  const names = result?.structuredContent as string[];
  t.ok(names.length >= 100, `${names.length} doors`);
  const open: string[] = [];
  const reasons: string[] = [];
  for (const door of names) {
    if (process.env['DOORS'] !== undefined) t.comment(door);
    const ended = await pool.call('knock', { door });
    const text = ended.result?.content?.[0]?.text ?? JSON.stringify(ended.outcome);
    if (!text.startsWith('closed')) open.push(door);
    reasons.push(`${door}: ${text}`);
  }
  if (process.env['DOORS'] !== undefined) t.comment(reasons.join('\n'));
  t.same(open, OPEN_ON_PURPOSE);
  t.same(pool.errors, [], 'and the thread has lived through all of it');
});
