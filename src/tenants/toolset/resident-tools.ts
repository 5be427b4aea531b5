// The described tools of a toolset, read from the cache when somebody asks and forgotten again under memory pressure.
// Not responsible for writing them. Invariant: an unused tenant holds none of its tools in memory.
import { readFileSync } from 'node:fs';
import type { ToolSpec } from '../tenant.ts';

/** As stored in `<hash>.tools.json`. */
export interface DescribedTools {
  readonly instructions?: string;
  readonly tools: readonly ToolSpec[];
}
interface Loaded {
  readonly instructions: string | undefined;
  readonly tools: ReadonlyMap<string, ToolSpec>;
}

/** The most recently loaded stay whatever the garbage collector would like. */
const STRONG = 256;
const strong = new Set<Loaded>();

function hold(loaded: Loaded): void {
  strong.delete(loaded);
  strong.add(loaded);
  for (const oldest of strong) {
    if (strong.size <= STRONG) break;
    strong.delete(oldest);
  }
}

/** A map that reads its content at the first look, and again after it was collected. */
export class ResidentTools implements ReadonlyMap<string, ToolSpec> {
  readonly #path: string;
  readonly size: number;
  #loaded: WeakRef<Loaded> | undefined;

  constructor(path: string, size: number) {
    this.#path = path;
    this.size = size;
  }

  get instructions(): string | undefined {
    return this.#load().instructions;
  }
  get(name: string): ToolSpec | undefined {
    return this.#load().tools.get(name);
  }
  has(name: string): boolean {
    return this.#load().tools.has(name);
  }
  keys(): MapIterator<string> {
    return this.#load().tools.keys();
  }
  values(): MapIterator<ToolSpec> {
    return this.#load().tools.values();
  }
  entries(): MapIterator<[string, ToolSpec]> {
    return this.#load().tools.entries();
  }
  [Symbol.iterator](): MapIterator<[string, ToolSpec]> {
    return this.entries();
  }
  forEach(callback: (value: ToolSpec, key: string, map: ReadonlyMap<string, ToolSpec>) => void): void {
    for (const [name, tool] of this) callback(tool, name, this);
  }

  #load(): Loaded {
    const kept = this.#loaded?.deref();
    if (kept !== undefined) return kept;
    const { instructions, tools } = JSON.parse(readFileSync(this.#path, 'utf8')) as DescribedTools;
    const loaded: Loaded = { instructions, tools: new Map(tools.map((tool) => [tool.name, tool])) };
    this.#loaded = new WeakRef(loaded);
    hold(loaded);
    return loaded;
  }
}
