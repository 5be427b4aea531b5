// The described tools, prompts and resources of a toolset, read from the cache when somebody asks and forgotten again under memory pressure.
// Not responsible for writing them. Invariant: an unused tenant holds none of them in memory.
import { readFileSync } from 'node:fs';
import type { PromptSpec, ResourceIndex, ResourceSpec, ToolSpec } from '../tenant.ts';
import { IndexedResources } from './resource-index.ts';

/** As stored in `<hash>.tools.json`. */
export interface DescribedTools {
  readonly instructions?: string;
  readonly tools: readonly ToolSpec[];
  readonly prompts: readonly PromptSpec[];
  readonly resources: readonly ResourceSpec[];
}
interface Loaded {
  readonly instructions: string | undefined;
  readonly tools: ReadonlyMap<string, ToolSpec>;
  readonly prompts: ReadonlyMap<string, PromptSpec>;
  readonly resources: ResourceIndex;
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
  /** Of the server; a tool of the tenant with the same name hides one. */
  readonly #builtins: readonly ToolSpec[];
  readonly size: number;
  #loaded: WeakRef<Loaded> | undefined;

  constructor(path: string, size: number, builtins: readonly ToolSpec[]) {
    this.#path = path;
    this.#builtins = builtins;
    this.size = size + builtins.length;
  }

  get instructions(): string | undefined {
    return this.#load().instructions;
  }
  get prompts(): ReadonlyMap<string, PromptSpec> {
    return this.#load().prompts;
  }
  get resources(): ResourceIndex {
    return this.#load().resources;
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
    const { instructions, tools, prompts, resources } = JSON.parse(readFileSync(this.#path, 'utf8')) as DescribedTools;
    const loaded: Loaded = {
      instructions,
      tools: byName(tools, this.#builtins),
      prompts: new Map(prompts.map((prompt) => [prompt.name, prompt])),
      resources: new IndexedResources(resources),
    };
    this.#loaded = new WeakRef(loaded);
    hold(loaded);
    return loaded;
  }
}

/** In the order of lists. */
function byName(tools: readonly ToolSpec[], builtins: readonly ToolSpec[]): ReadonlyMap<string, ToolSpec> {
  const own = new Map(tools.map((tool) => [tool.name, tool]));
  const added = builtins.filter(({ name }) => !own.has(name));
  if (added.length === 0) return own;
  const all = [...tools, ...added].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return new Map(all.map((tool) => [tool.name, tool]));
}
