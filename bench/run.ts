// `npm run bench`: every figure in one go, on one machine, the servers in turns.
//   --quick    a few minutes: shorter, fewer rounds and samples
//   --json     one JSON object on stdout instead of tables
//   --only X   one part (repeatable): echo listing payload start memory recovery isolation auth upstream tenants
//   --tenants  size of the large estate (default 10,000; quick 200)
// Not responsible for building: `npm run bench` builds dist/ first. Progress goes to stderr.
import { existsSync } from 'node:fs';
import { barsOf } from './bars.ts';
import { conditions } from './conditions.ts';
import { type Part, readOptions } from './options.ts';
import { installPeers } from './peers.ts';
import { render, type Report } from './report.ts';
import { isolationRows } from './sections/isolation.ts';
import { authRows } from './sections/auth.ts';
import { ECHO, echoRows } from './sections/echo.ts';
import { answerTo, listingRows, teachRaw } from './sections/listing.ts';
import { memoryFigures } from './sections/memory.ts';
import { payloadRows } from './sections/payload.ts';
import { recoveryFigures } from './sections/recovery.ts';
import { startFigures } from './sections/start.ts';
import { upstreamFigures } from './sections/upstream.ts';
import { tenantsFigures } from './sections/tenants.ts';
import { CLI, PEER_NAMES, startLeasehold, startPeer, type Subject } from './subjects.ts';

const options = readOptions(process.argv.slice(2));
const say = (text: string) => process.stderr.write(`${text}\n`);
const wants = (part: Part) => options.only.size === 0 || options.only.has(part);

if (process.platform !== 'linux') throw new Error('the benchmark reads CPU time and memory from /proc: Linux only');
if (!existsSync(CLI)) throw new Error(`${CLI} is not there: npm run build`);
installPeers();
const given = conditions(options);

const subjects: Subject[] = [];
async function withSubjects<T>(act: (leasehold: Subject, peer: (name: string) => Subject) => Promise<T>): Promise<T> {
  try {
    subjects.push(await startLeasehold());
    for (const name of PEER_NAMES) subjects.push(await startPeer(name));
    return await act(subjects[0] as Subject, (name) => subjects.find((one) => one.name === name) as Subject);
  } finally {
    for (const subject of subjects) await subject.stop();
  }
}

const loads = await withSubjects(async (leasehold, peer) => {
  const raw = peer('fastify-raw');
  // The ceiling sends what Leasehold answers to the same call.
  const bytes = await answerTo(leasehold.target, { ...ECHO, era: '2026-07-28' });
  const ceiling = { ...raw, target: await teachRaw(raw, 'echo', bytes) };
  const echoes = [leasehold, peer('sdk-v1'), peer('sdk-v2-fastify'), peer('sdk-v2-lowlevel'), peer('fastmcp'), ceiling];
  const rows = wants('echo') ? await echoRows(echoes, options, say) : [];
  say('listing, payload, recovery, tenants');
  return {
    rows,
    listing: wants('listing') ? await listingRows(leasehold, raw, options) : [],
    payload: wants('payload') ? await payloadRows([leasehold, peer('sdk-v2-fastify'), raw], options) : [],
    tenants: wants('tenants') ? await tenantsFigures(options) : undefined,
    recovery: wants('recovery') ? await recoveryFigures(leasehold, options) : undefined,
  };
});
say('start, isolation, auth, upstream, memory');
const start = wants('start') ? await startFigures(options) : undefined;
const isolation = wants('isolation') ? await isolationRows(options) : [];
const auth = wants('auth') ? await authRows(options) : [];
const upstream = wants('upstream') ? await upstreamFigures(options) : undefined;
const memory = wants('memory') ? await memoryFigures(options) : undefined;
const { rows, listing, payload, tenants, recovery } = loads;
const bars = barsOf({
  rows,
  listing,
  ...(start === undefined ? {} : { start }),
  ...(memory === undefined ? {} : { memory }),
  ...(recovery === undefined ? {} : { recovery }),
  ...(tenants === undefined ? {} : { tenants }),
});
const report: Report = {
  conditions: given,
  rows,
  start: start ?? {},
  memory: memory ?? {},
  listing,
  payload,
  recovery,
  isolation,
  auth,
  upstream,
  tenants,
  bars,
};
process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : render(report));
