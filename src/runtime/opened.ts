// What a starting server has opened so far, closed last first.
// Not responsible for what that is. Invariant: one that fails to close does not keep the others open.

export class Opened {
  readonly #closers: (() => unknown)[] = [];

  add(close: () => unknown): void {
    this.#closers.push(close);
  }

  /** The same for what closes itself; gives it back. */
  use<T extends { close(): unknown }>(opened: T): T {
    this.add(() => opened.close());
    return opened;
  }

  /** Rejects with the first failure, after all of them. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
