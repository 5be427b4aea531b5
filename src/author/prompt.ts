// Definitions of prompts: what a user picks, with arguments that a form can ask for.
// Not responsible for names (the key in `defineToolset`) or for running: handlers run in a tools thread.
// Invariant: arguments are texts, as in MCP; everything but the functions survives JSON.
import { type Static, type TObject, Type } from 'typebox';
import type { Completions } from './completion.ts';
import type { Content, Icon } from './content.ts';
import type { Needs, ToolContext } from './context.ts';
import { requireCompletions, requireKnown, requireText } from './definition-rules.ts';

type Awaitable<T> = T | Promise<T>;

export interface PromptMessage {
  role: 'user' | 'assistant';
  /** A text is short for a text block. */
  content: string | Content;
}
/** A text is one message of the user. */
export type PromptReturned = string | PromptMessage | PromptMessage[];

export interface Prompt<A extends TObject = TObject> {
  readonly '~prompt': A;
}

export interface PromptDefinition<A extends TObject, C extends Needs> {
  title?: string;
  description: string;
  icons?: Icon[];
  /** Texts only, such as Type.Object({ style: Type.Optional(Type.String()) }). Default: no arguments. */
  argsSchema?: A & TextsOnly<A>;
  /** Suggestions while an argument is being typed. */
  complete?: Completions<keyof Static<A> & string, C>;
  /** Scopes that a caller must hold; without them the prompt is neither listed nor given. */
  scopes?: readonly string[];
  /** Milliseconds. May only lower the tenant's limit. */
  timeoutMs?: number;
  /** Slots of `connections` in tenant.json that the handler uses, with the scopes it needs of the service. */
  connections?: C;
  handler(args: Static<A>, ctx: ToolContext<C>): Awaitable<PromptReturned>;
}

type TextsOnly<A extends TObject> = [Static<A>[keyof Static<A>]] extends [string | undefined]
  ? unknown
  : { 'arguments of a prompt are texts': never };

const KEYS = new Set([
  'title',
  'description',
  'icons',
  'argsSchema',
  'complete',
  'scopes',
  'timeoutMs',
  'connections',
  'handler',
]);
const NO_ARGUMENTS = Object.freeze(Type.Object({}, { additionalProperties: false }));

/** A prompt. @throws TypeError where the definition reads wrong. */
export function definePrompt<A extends TObject = TObject<{}>, const C extends Needs = {}>(
  definition: PromptDefinition<A, C>,
): Prompt<A> {
  requireKnown('definePrompt', definition, KEYS);
  requireText('definePrompt', definition, 'description');
  const { argsSchema = NO_ARGUMENTS, complete } = definition;
  if (typeof argsSchema !== 'object' || argsSchema.type !== 'object' || typeof argsSchema.properties !== 'object') {
    throw new TypeError('definePrompt: `argsSchema` must be an object schema, such as Type.Object({ … }).');
  }
  if (typeof definition.handler !== 'function') throw new TypeError('definePrompt: `handler` must be a function.');
  for (const [name, schema] of Object.entries(argsSchema.properties)) {
    if ('type' in schema && schema.type !== 'string') {
      throw new TypeError(`definePrompt: the argument \`${name}\` must be a text, such as Type.String().`);
    }
  }
  requireCompletions('definePrompt', complete, Object.keys(argsSchema.properties));
  // The type of `~prompt` exists for inference only; at run time it marks the definition.
  return Object.freeze({ argsSchema, ...definition, '~prompt': true }) as unknown as Prompt<A>;
}
