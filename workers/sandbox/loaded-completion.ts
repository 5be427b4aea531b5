// The completion of one argument: what an author suggests, cut to what a client takes.
// Not responsible for which arguments can be completed (the supervisor knows from the manifest).
// Invariant: at most 100 texts, as MCP has it; anything else than texts is `result_invalid`.
import type { Need, ToolContext } from '../../src/author/context.ts';
import { type Answer, answerWith, invalid, resultBytesOf } from './result.ts';
import type { AnswerLimits, Checked, Runnable } from './runnable.ts';

type Completion = readonly string[] | ((value: string, given: object, ctx: ToolContext) => unknown);
export type Completions = { readonly [argument: string]: Completion };

const VALUES = 100;

export interface Completable {
  readonly name: string;
  readonly connections: { readonly [slot: string]: Need };
  readonly definition: { readonly complete?: Completions };
}

interface Asked {
  readonly argument: string;
  readonly value: string;
  readonly given: object;
}

export class LoadedCompletion implements Runnable {
  readonly name: string;
  readonly connections: { readonly [slot: string]: Need };
  readonly #complete: Completions;

  constructor({ name, connections, definition }: Completable) {
    this.name = name;
    this.connections = connections;
    this.#complete = definition.complete ?? {};
  }

  check(args: unknown): Checked {
    const { argument } = args as Asked;
    if (Object.hasOwn(this.#complete, argument)) return { ok: true, value: args as Asked };
    return { ok: false, path: '/argument', reason: 'is not completed' };
  }

  invoke(args: object, ctx: ToolContext): unknown {
    const { argument, value, given } = args as Asked;
    const completion = this.#complete[argument];
    if (typeof completion === 'function') return completion(value, given, ctx);
    const begun = value.toLowerCase();
    return completion?.filter((one) => typeof one !== 'string' || one.toLowerCase().startsWith(begun));
  }

  answer(returned: unknown, { resultBytes }: AnswerLimits): Answer {
    return answerWith(resultBytes, () => {
      if (!Array.isArray(returned) || returned.some((one) => typeof one !== 'string')) {
        return invalid('a completion returns a list of texts');
      }
      const completion = { values: returned.slice(0, VALUES), total: returned.length, hasMore: returned.length > VALUES };
      return resultBytesOf(JSON.stringify({ completion }), resultBytes);
    });
  }
}
