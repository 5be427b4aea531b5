// The same request by undici directly, in a process of its own: what a call to an upstream costs without anything around it.
// Not responsible for the upstream. Reads its job from its argument, prints one JSON object.
// Invariant: as many requests under way as a server's load has, over kept connections.
import { Pool } from 'undici';
import type { Measured } from './generate.ts';

export interface DirectJob {
  readonly origin: string;
  readonly path: string;
  readonly connections: number;
  readonly warmupMs: number;
  readonly measureMs: number;
}

async function run({ origin, path, connections, warmupMs, measureMs }: DirectJob): Promise<Measured> {
  const pool = new Pool(origin, { connections });
  const latencies: number[] = [];
  let measuring = false;
  let ending = false;
  const loops = Array.from({ length: connections }, async () => {
    while (!ending) {
      const begun = performance.now();
      const { statusCode, body } = await pool.request({ method: 'GET', path });
      if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`);
      JSON.parse(await body.text());
      if (measuring) latencies.push(performance.now() - begun);
    }
  });
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await pause(warmupMs);
  const before = process.cpuUsage();
  const begun = performance.now();
  measuring = true;
  await pause(measureMs);
  measuring = false;
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(before);
  ending = true;
  await Promise.all(loops);
  await pool.close();
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  const cpu = (user + system) / sorted.length;
  const requests = sorted.length;
  return { rps: requests / seconds, p50Ms: at(0.5), p99Ms: at(0.99), requests, cpuUsMain: cpu, cpuUsTree: cpu };
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.argv[2] ?? '') as DirectJob)));
