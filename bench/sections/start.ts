// First calls: of a tenant whose pool sleeps, with and without a warm spare, beside a bare worker that loads the same bundle.
// Not responsible for judging the figures (`bars`).
// Invariant: every sample is the first call of another tenant, over an open connection, in a server that has served before; a bare
// worker is started after each of them, so that what the machine does meanwhile falls on both.
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BareWorkers } from '../bare-workers.ts';
import { requestBytes, type Target } from '../load/requests.ts';
import { WireConnection } from '../load/wire.ts';
import type { BenchOptions } from '../options.ts';
import { endpointOf, Estate } from '../subjects.ts';
import { ECHO } from './echo.ts';

const run = promisify(execFile);
const BARE = fileURLToPath(new URL('../bare-workers.ts', import.meta.url));
/** Time for the next warm spare to get ready. */
const SPARE_MS = 1000;

export interface StartFigures {
  /** Spawn to the ready line of an estate with one tenant that was served before. */
  readonly serverReadyMs: number;
  /** First call after that: the tools host's first pool. */
  readonly firstCallMs: number;
  readonly coldCallMs: number;
  readonly warmCallMs: number;
  /** Of a tenant whose pool is awake. */
  readonly nextCallMs: number;
  readonly bareWorkerMs: number;
}

export async function bareWorkers(kind: 'tools' | 'egress', count: number): Promise<BareWorkers> {
  const { stdout } = await run(process.execPath, [BARE, kind, String(count)]);
  return JSON.parse(stdout) as BareWorkers;
}

/** A process with bare workers, ready to start another one. */
class BareStarts implements AsyncDisposable {
  readonly #child = fork(BARE, ['tools']);

  static async begin(): Promise<BareStarts> {
    const starts = new BareStarts();
    await starts.#told();
    return starts;
  }

  /** Milliseconds. */
  async next(): Promise<number> {
    this.#child.send('start');
    return (await this.#told()) as number;
  }

  async #told(): Promise<unknown> {
    const ended = once(this.#child, 'exit').then(() => Promise.reject(new Error('the bare workers ended')));
    ended.catch(() => undefined);
    const [message] = (await Promise.race([once(this.#child, 'message'), ended])) as [unknown];
    return message;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }
}

/** Milliseconds of one call over an open connection. */
export async function timedCall(target: Target, name: string, args: object, expect: string): Promise<number> {
  const connection = await WireConnection.open(new URL(target.url));
  const request = requestBytes(target, '2026-07-28', 'tools/call', { name, arguments: args }, 1);
  const begun = performance.now();
  const answer = await connection.send(request);
  const ms = performance.now() - begun;
  connection.close();
  if (answer.status !== 200 || !answer.body.includes(expect)) {
    throw new Error(`${name}: ${answer.status} ${answer.body.toString('utf8', 0, 300)}`);
  }
  return ms;
}

export const timedEcho = (target: Target) => timedCall(target, 'echo', ECHO.params.arguments, ECHO.expect);

const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] as number;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function firstCalls(spares: number, samples: number, after: () => Promise<unknown> = async () => undefined) {
  const estate = await Estate.create({ spares });
  try {
    const ids = Array.from({ length: samples }, (_, index) => `t${index}`);
    for (const id of ids) await estate.addTenant(id);
    const tokens = new Map<string, string>();
    for (const id of ['bench', ...ids]) tokens.set(id, await estate.token(id));
    await (await estate.serve()).stop();
    const server = await estate.serve();
    const target = (id: string): Target => ({ url: endpointOf(server, id), token: tokens.get(id) as string });
    const firstCallMs = await timedEcho(target('bench'));
    const first: number[] = [];
    const next: number[] = [];
    for (const id of ids) {
      if (spares > 0) await pause(SPARE_MS);
      first.push(await timedEcho(target(id)));
      next.push(await timedEcho(target(id)));
      await after();
    }
    const figures = { readyMs: server.readyMs, firstCallMs, tenantMs: middle(first), nextMs: middle(next) };
    await server.stop();
    return figures;
  } finally {
    await estate.remove();
  }
}

export async function startFigures(options: BenchOptions): Promise<StartFigures> {
  await using starts = await BareStarts.begin();
  const bare: number[] = [];
  const cold = await firstCalls(0, options.samples, async () => bare.push(await starts.next()));
  const warm = await firstCalls(1, Math.min(options.samples, 10));
  return {
    serverReadyMs: cold.readyMs,
    firstCallMs: cold.firstCallMs,
    coldCallMs: cold.tenantMs,
    warmCallMs: warm.tenantMs,
    nextCallMs: cold.nextMs,
    bareWorkerMs: middle(bare),
  };
}
