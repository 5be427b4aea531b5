// A real tools thread under a real Piscina pool with the product's own flags, spoken to by the thread messages.
// Not responsible for host processes: here the test process stands in their place.
// Invariant: what a test sees is what a host would see.
import { findEntry } from '../../src/hosts/entry.ts';
import type { CallContext } from '../../src/boundary/call-context.ts';
import type { CancelReason, PoolLimits } from '../../src/boundary/frames.ts';
import type { HostReply } from '../../src/boundary/host-request.ts';
import type { Manifest } from '../../src/boundary/manifest.ts';
import type { CallOutcome } from '../../src/boundary/outcome.ts';
import type { CallResult, DescribeResult, FromThread, LoadResult, ThreadHello } from '../../src/boundary/thread-messages.ts';
import { receiveMessageOnPort } from 'node:worker_threads';
import { build } from 'esbuild-wasm';
import { Piscina } from 'piscina';

export const LIMITS: PoolLimits = { threads: 1, heapMb: 96, resultBytes: 1_048_576, logLinesPerCall: 20, progressPerCall: 1000 };
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Bundles a TypeScript fixture as the product does: CommonJS, with what the thread provides left out. */
export async function bundleFixture(path: string): Promise<string> {
  const source = `import toolset from ${JSON.stringify(path)}; export const toolsets = [{ file: 'tools/fixture.ts', toolset }];`;
  const built = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: 'ts' },
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    external: ['leasehold', 'typebox', 'typebox/*'],
    logLevel: 'silent',
  });
  return built.outputFiles[0]?.text ?? '';
}

export interface Ended {
  readonly outcome: CallOutcome;
  /** The CallToolResult, parsed. */
  readonly result: { content?: { type: string; text?: string }[]; structuredContent?: unknown } | undefined;
}

export type Request = Extract<FromThread, { t: 'request' }>;
export type Answer = { readonly reply: HostReply; readonly body?: Uint8Array } | undefined;

export class ToolsPool {
  readonly messages: FromThread[] = [];
  readonly errors: unknown[] = [];
  /** Answers requests; undefined leaves one open. */
  answer: (request: Request) => Answer = () => undefined;
  hello: ThreadHello | undefined;
  readonly #pool: Piscina;
  readonly #bodies = new Map<number, Uint8Array>();
  /** Woken by the next message, however it comes: the port may not be here yet, and what a result brought along is no event of it. */
  readonly #waiting: (() => void)[] = [];
  #calls = 0;

  constructor(limits: Partial<PoolLimits> = {}) {
    const { threadEntry, threadReads } = findEntry('tools');
    this.#pool = new Piscina({
      filename: threadEntry,
      name: 'run',
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: 1000,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      env: {},
      argv: [],
      execArgv: ['--permission', ...threadReads.map((path) => `--allow-fs-read=${path}`)],
      resourceLimits: { maxOldGenerationSizeMb: limits.heapMb ?? LIMITS.heapMb, stackSizeMb: 4 },
      workerData: { kind: 'tools', limits: { ...LIMITS, ...limits } },
    });
    this.#pool.on('error', (error: unknown) => this.errors.push(error));
    this.#pool.on('message', (message: unknown) => this.#greet(message as ThreadHello));
  }

  get threadIds(): number[] {
    return this.#pool.threads.map((thread) => thread.threadId);
  }

  async load(script: string, vars: Record<string, unknown> = {}): Promise<LoadResult> {
    const assignment = { tenant: 'acme', bundle: '3f2a91c0aabbccdd', vars };
    return (await this.#pool.run({ t: 'load', assignment, body: encoder.encode(script) })) as LoadResult;
  }

  async describe(): Promise<Manifest> {
    const described = (await this.#pool.run({ t: 'describe' })) as DescribeResult;
    if (!described.ok) throw new Error(described.failure.detail);
    return JSON.parse(decoder.decode(described.body)) as Manifest;
  }

  /** The number of the call, at once, and its end. */
  begin(tool: string, args: unknown = {}, context: Partial<CallContext> = {}): { call: number; ended: Promise<Ended> } {
    this.#calls += 1;
    const call = this.#calls;
    const full: CallContext = {
      tenant: 'acme',
      subject: 'ada@acme.com',
      scopes: ['issues:read'],
      requestId: `R${call}`,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      depth: 0,
      deadline: Date.now() + 30_000,
      ...context,
    };
    const body = args instanceof Uint8Array ? args : encoder.encode(JSON.stringify(args));
    const run = this.#pool.run({
      t: 'call',
      call,
      operation: { kind: 'tool', name: tool },
      context: full,
      body,
    }) as Promise<CallResult>;
    return { call, ended: run.then((result) => this.#ended(call, result)) };
  }

  async call(tool: string, args: unknown = {}, context: Partial<CallContext> = {}): Promise<Ended> {
    return this.begin(tool, args, context).ended;
  }

  async cancel(call: number, reason: CancelReason): Promise<void> {
    await this.#pool.run({ t: 'cancel', call, reason });
  }

  async close(): Promise<void> {
    this.hello?.port.close();
    await this.#pool.destroy();
  }

  /** Resolves with the first message that fits, past ones included. */
  async seen(fits: (message: FromThread) => boolean): Promise<FromThread> {
    for (;;) {
      const found = this.messages.find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #greet(hello: ThreadHello): void {
    this.hello = hello;
    hello.port.on('message', (message: FromThread) => this.#hear(message));
  }

  #hear(message: FromThread): void {
    this.messages.push(message);
    for (const wake of this.#waiting.splice(0)) wake();
    if (message.t === 'body') this.#bodies.set(message.call, message.body);
    if (message.t !== 'request') return;
    const answer = this.answer(message);
    if (answer !== undefined)
      this.hello?.port.postMessage({ t: 'reply', call: message.call, request: message.request, ...answer });
  }

  /** As for a host: what was posted before `run` returned is handled before its result. */
  #ended(call: number, { outcome, body }: CallResult): Ended {
    for (let waiting = this.#receive(); waiting !== undefined; waiting = this.#receive()) this.#hear(waiting);
    if (outcome.status !== 'ok') return { outcome, result: undefined };
    const bytes = body ?? this.#bodies.get(call) ?? new Uint8Array();
    return { outcome, result: JSON.parse(decoder.decode(bytes)) as NonNullable<Ended['result']> };
  }

  #receive(): FromThread | undefined {
    return this.hello === undefined ? undefined : (receiveMessageOnPort(this.hello.port)?.message as FromThread | undefined);
  }
}
