// `require` of a bundle: the modules that the thread provides, and the harmless members of a few built-ins.
// Not responsible for the tenant's own modules: they are inside the bundle.
// Invariant: a name that is not listed throws, and the error says what to use instead.
import { ALLOWED_BUILTINS, insteadOfBuiltin } from '../../src/shared/allowed-builtins.ts';
import { BUILTIN_MEMBERS } from './allow-list.ts';
import { toolEvents } from './emitter.ts';

// Taken before the wall stands; a module is loaded when a bundle first asks for it.
const real = process;

/** @param provided Packages that the thread itself has loaded, by the name that a bundle asks for. */
export function createRequire(provided: ReadonlyMap<string, unknown>): (name: string) => unknown {
  const given = new Map<string, unknown>(provided);
  return (asked) => {
    const name = String(asked);
    const bare = name.startsWith('node:') ? name.slice(5) : name;
    const known = given.get(bare);
    if (known !== undefined) return known;
    if (!ALLOWED_BUILTINS.includes(bare)) {
      throw new Error(`"${name}" is not available in tools: ${insteadOfBuiltin(bare)}.`);
    }
    const module = build(bare);
    given.set(bare, module);
    return module;
  };
}

function build(name: string): unknown {
  if (name === 'assert') return toolAssert();
  const source: object | undefined = name === 'events' ? toolEvents : real.getBuiltinModule(name);
  const members = BUILTIN_MEMBERS[name];
  if (source === undefined || members === undefined) throw new Error(`"${name}" is not available in tools.`);
  if (members === true) return name === 'events' ? source : { ...source };
  const picked = pick(source, members);
  if (name === 'util') {
    // The real ones write to the streams of the process.
    picked['deprecate'] = (fn: unknown) => fn;
    picked['debuglog'] = () => Object.assign(() => undefined, { enabled: false });
  }
  return picked;
}

function pick(source: object, members: readonly string[]): Record<string, unknown> {
  const all = source as Record<string, unknown>;
  return Object.fromEntries(members.filter((member) => member in all).map((member) => [member, all[member]]));
}

function toolAssert(): object {
  const assert = real.getBuiltinModule('node:assert');
  const { AssertionError } = assert;
  const ok = (value: unknown, message?: string | Error): void => {
    if (value) return;
    if (message instanceof Error) throw message;
    throw new AssertionError({ message: message ?? 'The value is not true.', actual: value, expected: true, operator: '==' });
  };
  const members = BUILTIN_MEMBERS['assert'] as readonly string[];
  const loose = Object.assign((value: unknown, message?: string | Error) => ok(value, message), pick(assert, members), { ok });
  const strict = Object.assign((value: unknown, message?: string | Error) => ok(value, message), pick(assert.strict, members), {
    ok,
  });
  return Object.assign(loose, { strict: Object.assign(strict, { strict }) });
}
