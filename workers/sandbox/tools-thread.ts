// The life of a tools thread: one bundle, many calls at once, each in a context of its own.
// Not responsible for the wall (`lockdown`) or for the pool's protocol (`workers/tools`).
// Invariant: every task gets an answer as data; nothing that tenant code does is thrown out of here.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Log, Runtime } from '../../src/author/context.ts';
import type { Assignment, CancelReason, PoolLimits } from '../../src/boundary/frames.ts';
import { UNKNOWN_OPERATION } from '../../src/boundary/operation.ts';
import type { CallTask, DescribeResult, LoadResult } from '../../src/boundary/thread-messages.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import { NumberMap } from '../../src/shared/number-map.ts';
import { parseArguments } from '../arguments.ts';
import { type Bundle, loadBundle } from './bundle.ts';
import { CallRun } from './call-run.ts';
import { Context, runOf } from './context.ts';
import type { Exchange } from './exchange.ts';
import { codedFailure, failureOf } from './failures.ts';
import { manifestOf } from './manifest.ts';
import type { Answer } from './result.ts';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class ToolsThread implements Runtime {
  readonly #limits: PoolLimits;
  readonly #exchange: Exchange;
  readonly #require: (name: string) => unknown;
  /** Holds the context that the author sees, and nothing else: tenant code can find it in the frames of its own timers. */
  readonly #current = new AsyncLocalStorage<Context>();
  readonly #runs = new NumberMap<CallRun>();
  #bundle: Bundle | undefined;
  readonly #loaded: Promise<LoadResult>;
  #markLoaded!: (result: LoadResult) => void;

  constructor(limits: PoolLimits, exchange: Exchange, require: (name: string) => unknown) {
    this.#limits = limits;
    this.#exchange = exchange;
    this.#require = require;
    this.#loaded = new Promise((resolve) => (this.#markLoaded = resolve));
  }

  context(): Context | undefined {
    return this.#current.getStore();
  }

  logOfCall(): Log | undefined {
    return runOf(this.context())?.logs.console;
  }

  load(assignment: Assignment, script: Uint8Array): LoadResult {
    let result: LoadResult = { ok: true };
    try {
      this.#bundle = loadBundle(assignment, decoder.decode(script), this.#require);
    } catch (error) {
      result = { ok: false, failure: broken(error) };
    }
    this.#markLoaded(result);
    return result;
  }

  async describe(): Promise<DescribeResult> {
    const loaded = await this.#loaded;
    if (!loaded.ok) return loaded;
    try {
      return { ok: true, body: encoder.encode(manifestOf(this.#bundle as Bundle)) };
    } catch (error) {
      return { ok: false, failure: broken(error) };
    }
  }

  /** Synchronous where the handler is: an answer costs no turn of the loop that it does not need. */
  call(task: CallTask): Answer | Promise<Answer> {
    if (this.#bundle === undefined) {
      return this.#loaded.then((loaded) => (loaded.ok ? this.call(task) : refused(loaded.failure)));
    }
    const target = this.#bundle.find(task.operation);
    if (target === undefined) return refused(failure(UNKNOWN_OPERATION[task.operation.kind]));
    const run = new CallRun(task.call, target, this.#bundle, task.context, this.#limits, this.#exchange);
    this.#runs.set(run.id, run);
    const answer = this.#current.run(new Context(run), this.#begin, run, task.body);
    if (!(answer instanceof Promise)) this.#runs.delete(run.id);
    return answer;
  }

  cancel(call: number, reason: CancelReason): void {
    this.#runs.get(call)?.cancel(reason);
  }

  /**
   * A throw or rejection that no handler waits for. It ends the call it belongs to and leaves the others alone.
   * @returns false where it belongs to no call that is still running.
   */
  stray(error: unknown): boolean {
    const run = runOf(this.context());
    if (run === undefined) return false;
    // What was still under way when the call ended was told so; that nobody listened is no fault.
    if (run.ended) return failureOf(error).code !== 'tool_failed';
    run.end({ outcome: { status: 'error', failure: failureOf(error) } });
    return true;
  }

  #begin = (run: CallRun, text: Uint8Array): Answer | Promise<Answer> => {
    const { target } = run;
    let returned: unknown;
    try {
      const parsed = parseArguments(text);
      const args = parsed.ok ? target.check(parsed.value) : parsed;
      if (!args.ok) return run.end(refused(failure('arguments_invalid', { path: args.path, reason: args.reason })));
      returned = target.invoke(args.value, this.context() as Context);
      if (!isThenable(returned)) return run.end(this.#answer(run, returned));
    } catch (error) {
      return run.end(refused(failureOf(error)));
    }
    return this.#wait(run, returned);
  };

  /** Whichever is first: the handler, or whatever else ends its call. */
  async #wait(run: CallRun, returned: PromiseLike<unknown>): Promise<Answer> {
    const answered = run.answered();
    void this.#follow(run, returned);
    const answer = await answered;
    this.#runs.delete(run.id);
    return answer;
  }

  async #follow(run: CallRun, returned: PromiseLike<unknown>): Promise<void> {
    try {
      const value = await returned;
      if (!run.ended) run.end(this.#answer(run, value));
    } catch (error) {
      run.end(refused(failureOf(error)));
    }
  }

  #answer({ target, limits, context }: CallRun, value: unknown): Answer {
    return target.answer(value, { resultBytes: limits.resultBytes, objectsOnly: context.objectsOnly === true });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function broken(error: unknown): Failure {
  return codedFailure('toolset_broken', error);
}

function refused(why: Failure): Answer {
  return { outcome: { status: 'error', failure: why } };
}
