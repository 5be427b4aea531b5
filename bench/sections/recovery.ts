// From a death to the next call that works, for the same tenant: a thread that ends itself, a tools host that is killed.
// Not responsible for other tenants (test/isolation) or for judging the figures (`bars`).
// Invariant: the clock starts when the caller knows (the thread) or when the signal was sent (the host).
import { readFileSync } from 'node:fs';
import { treeOf } from '../load/processes.ts';
import { requestBytes } from '../load/requests.ts';
import { WireConnection } from '../load/wire.ts';
import type { BenchOptions } from '../options.ts';
import type { Subject } from '../subjects.ts';
import { ECHO } from './echo.ts';

export interface RecoveryFigures {
  /** Median and worst. */
  readonly threadMs: readonly [number, number];
  readonly hostMs: readonly [number, number];
}

const GIVE_UP_MS = 10_000;

function toolsHost(supervisor: number): number {
  const found = treeOf(supervisor).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('"kind":"tools"'));
  if (found === undefined) throw new Error('no tools host found');
  return found;
}

export async function recoveryFigures(leasehold: Subject, options: BenchOptions): Promise<RecoveryFigures> {
  const connection = await WireConnection.open(new URL(leasehold.target.url));
  const call = (name: string, args: object) =>
    connection.send(requestBytes(leasehold.target, '2026-07-28', 'tools/call', { name, arguments: args }, 1));
  /** Milliseconds until an echo works again, asked over and over. */
  const untilEcho = async (begun: number) => {
    for (;;) {
      const answer = await call('echo', ECHO.params.arguments);
      const ms = performance.now() - begun;
      if (answer.status === 200 && answer.body.includes(ECHO.expect)) return ms;
      if (ms > GIVE_UP_MS) throw new Error(`no call works: ${answer.body.toString('utf8', 0, 300)}`);
    }
  };
  const sample = async (kill: () => Promise<void> | void) => {
    const times: number[] = [];
    for (let index = 0; index < Math.min(options.samples, 10); index += 1) {
      await untilEcho(performance.now());
      const begun = performance.now();
      await kill();
      times.push(await untilEcho(begun));
    }
    times.sort((a, b) => a - b);
    return [times[times.length >> 1] as number, times.at(-1) as number] as const;
  };
  const threadMs = await sample(async () => {
    await call('crash', {});
  });
  const hostMs = await sample(() => {
    process.kill(toolsHost(leasehold.server.pid), 'SIGKILL');
  });
  connection.close();
  return { threadMs, hostMs };
}
