// Suggestions for the arguments of prompts and the variables of resource templates, as types.
// Not responsible for cutting them to what a client takes (100): the tools thread does.
import type { Needs, ToolContext } from './context.ts';

/** The other arguments, as far as the user has given them. */
export type Given<Names extends string> = { readonly [K in Names]?: string };

/**
 * Values that begin with `value`, best first; or a fixed list, of which those that begin with it are taken (in any case of letters).
 * `ctx.elicit` is not available here.
 */
export type Completion<Names extends string, C extends Needs> =
  | readonly string[]
  | ((value: string, given: Given<Names>, ctx: ToolContext<C>) => readonly string[] | Promise<readonly string[]>);

export type Completions<Names extends string, C extends Needs> = { readonly [K in Names]?: Completion<Names, C> };
