// The entry of the process that is a tenant's ordinary clients: calls at a fixed rate, whatever becomes of the ones before.
// Not responsible for judging (`judge`) or for misbehaving (`faults`): it is a process of its own so that neither disturbs it.
// Invariant: open loop: a call that is late does not delay the next one, so waiting counts; every call ends up in exactly one window.
import { Agent } from 'node:http';
import { type Called, callTool, type Target } from './mcp-call.ts';

/** To this process, over the IPC channel. */
export type LoadOrder =
  | { readonly do: 'begin'; readonly targets: readonly Target[]; readonly perSecond: number }
  /** Closes the window: what was begun in it is awaited, then reported; the load goes on into the next one. */
  | { readonly do: 'window' };

/** From this process: one array per target of the order. */
export interface LoadWindow {
  readonly calls: readonly (readonly Sample[])[];
}
export interface Sample {
  readonly outcome: string;
  readonly ms: number;
  /** When it was begun, milliseconds of the wall clock. */
  readonly at: number;
}

/** A call that takes longer has failed for its client. */
const PATIENCE_MS = 10_000;
const TEXT = 'steady';

class Load {
  readonly #targets: readonly Target[];
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 512 });
  #window: Promise<Sample>[][];

  constructor(targets: readonly Target[], perSecond: number) {
    this.#targets = targets;
    this.#window = targets.map(() => []);
    const periodMs = 1000 / perSecond;
    const startedAt = performance.now();
    let due = 0;
    const tick = (): void => {
      for (const now = performance.now() - startedAt; due * periodMs <= now; due += 1) this.#begin();
      setTimeout(tick, Math.max(0, due * periodMs - (performance.now() - startedAt)));
    };
    tick();
  }

  async close(): Promise<LoadWindow> {
    const window = this.#window;
    this.#window = this.#targets.map(() => []);
    return { calls: await Promise.all(window.map((calls) => Promise.all(calls))) };
  }

  #begin(): void {
    for (const [index, target] of this.#targets.entries()) {
      const at = Date.now();
      const called = callTool(target, 'echo', { text: TEXT }, { agent: this.#agent, timeoutMs: PATIENCE_MS });
      this.#window[index]?.push(called.then((call) => ({ outcome: judged(call), ms: call.ms, at })));
    }
  }
}

/** An answer that belongs to somebody else would be the worst outcome of all. */
function judged({ outcome, text }: Called): string {
  return outcome === 'ok' && text !== TEXT ? 'wrong_answer' : outcome;
}

let load: Load | undefined;
process.on('message', (order: LoadOrder) => {
  if (order.do === 'begin') load = new Load(order.targets, order.perSecond);
  else void load?.close().then((window) => process.send?.(window));
});
// The channel ends with whoever started this process, however that ends.
process.on('disconnect', () => process.exit(0));
