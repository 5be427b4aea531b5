// One server under chaos with its surroundings: the steady load of its other tenants, and the connections of the one that misbehaves.
// Not responsible for faults or verdicts. Invariant: `close` ends the server, the load and every connection.
import { type ChildProcess, fork } from 'node:child_process';
import { Agent } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Target } from './mcp-call.ts';
import type { ServedEstate } from './served-estate.ts';
import type { LoadOrder, LoadWindow } from './steady-load.ts';

/** B in the cordon of A, and B in another one: their places in a window. */
const STEADY = ['steady', 'apart'] as const;
const LOAD_ENTRY = fileURLToPath(new URL(`./steady-load${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
const MOST_CONNECTIONS = 2048;

export class Session {
  readonly served: ServedEstate;
  readonly agent = new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS });
  readonly #tokens: ReadonlyMap<string, string>;
  readonly #load: SteadyLoad;

  private constructor(served: ServedEstate, tokens: ReadonlyMap<string, string>, perSecond: number) {
    this.served = served;
    this.#tokens = tokens;
    this.#load = new SteadyLoad(
      STEADY.map((tenant) => this.target(tenant)),
      perSecond,
    );
  }

  /** Resolves when the load has been answered. `perSecond`: calls of B, for each of its two places. */
  static async begin(served: ServedEstate, tokens: ReadonlyMap<string, string>, perSecond: number): Promise<Session> {
    const session = new Session(served, tokens, perSecond);
    await session.window();
    return session;
  }

  target(tenant: string): Target {
    return { url: `${this.served.url}/t/${tenant}/mcp`, token: this.#tokens.get(tenant) ?? '' };
  }

  /** What B began since the last window, when all of it has ended. */
  window(): Promise<LoadWindow> {
    return this.#load.window();
  }

  async close(): Promise<void> {
    this.#load.close();
    this.agent.destroy();
    await this.served.close();
  }
}

class SteadyLoad {
  readonly #child: ChildProcess;

  constructor(targets: readonly Target[], perSecond: number) {
    this.#child = fork(LOAD_ENTRY, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#order({ do: 'begin', targets, perSecond });
  }

  /** What was begun since the last window, when all of it has ended. */
  window(): Promise<LoadWindow> {
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error('the process of the steady load ended'));
      this.#child.once('exit', gone);
      this.#child.once('message', (window: LoadWindow) => {
        this.#child.off('exit', gone);
        resolve(window);
      });
      this.#order({ do: 'window' });
    });
  }

  close(): void {
    this.#child.removeAllListeners('exit');
    this.#child.disconnect();
  }

  #order(order: LoadOrder): void {
    this.#child.send(order);
  }
}
