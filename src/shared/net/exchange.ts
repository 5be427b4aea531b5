// One HTTP exchange: a request goes out, the whole answer or the reason why there is none comes back.
// Not responsible for guards, credentials, decoding or meaning. Follows no redirect.
// Invariant: settles once, within its time, and tells exactly whether a byte of the request can have left; the body is
// bounded while it is read.
import type { Dispatcher } from 'undici';

export interface WireRequest {
  readonly method: string;
  /** Path and query, as they go out. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | undefined;
}
export interface WireBounds {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Of the body as it comes over the wire. */
  readonly maxBytes: number;
  /** Asked when a connection stands, right before the first byte: false keeps the request back. */
  mayLeave(): boolean;
}
export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;
export type WireResult =
  | { readonly ok: true; readonly status: number; readonly headers: ResponseHeaders; readonly body: Uint8Array }
  | { readonly ok: false; readonly sent: boolean; readonly code: WireFailure; readonly detail: string };
export type WireFailure = 'timeout' | 'cancelled' | 'held_back' | 'too_large' | 'network';

export function exchange(dispatcher: Dispatcher, request: WireRequest, bounds: WireBounds): Promise<WireResult> {
  return new Promise((resolve) => {
    const run = new Exchange(request.method, bounds, resolve);
    try {
      dispatcher.dispatch(
        {
          method: request.method,
          path: request.path,
          headers: request.headers,
          body: request.body ?? null,
        },
        run,
      );
    } catch (error) {
      run.onResponseError(undefined, error instanceof Error ? error : new Error('the request could not be made'));
    }
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  #method: string;
  #bounds: WireBounds;
  #resolve: ((result: WireResult) => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout;
  #sent = false;
  #status = 0;
  #headers: ResponseHeaders = {};
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(method: string, bounds: WireBounds, resolve: (result: WireResult) => void) {
    this.#method = method;
    this.#bounds = bounds;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#fail('timeout', 'no answer in time'), bounds.timeoutMs);
    bounds.signal.addEventListener('abort', this.#cancel);
    if (bounds.signal.aborted) this.#cancel();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // What was given up while it waited for a connection must not leave any more.
    if (this.#resolve === undefined) controller.abort(new Error('given up'));
    else if (!this.#bounds.mayLeave()) this.#fail('held_back', 'the credential ran out before the request could leave');
    else this.#sent = true;
  }

  onRequestUpgrade(): void {
    this.#fail('network', 'the upstream changed the protocol');
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    // HEAD tells the length of a body that does not come.
    const length = this.#method === 'HEAD' ? 0 : Number(headers['content-length']);
    if (length > this.#bounds.maxBytes) this.#fail('too_large', 'content-length');
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#bounds.maxBytes) this.#fail('too_large', 'on the wire');
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#settle({ ok: true, status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks, this.#bytes) });
  }

  onResponseError(_: unknown, error: Error & { code?: string }): void {
    // The connector may reject with several errors at once.
    const code = error.code ?? error.name;
    this.#settle({ ok: false, sent: this.#sent, code: 'network', detail: code });
  }

  #cancel = (): void => this.#fail('cancelled', 'given up');

  #fail(code: WireFailure, detail: string): void {
    this.#settle({ ok: false, sent: this.#sent, code, detail });
    this.#controller?.abort(new Error(detail));
  }

  #settle(result: WireResult): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return;
    this.#resolve = undefined;
    clearTimeout(this.#timer);
    this.#bounds.signal.removeEventListener('abort', this.#cancel);
    resolve(result);
  }
}
