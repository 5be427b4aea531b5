// What a tenant's server says that it has, in both eras.
// Not responsible for refusing what it has not (unknown methods and empty lists do). Pure.
// Invariant: by the tenant, not by the caller: with other scopes the same caller may see more of it.
import type { ToolsetView } from './ports.ts';

export interface ServerCapabilities {
  readonly tools: { readonly listChanged: true };
  readonly logging: object;
  readonly prompts?: { readonly listChanged: true };
  readonly resources?: { readonly listChanged: true; readonly subscribe: true };
  readonly completions?: object;
}

export function capabilitiesOf(view: ToolsetView | undefined): ServerCapabilities {
  const { prompts, resources, completions } = view?.has ?? {};
  return {
    tools: { listChanged: true },
    logging: {},
    ...(prompts === true ? { prompts: { listChanged: true } } : {}),
    ...(resources === true ? { resources: { listChanged: true, subscribe: true } } : {}),
    ...(completions === true ? { completions: {} } : {}),
  };
}
