// One thread of a pool: its worker, its port, how far it has come, and the calls that it runs.
// Not responsible for starting or replacing it (`pool-threads`).
// Invariant: states only go forward, booting -> booted -> loading -> ready -> gone; calls exist from `ready` on.
import { type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { type FromThread, type ToThread, TRANSFER_FROM_BYTES } from '../../src/boundary/thread-messages.ts';
import type { Failure } from '../../src/shared/errors.ts';
import { NumberMap } from '../../src/shared/number-map.ts';
import type { HostCall } from './host-call.ts';

export type ThreadState = 'booting' | 'booted' | 'loading' | 'ready' | 'gone';

const SHARED_RETRY_MS = 1000;

export class ThreadSlot {
  readonly worker: Worker;
  /** The worker forgets its own number when it ends. */
  readonly threadId: number;
  state: ThreadState = 'booting';
  /** Piscina has it among those that may be given tasks. */
  listed = false;
  terminating = false;
  /** Why it is ended, where it passed a limit: what its calls are told. */
  condemned: Failure | undefined;
  /** A measurement of its memory is under way. */
  measured = false;
  /** As the meter saw them last: CPU time ever, microseconds, and bytes in its heap. */
  cpuUs = 0;
  heapBytes = 0;
  /** As the meter saw it last: milliseconds that its event loop was idle, ever. */
  idle = 0;
  /** When its event loop was last known to turn, milliseconds of the monotonic clock. */
  turnedAt = 0;
  /** Of its first call: with a thread per call, it serves no other request. */
  request: string | undefined;
  readonly calls = new NumberMap<HostCall>();
  /** Bodies that were transferred ahead of the results that they belong to. */
  readonly bodies = new NumberMap<Uint8Array>();
  timer: NodeJS.Timeout | undefined;
  #asked = false;
  #port: MessagePort | undefined;
  #onMessage: ((message: FromThread) => void) | undefined;

  constructor(worker: Worker) {
    this.worker = worker;
    this.threadId = worker.threadId;
  }

  get connected(): boolean {
    return this.#port !== undefined;
  }

  connect(port: MessagePort, onMessage: (message: FromThread) => void): void {
    this.#port = port;
    this.#onMessage = onMessage;
    port.on('message', onMessage);
    port.unref();
  }

  /** Messages that were posted before a result must be handled before it; two ports have no order between them. */
  drain(): void {
    const port = this.#port;
    if (port === undefined) return;
    let entry = receiveMessageOnPort(port) as { message: FromThread } | undefined;
    while (entry !== undefined) {
      this.#onMessage?.(entry.message);
      entry = receiveMessageOnPort(port) as { message: FromThread } | undefined;
    }
  }

  post(message: Extract<ToThread, { t: 'reply' }>): void {
    const bytes = message.body;
    const moved = bytes !== undefined && bytes.byteLength >= TRANSFER_FROM_BYTES;
    this.#port?.postMessage(message, moved ? [bytes.buffer as ArrayBuffer] : []);
  }

  /** Its event loop turns. */
  turned(now: number): void {
    this.turnedAt = now;
    this.#asked = false;
  }

  /** Asks, once until it is known, whether its event loop turns. */
  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#port?.postMessage({ t: 'ping' } satisfies ToThread);
  }

  /** Which of several calls passed the limit cannot be seen: then each may try again. */
  condemn(why: Failure): void {
    this.condemned ??= this.calls.size > 1 ? { ...why, retryAfterMs: SHARED_RETRY_MS } : why;
    this.terminate();
  }

  terminate(): void {
    if (this.terminating) return;
    this.terminating = true;
    void this.worker.terminate();
  }

  end(): void {
    this.state = 'gone';
    clearTimeout(this.timer);
    this.#port?.close();
    this.bodies.clear();
  }
}
