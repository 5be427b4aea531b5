// One HTTP exchange of a fuzz run, with a deadline: whatever is sent, something must come back, and it must not be a 5xx.
// Not responsible for what is sent. Invariant: an answer that does not come in time is a finding, as is a connection cut without one.
import { Agent, request } from 'node:http';

const DEADLINE_MS = 20_000;

export interface Got {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export interface Sent {
  readonly method?: string;
  readonly headers: { readonly [name: string]: string };
  readonly body?: string | Uint8Array;
}

export class Exchanger {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 });

  constructor(url: string) {
    this.#url = new URL(url);
  }

  send({ body, headers, method = 'POST' }: Sent): Promise<Got> {
    const { hostname, pathname, port } = this.#url;
    return new Promise((resolve, reject) => {
      const options = { hostname, port, path: pathname, method, headers: { ...headers }, agent: this.#agent };
      const sent = request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
          // A standing stream has no end of its own.
          if (text.includes('subscriptions/acknowledged')) sent.destroy();
        });
        const done = (): void =>
          resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', text });
        response.on('close', done);
      });
      sent.setTimeout(DEADLINE_MS, () => sent.destroy(new Error('no answer in time')));
      sent.on('error', (error: NodeJS.ErrnoException) => {
        // A body that is refused early may find its connection closed (RFC 9112, section 9.6).
        if (error.code === 'EPIPE' || error.code === 'ECONNRESET') resolve({ status: 0, type: '', text: '' });
        else reject(error);
      });
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
