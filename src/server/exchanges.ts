// The exchanges under way and the event streams that are open: counted, kept alive by comments, drained.
// Not responsible for what is in them. Invariant: what began ends here once; `drained` resolves when nothing is left.

export interface OpenStream {
  /** A line that clients skip, so that nobody on the way takes the connection for dead. */
  comment(): void;
  abandon(): void;
}

export class Exchanges {
  #active = 0;
  #idle: (() => void) | undefined;
  readonly #streams = new Set<OpenStream>();
  readonly #standing = new Set<OpenStream>();
  readonly #timer: NodeJS.Timeout;
  draining = false;

  constructor(commentMs: number) {
    this.#timer = setInterval(() => {
      for (const stream of this.#streams) stream.comment();
    }, commentMs);
    this.#timer.unref();
  }

  get active(): number {
    return this.#active;
  }

  begin(): void {
    this.#active += 1;
  }

  end(): void {
    this.#active -= 1;
    if (this.#active === 0) this.#idle?.();
  }

  /** `standing`: it answers no call and ends only when somebody ends it. */
  opened(stream: OpenStream, standing: boolean): void {
    this.#streams.add(stream);
    if (standing) this.#standing.add(stream);
    if (standing && this.draining) stream.abandon();
  }

  closed(stream: OpenStream): void {
    this.#streams.delete(stream);
    this.#standing.delete(stream);
  }

  /** Ends standing streams at once and waits for the calls under way; true where all ended in time. */
  async drain(withinMs: number): Promise<boolean> {
    this.draining = true;
    for (const stream of this.#standing) stream.abandon();
    if (this.#active > 0) {
      const idle = Promise.withResolvers<void>();
      this.#idle = idle.resolve;
      const timer = setTimeout(idle.resolve, withinMs);
      await idle.promise;
      clearTimeout(timer);
    }
    clearInterval(this.#timer);
    return this.#active === 0;
  }
}
