// A declared tool made ready to run: argument check, request and response mapping, each compiled once on first use.
// Not responsible for sending. Invariant: a tool that cannot be compiled fails by itself; its neighbours run.
import type { EgressTools } from '../../src/boundary/egress.ts';
import { type Failure, failure } from '../../src/shared/errors.ts';
import { type ArgumentCheck, createArgumentCheck, parseArguments } from '../arguments.ts';
import { createSchemaCheck, type Mismatch } from '../schema-check.ts';
import type { MapResponse } from './answer.ts';
import { compileExecutor, type Executor } from './executor.ts';
import type { HttpRequest } from './rest-request.ts';

interface Compiled {
  readonly check: ArgumentCheck;
  readonly execute: Executor;
  /** Header for the key of the call. */
  readonly keyHeader: string | undefined;
  readonly maxBytes: number | undefined;
}
export type PreparedCall =
  | { readonly ok: true; readonly request: HttpRequest; readonly map: MapResponse; readonly maxBytes: number | undefined }
  | { readonly ok: false; readonly failure: Failure };

export class DeclaredTools {
  #tools: EgressTools;
  #compiled = new Map<string, Compiled | Failure>();

  constructor(tools: EgressTools) {
    this.#tools = tools;
  }

  /** @param args JSON text; @param origin of the connection, without a trailing slash; @param key idempotency key of the call */
  prepare(name: string, args: Uint8Array, origin: string, key?: string): PreparedCall {
    const tool = this.#get(name);
    if ('code' in tool) return { ok: false, failure: tool };
    const parsed = parseArguments(args);
    if (!parsed.ok) return { ok: false, failure: argumentsInvalid(parsed) };
    const checked = tool.check(parsed.value);
    if (!checked.ok) return { ok: false, failure: argumentsInvalid(checked) };
    const made = tool.execute(checked.value, origin);
    if (!made.ok) return { ok: false, failure: argumentsInvalid(made) };
    const { request, map } = made;
    if (tool.keyHeader !== undefined && key !== undefined) request.headers[tool.keyHeader] = key;
    return { ok: true, request, map, maxBytes: tool.maxBytes };
  }

  #get(name: string): Compiled | Failure {
    let compiled = this.#compiled.get(name);
    if (compiled === undefined) {
      const tool = Object.hasOwn(this.#tools, name) ? this.#tools[name] : undefined;
      compiled = tool === undefined ? failure('tool_unknown') : compile(tool);
      if (tool !== undefined) this.#compiled.set(name, compiled);
    }
    return compiled;
  }
}

function compile({ inputSchema, outputSchema, binding }: EgressTools[string]): Compiled | Failure {
  try {
    return {
      check: createArgumentCheck(inputSchema),
      execute: compileExecutor(binding, outputSchema === undefined ? undefined : createSchemaCheck(outputSchema)),
      keyHeader: binding.idempotencyKey?.toLowerCase(),
      maxBytes: binding.response?.maxBytes,
    };
  } catch (error) {
    return failure('toolset_broken', { detail: (error instanceof Error ? error.message : 'cannot be compiled').slice(0, 2000) });
  }
}

function argumentsInvalid({ path, reason }: Mismatch): Failure {
  return failure('arguments_invalid', { path, reason });
}
