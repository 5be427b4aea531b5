// `runtime: "node"`: a tools thread without the wall, for code that its operator trusts with the rights of a host of its own.
// Not responsible for those rights: Node's permission model and the walls of the operating system around the host are.
// Invariant: what the wall gives for use, not for safety, is the same here: the console, `leasehold` and TypeBox, niceness.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { lowerPriority } from './lockdown.ts';

/** @param modules Folder from which packages are looked up. */
export function createNodeRequire(provided: ReadonlyMap<string, unknown>, modules: string): (name: string) => unknown {
  const real = createRequire(join(modules, 'package.json'));
  return (name) => provided.get(name) ?? (real(name) as unknown);
}

export function openNodeRuntime(toolConsole: object): void {
  lowerPriority();
  Object.defineProperty(globalThis, 'console', { value: toolConsole, writable: true, configurable: true, enumerable: false });
}
