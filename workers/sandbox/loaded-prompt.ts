// A prompt of the bundle: its arguments are texts, what its handler returns becomes the messages of a GetPromptResult.
// Not responsible for listing it (`manifest`) or for completing its arguments (`loaded-completion`).
// Invariant: exactly `PromptReturned` of the author's API passes; the rest is `result_invalid` with a reason.
import { Type } from 'typebox';
import type { Need, ToolContext } from '../../src/author/context.ts';
import { type ArgumentCheck, createArgumentCheck } from '../arguments.ts';
import { createSchemaCheck, type JsonSchema, type SchemaCheck } from '../schema-check.ts';
import { BlockSchema, withBase64 } from './content.ts';
import type { Completions } from './loaded-completion.ts';
import { type Answer, answerWith, invalid, resultBytesOf } from './result.ts';
import type { AnswerLimits, Checked, Runnable } from './runnable.ts';

/** As `definePrompt` makes it. */
export interface PromptLike {
  readonly title?: string;
  readonly description: string;
  readonly icons?: object[];
  readonly argsSchema: JsonSchema & {
    readonly properties?: { readonly [name: string]: object };
    readonly required?: readonly string[];
  };
  readonly complete?: Completions;
  readonly scopes?: readonly string[];
  readonly timeoutMs?: number;
  readonly connections?: { readonly [slot: string]: Need };
  handler(args: object, ctx: ToolContext): unknown;
}

const MessagesSchema = Type.Array(Type.Object({ role: Type.Enum(['user', 'assistant']), content: BlockSchema }));
let messagesCheck: SchemaCheck | undefined;

export class LoadedPrompt implements Runnable {
  readonly name: string;
  readonly file: string;
  readonly definition: PromptLike;
  #argumentCheck: ArgumentCheck | undefined;

  constructor(name: string, file: string, definition: PromptLike) {
    this.name = name;
    this.file = file;
    this.definition = definition;
  }

  get connections(): { readonly [slot: string]: Need } {
    return this.definition.connections ?? {};
  }

  /** @throws Error where the schema cannot be compiled. */
  check(args: unknown): Checked {
    this.#argumentCheck ??= createArgumentCheck(this.definition.argsSchema);
    return this.#argumentCheck(args);
  }

  invoke(args: object, ctx: ToolContext): unknown {
    return this.definition.handler(args, ctx);
  }

  answer(returned: unknown, { resultBytes }: AnswerLimits): Answer {
    return answerWith(resultBytes, () => {
      const text = JSON.stringify(messagesOf(returned));
      messagesCheck ??= createSchemaCheck(MessagesSchema);
      const mismatch = messagesCheck(JSON.parse(text));
      if (mismatch !== undefined) return invalid(`no message of a prompt: ${mismatch.reason}`, mismatch.path);
      return resultBytesOf(`{"description":${JSON.stringify(this.definition.description)},"messages":${text}}`, resultBytes);
    });
  }
}

function messagesOf(returned: unknown): unknown[] {
  if (typeof returned === 'string') return [{ role: 'user', content: { type: 'text', text: returned } }];
  return (Array.isArray(returned) ? returned : [returned]).map((message: unknown) => {
    if (typeof message !== 'object' || message === null || !('content' in message)) return message ?? null;
    const { content } = message;
    return { ...message, content: typeof content === 'string' ? { type: 'text', text: content } : withBase64(content) };
  });
}
