// An argument by its name. Not responsible for its type.
// Invariant: what an object inherits is no argument.
import type { Json, JsonObject } from '../../src/shared/json.ts';

export function valueOf(args: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(args, name) ? args[name] : undefined;
}
