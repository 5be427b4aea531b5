// Reads an event stream one event at a time, as a client that watches does.
// Not responsible for what is in it. Invariant: every event is given out once, in order; waiting ends with the stream.

/** A JSON-RPC message of a stream, as far as tests look into one. */
export interface Told {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
}

export interface StreamEvent {
  readonly id: string | undefined;
  readonly retry: number | undefined;
  readonly data: string;
  /** The data as JSON; undefined where there is none. */
  readonly message: Told | undefined;
}

export class EventReader {
  readonly response: Response;
  readonly #controller: AbortController;
  readonly #events: AsyncIterator<StreamEvent>;

  static async open(url: string, init: RequestInit): Promise<EventReader> {
    const controller = new AbortController();
    return new EventReader(await fetch(url, { ...init, signal: controller.signal }), controller);
  }

  private constructor(response: Response, controller: AbortController) {
    this.response = response;
    this.#controller = controller;
    this.#events = read(response);
  }

  /** The next event; undefined at the end of the stream. */
  async next(): Promise<StreamEvent | undefined> {
    const { done, value } = await this.#events.next();
    return done === true ? undefined : value;
  }

  /** All events up to and with the first one that fits; all that came where none did. */
  async until(fits: (event: StreamEvent) => boolean): Promise<StreamEvent[]> {
    const got: StreamEvent[] = [];
    for (let event = await this.next(); event !== undefined; event = await this.next()) {
      got.push(event);
      if (fits(event)) break;
    }
    return got;
  }

  rest(): Promise<StreamEvent[]> {
    return this.until(() => false);
  }

  /** As a client that goes away. */
  leave(): void {
    this.#controller.abort();
  }
}

async function* read(response: Response): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of response.body ?? []) {
    pending += decoder.decode(chunk, { stream: true });
    const blocks = pending.split('\n\n');
    pending = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== undefined) yield event;
    }
  }
}

function eventOf(block: string): StreamEvent | undefined {
  const field = (name: string): string | undefined =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .replace(/^ /, '');
  const data = field('data');
  if (data === undefined) return undefined;
  const retry = field('retry');
  const message = data === '' ? undefined : (JSON.parse(data) as Told);
  return { id: field('id'), retry: retry === undefined ? undefined : Number(retry), data, message };
}
