// Reads a TAP stream (file named as argument) and prints the failed assertions and, last, "N passed, N failed".
// Not responsible for running tests.
// Invariant: exit code 0 only for a complete stream without a failure; a file that crashed, timed out or broke its plan
// counts as one failure even where no assertion of it failed.
import { readFileSync } from 'node:fs';
import { Parser } from 'tap-parser';

const [file = '', label = ''] = process.argv.slice(2);
let passed = 0;
let failed = 0;

function watch(parser: Parser, trail: readonly string[]): void {
  let below = 0;
  parser.on('child', (child) => {
    const before = failed;
    watch(child, [...trail, child.name]);
    child.on('complete', () => {
      below = failed - before;
    });
  });
  parser.on('assert', (result) => {
    const isSubtest = 'time' in result && result.time !== null && result.time !== undefined;
    if (result.ok) {
      if (!isSubtest && !result.skip && !result.todo) passed += 1;
    } else if (!isSubtest || below === 0) {
      failed += 1;
      process.stdout.write(`not ok: ${[...trail, result.name].join(' > ')}\n`);
    }
    below = 0;
  });
}

const top = new Parser();
watch(top, []);
let complete = false;
top.on('complete', (results) => {
  complete = results.ok || results.fail > 0;
  if (!results.ok && failed === 0) failed = 1;
});
top.end(readFileSync(file, 'utf8'));
if (!complete || passed + failed === 0) failed += 1;
process.stdout.write(`${label}${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
