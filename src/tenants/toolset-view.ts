// The part of a toolset that one caller may see.
// Not responsible for calling: a tool that is not in the view is refused again when it is called by name.
// Invariant: never wakes a pool; callers who may see everything share one list, made once per toolset.
import { mayUse } from '../auth/policy.ts';
import type { Principal } from '../auth/principal.ts';
import type { ToolsetView } from '../mcp/ports.ts';
import type { Toolset } from './tenant.ts';

const whole = new WeakMap<Toolset, ToolsetView>();

function viewOf(toolset: Toolset): ToolsetView {
  let view = whole.get(toolset);
  if (view === undefined) {
    view = { hash: toolset.hash, instructions: toolset.instructions, tools: [...toolset.tools.values()] };
    whole.set(toolset, view);
  }
  return view;
}

export function toolsetView(toolset: Toolset | undefined, principal: Principal): ToolsetView | undefined {
  if (toolset === undefined) return undefined;
  const all = viewOf(toolset);
  const tools = all.tools.filter((tool) => mayUse(principal, tool.scopes));
  return tools.length === all.tools.length ? all : { ...all, tools };
}
