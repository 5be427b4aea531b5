// Runs a job in a generator process and sums up rounds.
// Not responsible for what is measured.
// Invariant: the generator shares no event loop with the server or the harness.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Job, Measured } from './generate.ts';
import { type Era, openSession, requestBytes, type Target } from './requests.ts';

const GENERATOR = fileURLToPath(new URL('generate.ts', import.meta.url));

export function generate(job: Job): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const child = fork(GENERATOR, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child.once('message', (answer: { measured: Measured } | { error: string }) => {
      if ('measured' in answer) resolve(answer.measured);
      else reject(new Error(answer.error));
    });
    child.once('exit', (code) => reject(new Error(`the generator ended with ${code}`)));
    child.send(job);
  });
}

export interface Call {
  readonly era: Era;
  readonly method: string;
  readonly params: Record<string, unknown>;
  readonly expect: string;
}
export interface Window {
  readonly connections: number;
  readonly warmupMs: number;
  readonly measureMs: number;
}

export interface Warming {
  readonly connections: number;
  readonly firstMs: number;
}

/** The same call on every connection; in the 2025 era each connection has a session of its own. */
export async function loadCall(target: Target, pid: number, call: Call, window: Window): Promise<Measured> {
  const requests: string[] = [];
  for (let index = 0; index < window.connections; index += 1) {
    const session = call.era === '2025-11-25' ? await openSession(target) : undefined;
    requests.push(requestBytes(target, call.era, call.method, call.params, 1, session).toString('base64'));
  }
  return generate({ ...window, url: target.url, requests, expect: call.expect, pid });
}

/** Loads a server before anything of it counts. */
export async function warm(target: Target, pid: number, call: Call, { connections, firstMs }: Warming): Promise<void> {
  await loadCall(target, pid, call, { connections, warmupMs: firstMs, measureMs: 100 });
}

/** Middle of the rounds, figure by figure. */
export function median(rounds: readonly Measured[]): Measured {
  const middle = (key: keyof Measured) => {
    const sorted = rounds.map((one) => one[key]).sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
  };
  return {
    rps: middle('rps'),
    p50Ms: middle('p50Ms'),
    p99Ms: middle('p99Ms'),
    requests: middle('requests'),
    cpuUsMain: middle('cpuUsMain'),
    cpuUsTree: middle('cpuUsTree'),
  };
}
