// Who imported whom, and what was refused: so that a problem can show the chain from a toolset to the module at fault.
// Not responsible for deciding. Invariant: keeps the first importer of each module only.
import type { Refusal } from './refusal.ts';

const LONGEST = 12;

export class Trail {
  readonly #importer = new Map<string, string | undefined>();
  readonly #refused = new Map<string, Refusal>();

  arrive(id: string, importer: string | undefined): void {
    if (!this.#importer.has(id)) this.#importer.set(id, importer);
  }

  refuse(importer: string, specifier: string, why: Refusal): void {
    this.#refused.set(`${importer}\n${specifier}`, why);
  }

  refusal(importer: string, specifier: string): Refusal | undefined {
    return this.#refused.get(`${importer}\n${specifier}`);
  }

  /** From the toolset to `id`, both included; the middle of a long chain is left out. */
  chain(id: string): string[] {
    const chain: string[] = [];
    const seen = new Set<string>();
    for (let at: string | undefined = id; at !== undefined && !seen.has(at); at = this.#importer.get(at)) {
      seen.add(at);
      chain.unshift(at);
    }
    if (chain.length <= LONGEST) return chain;
    return [...chain.slice(0, LONGEST / 2), '…', ...chain.slice(-LONGEST / 2)];
  }
}
