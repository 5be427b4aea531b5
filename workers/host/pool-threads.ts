// A Piscina pool of fixed size, and the defences against what it does not promise (measured on 5.3.2).
// Not responsible for calls or bundles (`host-pool`).
// Invariant: a task goes to the thread that the caller named, at once; Piscina's own queue stays empty (a task queued while its
// thread dies is never run). The tasks of a thread that ends are rejected; its replacement boots already.
import { Piscina } from 'piscina';
import type { Worker } from 'node:worker_threads';
import { HARD_HEAP_FACTOR, type PoolLimits } from '../../src/boundary/frames.ts';
import type { HostStart } from '../../src/boundary/host-start.ts';
import type { FromThread, ThreadData, ThreadHello, ThreadTask } from '../../src/boundary/thread-messages.ts';
import { ThreadSlot } from './thread-slot.ts';

/** A thread whose entry does not come up makes `run` wait for ever, so boot has a limit of its own. */
const BOOT_MS = 15_000;
/** Any number that our own admission never reaches. */
const TASKS_PER_THREAD = 1_000_000;
const STACK_MB = 4;
/** For compiled code. V8 reserves 512 MB by itself, which a limit on the data of the process counts for every thread. */
const CODE_MB = 64;

export interface ThreadEvents {
  /** Threads that have not ended, whenever one was added. */
  started(ids: number[]): void;
  booted(slot: ThreadSlot): void;
  message(slot: ThreadSlot, message: FromThread): void;
  /** Something was thrown in a thread outside any task. */
  late(detail: string): void;
  /** No thread can be had. */
  failed(detail: string): void;
}

/** Piscina's type of a transfer list names another overload of `postMessage`. */
type RunOptions = NonNullable<Parameters<Piscina['run']>[1]>;

interface ListedThread {
  readonly id: number;
}

export class PoolThreads {
  readonly #pool: Piscina;
  readonly #events: ThreadEvents;
  readonly #wanted: number;
  readonly #slots = new Map<Worker, ThreadSlot>();
  #target = 0;
  #closed = false;
  #lastError: unknown;

