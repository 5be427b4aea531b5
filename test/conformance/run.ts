// `npm run conformance`: the real server before the official referee, as an MCP server and as an authorization server, and the Inspector's
// CLI as a smoke test. The referee's `auth/*` scenarios test clients only, against servers that they start themselves: where they say
// something of a server, the same is looked at here with a stock client (`client-flows`), and the others are listed with their reason.
// Not responsible for single features: their own tests are. Prints a table; fails where a required scenario or the baseline does.
// Invariant: what is not judged is listed with its reason, never left out in silence.
import { runAuthorization } from './authorization.ts';
import { runClientFlows } from './client-flows.ts';
import { inspect } from './inspector.ts';
import { startServer } from './server.ts';
import { REVISIONS, type Revision, runSuite, type Scenario } from './suite.ts';

/** Scenarios of extensions that this server does not offer. */
const OUT_OF_SCOPE: readonly { readonly prefix: string; readonly reason: string }[] = [
  { prefix: 'tasks-', reason: 'the tasks extension is not offered' },
  { prefix: 'sep-2640-skills-', reason: 'the skills extension is not offered' },
];

function reasonLeftOut({ name, scored }: Scenario): string | undefined {
  return scored ? undefined : OUT_OF_SCOPE.find(({ prefix }) => name.startsWith(prefix))?.reason;
}

function line(scenario: Scenario): string {
  const { failed, name, passed, scored, warnings } = scenario;
  const left = reasonLeftOut(scenario);
  const mark = left !== undefined ? '-' : failed.length > 0 ? '✗' : '✓';
  const counts = left ?? `${passed} passed${failed.length === 0 ? '' : `, ${failed.length} failed`}`;
  const more =
    left === undefined ? [...failed, ...warnings.map((one) => `warning: ${one}`)].map((one) => `\n      ${one}`).join('') : '';
  return `  ${mark} ${name.padEnd(52)} ${scored ? 'required' : 'unscored'}  ${counts}${more}\n`;
}

/** Runs all scenarios of a revision and prints what they found. */
async function passes(url: string, revision: Revision): Promise<boolean> {
  const { code, output, scenarios } = await runSuite(url, revision);
  const required = scenarios.filter(({ scored }) => scored);
  const judged = scenarios.filter((scenario) => reasonLeftOut(scenario) === undefined);
  const met = required.filter(({ failed }) => failed.length === 0).length;
  process.stdout.write(`${revision}: ${met}/${required.length} required scenarios\n${scenarios.map(line).join('')}`);
  if (code === 0 && required.length > 0 && judged.every(({ failed }) => failed.length === 0)) return true;
  process.stdout.write(`${output.slice(output.indexOf('=== SUMMARY ==='))}\n`);
  return false;
}

let failures = 0;
/** What no revision of MCP requires: all of it must pass here. */
function show(title: string, scenarios: readonly Scenario[], least: number): void {
  const met = scenarios.filter(({ failed, passed }) => failed.length === 0 && passed > 0).length;
  if (met < scenarios.length || scenarios.length < least) failures += 1;
  process.stdout.write(`${title}: ${met}/${scenarios.length}\n${scenarios.map(line).join('')}`);
}

const server = await startServer();
try {
  for (const revision of REVISIONS) {
    if (await passes(server.url, revision)) continue;
    process.stdout.write(`${revision}: once more, since some checks of the suite wait for a second and no longer\n`);
    if (!(await passes(server.url, revision))) failures += 1;
  }
  for (const revision of REVISIONS) show(`authorization server, ${revision}`, await runAuthorization(server, revision), 2);
  const { scenarios, leftOut } = await runClientFlows(server);
  show('stock client at the authorization server', scenarios, 1);
  for (const { name, reason } of leftOut) process.stdout.write(`  - ${name.padEnd(52)} ${reason}\n`);
  for (const { era, problem, skipped } of await inspect(server)) {
    if (problem !== undefined) failures += 1;
    process.stdout.write(`inspector ${era}: ${problem ?? skipped ?? 'ok'}\n`);
  }
} finally {
  await server.close();
}
process.exitCode = failures === 0 ? 0 : 1;
