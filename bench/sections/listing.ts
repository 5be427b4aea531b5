// `tools/list` and `server/discover` beside a bare Fastify route that sends the very same bytes.
// Not responsible for judging the figures (`bars`).
// Invariant: the route's bytes are an answer of Leasehold taken in this run.
import { type Call, loadCall, median, type Window } from '../load/load.ts';
import type { Measured } from '../load/generate.ts';
import { requestBytes, type Target } from '../load/requests.ts';
import { WireConnection } from '../load/wire.ts';
import type { BenchOptions } from '../options.ts';
import type { Subject } from '../subjects.ts';

export interface ListingRow {
  readonly method: string;
  readonly bytes: number;
  readonly leasehold: Measured;
  readonly raw: Measured;
}

const CALLS: readonly Call[] = [
  { era: '2026-07-28', method: 'tools/list', params: {}, expect: '"tools"' },
  { era: '2026-07-28', method: 'server/discover', params: {}, expect: '"supportedVersions"' },
];

/** One answer of the server, as bytes. */
export async function answerTo(target: Target, call: Call): Promise<Buffer> {
  const connection = await WireConnection.open(new URL(target.url));
  const answer = await connection.send(requestBytes(target, call.era, call.method, call.params, 1));
  connection.close();
  if (answer.status !== 200) throw new Error(`${call.method}: ${answer.status} ${answer.body.toString('utf8', 0, 300)}`);
  return answer.body;
}

/** Gives the raw server bytes to answer with; the route that sends them. */
export async function teachRaw(raw: Subject, name: string, bytes: Buffer): Promise<Target> {
  const url = new URL(`/bytes/${name}`, raw.target.url);
  const taught = await fetch(url, {
    method: 'PUT',
    body: new Uint8Array(bytes),
    headers: { 'content-type': 'application/octet-stream' },
  });
  if (taught.status !== 204) throw new Error(`fastify-raw did not take the bytes: ${taught.status}`);
  return { url: url.href };
}

export async function listingRows(leasehold: Subject, raw: Subject, options: BenchOptions): Promise<ListingRow[]> {
  const window: Window = options;
  const rows: ListingRow[] = [];
  for (const call of CALLS) {
    const bytes = await answerTo(leasehold.target, call);
    const route = await teachRaw(raw, call.method.replace('/', '-'), bytes);
    const ours: Measured[] = [];
    const bare: Measured[] = [];
    for (let round = 0; round < options.sideRounds; round += 1) {
      ours.push(await loadCall(leasehold.target, leasehold.server.pid, call, window));
      bare.push(await loadCall(route, raw.server.pid, call, window));
    }
    rows.push({ method: call.method, bytes: bytes.length, leasehold: median(ours), raw: median(bare) });
  }
  return rows;
}
