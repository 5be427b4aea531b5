// `Mcp-Param-*` headers of a tools/call, which a client of stdio does not know of: the bridge reads the tools' schemas for it
// (2026-07-28, Streamable HTTP, "Custom Headers from Tool Parameters"). `leasehold call` is such a client, too.
// Not responsible for listing tools. Invariant: a header says what the arguments say; what is no plain value has none.
import type { Json } from '../shared/json.ts';
import { declaredHeaders, type ParamHeader } from '../shared/param-headers.ts';
import { encodeHeaderValue } from './header-value.ts';
import { isObject, member } from './message.ts';

const MOST_TOOLS = 10_000;

export function headersFor(declared: readonly ParamHeader[], args: Json | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { name, path } of declared) {
    const value = member(args, ...path);
    if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') {
      headers[`mcp-param-${name}`] = encodeHeaderValue(String(value));
    }
  }
  return headers;
}

export class ParamHeaders {
  readonly #tools = new Map<string, readonly ParamHeader[]>();

  knows(tool: string): boolean {
    return this.#tools.has(tool);
  }

  forget(): void {
    this.#tools.clear();
  }

  /** From the result of a tools/list. */
  learn(result: Json | undefined): void {
    const tools = member(result, 'tools');
    for (const tool of Array.isArray(tools) ? tools : []) {
      const name = member(tool, 'name');
      const schema = member(tool, 'inputSchema');
      if (typeof name === 'string' && isObject(schema)) this.#set(name, declaredHeaders(schema));
    }
  }

  /** A tool that is in no list: the server will say so. */
  without(tool: string): void {
    this.#set(tool, []);
  }

  of(tool: string, args: Json | undefined): Record<string, string> {
    return headersFor(this.#tools.get(tool) ?? [], args);
  }

  #set(tool: string, headers: readonly ParamHeader[]): void {
    if (this.#tools.size >= MOST_TOOLS) this.#tools.clear();
    this.#tools.set(tool, headers);
  }
}
