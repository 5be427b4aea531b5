// The part of a toolset that one caller may see.
// Not responsible for calling: a tool that is not in the view is refused again when it is called by name.
// Invariant: never wakes a pool; callers who may see everything share one list, made once per toolset.
import { mayUse } from '../auth/policy.ts';
import type { Principal } from '../auth/principal.ts';
import type { ToolsetView } from '../mcp/ports.ts';
import type { Runnable, Toolset } from './tenant.ts';

const whole = new WeakMap<Toolset, ToolsetView>();

function viewOf(toolset: Toolset): ToolsetView {
  let view = whole.get(toolset);
  if (view === undefined) {
    const { hash, instructions, tools, prompts, resources } = toolset;
    const has = { prompts: prompts.size > 0, resources: resources.all.length > 0, completions: completes(toolset) };
    view = { hash, instructions, has, tools: [...tools.values()], prompts: [...prompts.values()], resources: resources.all };
    whole.set(toolset, view);
  }
  return view;
}

export function toolsetView(toolset: Toolset | undefined, principal: Principal): ToolsetView | undefined {
  if (toolset === undefined) return undefined;
  const all = viewOf(toolset);
  const tools = allowed(all.tools, principal);
  const prompts = allowed(all.prompts, principal);
  const resources = allowed(all.resources, principal);
  const isWhole = tools === all.tools && prompts === all.prompts && resources === all.resources;
  return isWhole ? all : { ...all, tools, prompts, resources };
}

/** The same list where nothing is left out. */
function allowed<T extends Pick<Runnable, 'scopes'>>(all: readonly T[], principal: Principal): readonly T[] {
  return all.every(({ scopes }) => mayUse(principal, scopes)) ? all : all.filter(({ scopes }) => mayUse(principal, scopes));
}

function completes({ prompts, resources }: Toolset): boolean {
  return [...prompts.values(), ...resources.all].some((one) => one.completes !== undefined);
}
