// The thread's side of the port beside its pool: requests that wait for a reply, and one-way notices.
// Not responsible for what is asked (`context`) or for numbers of calls; a reply is matched by our own request number.
// Invariant: every request settles once: by its reply, or when its call ends or is cancelled.
import type { MessagePort } from 'node:worker_threads';
import { leaseholdError } from '../../src/author/errors.ts';
import type { HttpHead, HostRequest, Notice } from '../../src/boundary/host-request.ts';
import { type FromThread, ownBytes, type ToThread, TRANSFER_FROM_BYTES } from '../../src/boundary/thread-messages.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import { NumberMap } from '../../src/shared/number-map.ts';

export interface Reply {
  readonly http: HttpHead | undefined;
  readonly body: Uint8Array;
}

interface Waiting {
  readonly request: number;
  readonly call: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
}

const NOTHING = new Uint8Array(0);
const ignore = (): void => undefined;

export class Exchange {
  readonly #port: MessagePort;
  readonly #waiting = new NumberMap<Waiting>();
  #last = 0;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (message: ToThread) => this.#settle(message));
  }

  /** @param body Given away: a large one is transferred, and the caller's view of it is detached. */
  request(call: number, ask: HostRequest, body: Uint8Array | undefined): Promise<Reply> {
    this.#last += 1;
    const request = this.#last;
    const promise = new Promise<Reply>((resolve, reject) => this.#waiting.set(request, { request, call, resolve, reject }));
    // A handler may return without waiting for what it asked; the end of its call is no unhandled rejection then.
    promise.catch(ignore);
    if (body === undefined || body.byteLength === 0) this.#post({ t: 'request', call, request, ask });
    else this.#postWithBody({ t: 'request', call, request, ask }, ownBytes(body));
    return promise;
  }

  notice(call: number, notice: Notice): void {
    this.#post({ t: 'notice', call, notice });
  }

  /** Rejects everything that the call still waits for. */
  release(call: number, why: Failure): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.call !== call) continue;
      this.#waiting.delete(waiting.request);
      waiting.reject(leaseholdError(why));
    }
  }

  /** Leaves what the call waits for pending for ever. */
  forget(call: number): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.call === call) this.#waiting.delete(waiting.request);
    }
  }

  #settle(message: ToThread): void {
    if (message.t === 'ping') return this.#post({ t: 'pong' });
    const { call, request, reply, body } = message;
    const waiting = this.#waiting.get(request);
    if (waiting === undefined || waiting.call !== call) return;
    this.#waiting.delete(request);
    if (reply.status === 'ok') waiting.resolve({ http: reply.http, body: body ?? NOTHING });
    else waiting.reject(leaseholdError(reply.failure as Failure));
  }

  #post(message: FromThread): void {
    this.#port.postMessage(message);
  }

  #postWithBody(message: FromThread, body: Uint8Array<ArrayBuffer>): void {
    const transfer = body.byteLength < TRANSFER_FROM_BYTES ? [] : [body.buffer];
    this.#port.postMessage({ ...message, body }, transfer);
  }
}

export const CALL_ENDED: Failure = failure('cancelled', {
  message: 'The call has ended; nothing can be asked in its name any more.',
});
