// The load generator, a process of its own: sends one job's requests over keep-alive connections, each with one request
// under way, and tells what came back. Reads the job from its argument, prints one JSON object.
// Not responsible for what the requests mean (`requests`) or for the servers (`server`).
// Invariant: CPU and latencies are taken over the same window; a wrong answer ends the run with an error.
import { type Answer, WireConnection } from './wire.ts';
import { cpuTime } from './processes.ts';

export interface Job {
  readonly url: string;
  /** Per connection: the request it repeats, base64. */
  readonly requests: readonly string[];
  /** Every answer is 200 and contains this. */
  readonly expect: string;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Of the server. */
  readonly pid: number;
}
export interface Measured {
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
  readonly cpuUsMain: number;
  readonly cpuUsTree: number;
}

function check(answer: Answer, expect: Buffer): void {
  if (answer.status !== 200 || !answer.body.includes(expect)) {
    throw new Error(`wrong answer: ${answer.status} ${answer.body.toString('utf8', 0, 400)}`);
  }
}

async function run(job: Job): Promise<Measured> {
  const url = new URL(job.url);
  const expect = Buffer.from(job.expect);
  const connections = await Promise.all(job.requests.map(() => WireConnection.open(url)));
  const latencies: number[] = [];
  let measuring = false;
  let ending = false;
  const loops = connections.map(async (connection, index) => {
    const request = Buffer.from(job.requests[index] as string, 'base64');
    while (!ending) {
      const begun = performance.now();
      check(await connection.send(request), expect);
      if (measuring) latencies.push(performance.now() - begun);
    }
  });
  const all = Promise.all(loops);
  const pause = (ms: number) => Promise.race([all, new Promise((resolve) => setTimeout(resolve, ms))]);
  await pause(job.warmupMs);
  const before = cpuTime(job.pid);
  const begun = performance.now();
  measuring = true;
  await pause(job.measureMs);
  measuring = false;
  const seconds = (performance.now() - begun) / 1000;
  const after = cpuTime(job.pid);
  ending = true;
  await all;
  for (const connection of connections) connection.close();
  const count = latencies.length;
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.min(count - 1, Math.floor(count * share))] ?? Number.NaN;
  return {
    rps: count / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    requests: count,
    cpuUsMain: (after.mainUs - before.mainUs) / count,
    cpuUsTree: (after.treeUs - before.treeUs) / count,
  };
}

process.once('message', (job: Job) => {
  const answer = (told: { measured: Measured } | { error: string }) => process.send!(told, () => process.disconnect!());
  run(job).then(
    (measured) => answer({ measured }),
    (error: unknown) => answer({ error: String(error) }),
  );
});