  constructor(start: HostStart, limits: PoolLimits, events: ThreadEvents) {
    this.#events = events;
    // With a thread per call, one is made ready while the others work.
    this.#wanted = limits.isolation === 'call' ? limits.threads + 1 : limits.threads;
    const { kind, modules, net } = start;
    const data: ThreadData = {
      kind,
      limits,
      ...(modules === undefined ? {} : { modules }),
      ...(net === undefined ? {} : { net }),
    };
    this.#pool = new Piscina({
      filename: start.threadEntry,
      name: 'run',
      // Equal: with fewer at least than at most, a killed thread is not replaced while another is busy.
      minThreads: this.#wanted,
      maxThreads: this.#wanted,
      concurrentTasksPerWorker: TASKS_PER_THREAD,
      idleTimeout: Number.POSITIVE_INFINITY,
      // The other modes stop the event loop of a thread between tasks, its sockets and timers with it.
      atomics: 'disabled',
      recordTiming: false,
      env: {},
      argv: [],
      execArgv: [...start.threadExecArgv],
      resourceLimits: {
        maxOldGenerationSizeMb: limits.heapMb * HARD_HEAP_FACTOR,
        stackSizeMb: STACK_MB,
        codeRangeSizeMb: CODE_MB,
      },
      workerData: data,
      // oxlint-disable-next-line typescript/promise-function-async -- Piscina wants the thread itself
      loadBalancer: (_task, threads) => this.#pick(threads),
    });
    // Without a listener a late throw in a thread would end this process.
    this.#pool.on('error', (error: unknown) => this.#late(error));
    this.#pool.on('message', (message: unknown) => this.#hello(message));
    // A replacement is announced just before it may be given tasks.
    this.#pool.on('workerCreate', (thread: ListedThread) => queueMicrotask(() => this.#listed(thread.id)));
    this.#adopt();
  }

  get slots(): Iterable<ThreadSlot> {
    return this.#slots.values();
  }

  /** Rejects when the thread ends first. */
  run(slot: ThreadSlot, task: ThreadTask, transfer: readonly ArrayBuffer[] = []): Promise<unknown> {
    if (slot.state === 'gone') return Promise.reject(new Error('the thread is gone'));
    this.#target = slot.threadId;
    try {
      return transfer.length === 0
        ? this.#pool.run(task)
        : this.#pool.run(task, { transferList: transfer } as unknown as RunOptions);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /** Resolves when every thread has ended; never, where one is stuck. */
  async destroy(): Promise<void> {
    this.#closed = true;
    const ends = [...this.#slots.keys()].map((worker) => new Promise<void>((resolve) => worker.once('exit', () => resolve())));
    void this.#pool.destroy().catch(() => {});
    await Promise.all(ends);
  }

  #pick<T extends ListedThread>(threads: T[]): T {
    for (const thread of threads) if (thread.id === this.#target) return thread;
    // Returning none would put the task into a queue.
    throw new Error('the thread is gone');
  }

  /** Takes note of threads that Piscina started since. */
  #adopt(): void {
    const known = this.#slots.size;
    for (const worker of this.#pool.threads) {
      if (this.#slots.has(worker)) continue;
      const slot = new ThreadSlot(worker);
      this.#slots.set(worker, slot);
      slot.timer = setTimeout(() => this.#failed(`a thread did not start within ${BOOT_MS} ms`), BOOT_MS);
      // After Piscina's own listeners: by then it has removed the thread and started another.
      worker.on('error', (error: unknown) => {
        // A call that reached the heap limit says so itself.
        if (slot.calls.size === 0 || lossCode(error) !== 'heap_limit') this.#late(error);
        this.#gone(slot);
      });
      worker.on('exit', () => {
        this.#gone(slot);
        this.#slots.delete(worker);
      });
    }
    if (this.#slots.size > known) this.#events.started([...this.#slots.values()].map(({ threadId }) => threadId));
  }

  #hello(message: unknown): void {
    const hello = message as ThreadHello | null;
    if (typeof hello !== 'object' || hello === null || hello.t !== 'hello') return;
    for (const slot of this.#slots.values()) {
      if (slot.threadId !== hello.threadId || slot.connected || slot.state !== 'booting') continue;
      slot.connect(hello.port, (from) => this.#events.message(slot, from));
      this.#booted(slot);
      return;
    }
  }

  #listed(threadId: number): void {
    this.#adopt();
    for (const slot of this.#slots.values()) {
      if (slot.threadId !== threadId) continue;
      slot.listed = true;
      this.#booted(slot);
    }
  }

  #booted(slot: ThreadSlot): void {
    if (!slot.connected || !slot.listed || slot.state !== 'booting') return;
    clearTimeout(slot.timer);
    slot.state = 'booted';
    this.#events.booted(slot);
  }

  #gone(slot: ThreadSlot): void {
    if (slot.state === 'gone') return;
    const before = slot.state;
    slot.end();
    if (this.#closed) return;
    // Piscina starts no more threads once one has failed to come up.
    if (before === 'booting' || this.#pool.threads.length < this.#wanted) {
      this.#failed(this.#lastError === undefined ? 'a thread ended while it started' : detailOf(this.#lastError));
      return;
    }
    this.#adopt();
  }

  #late(error: unknown): void {
    // The pool and the worker tell of the same error.
    if (this.#closed || (error === this.#lastError && error !== null && error !== undefined)) return;
    this.#lastError = error;
    this.#events.late(detailOf(error));
  }

  #failed(detail: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.failed(detail);
  }
}

/** Why tasks on a thread were rejected. */
export function lossCode(error: unknown): 'heap_limit' | 'worker_lost' {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'heap_limit' : 'worker_lost';
}

const MAX_DETAIL = 8192;
export function detailOf(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return text.slice(0, MAX_DETAIL);
}
