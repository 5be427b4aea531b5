// Stacks of tenant code with the positions that the author knows: `acme@3f2a91c0.js:27:9` becomes `tools/github.ts:31:12`.
// Not responsible for who sees a stack. Invariant: only frames of the tenant asked for are mapped; the text is untrusted.
import { SourceMap, type SourceMapPayload } from 'node:module';
import type { BundleCache } from './bundle-cache.ts';

const STACK_CHARS = 32_768;
/** Parsed maps kept, newest last. */
const KEPT = 8;

export class StackMapper {
  readonly #cache: BundleCache;
  readonly #maps = new Map<string, SourceMap | undefined>();

  constructor(cache: BundleCache) {
    this.#cache = cache;
  }

  map(tenant: string, stack: string): string {
    const frame = new RegExp(`\\b${tenant}@([0-9a-f]{8})\\.js:(\\d{1,9}):(\\d{1,9})`, 'g');
    return stack.slice(0, STACK_CHARS).replaceAll(frame, (whole, prefix: string, line: string, column: string) => {
      const entry = this.#mapOf(tenant, prefix)?.findEntry(Number(line) - 1, Number(column) - 1);
      if (entry === undefined || !('originalSource' in entry)) return whole;
      return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    });
  }

  #mapOf(tenant: string, prefix: string): SourceMap | undefined {
    const key = `${tenant}@${prefix}`;
    const kept = this.#maps.get(key);
    this.#maps.delete(key);
    const map = kept ?? this.#read(tenant, prefix);
    if (map === undefined) return undefined;
    this.#maps.set(key, map);
    for (const oldest of this.#maps.keys()) {
      if (this.#maps.size <= KEPT) break;
      this.#maps.delete(oldest);
    }
    return map;
  }

  #read(tenant: string, prefix: string): SourceMap | undefined {
    const text = this.#cache.map(tenant, prefix);
    return text === undefined ? undefined : new SourceMap(JSON.parse(text) as SourceMapPayload);
  }
}
