// Counts the requests that run on each toolset, so that a replaced one is closed only when the last of them has ended.
// Not responsible for closing (`registry`) or for stopping calls (`dispatch`).
// Invariant: a request keeps the toolset it began with, its nested calls and egress included, until it was answered.
import type { Toolset } from './tenant.ts';

interface Use {
  count: number;
  onIdle: (() => void) | undefined;
}

export class ToolsetUsers {
  readonly #uses = new Map<Toolset, Use>();

  enter(toolset: Toolset): void {
    const use = this.#uses.get(toolset);
    if (use === undefined) this.#uses.set(toolset, { count: 1, onIdle: undefined });
    else use.count += 1;
  }

  leave(toolset: Toolset): void {
    const use = this.#uses.get(toolset);
    if (use === undefined) return;
    use.count -= 1;
    if (use.count > 0) return;
    this.#uses.delete(toolset);
    use.onIdle?.();
  }

  /** Resolves when nothing runs on the toolset, or after `withinMs`. */
  async idle(toolset: Toolset, withinMs: number): Promise<void> {
    const use = this.#uses.get(toolset);
    if (use === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      use.onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
