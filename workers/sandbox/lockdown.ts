// Builds the wall around tenant code in this thread: after `lockdown()` only what the allow-list names is reachable.
// Not responsible for what a thread cannot contain (memory, native loops, engine bugs): limits, the watchdog and the process wall do.
// Invariant: runs once, before any tenant code, after everything the thread will ever load is loaded.
import { registerHooks } from 'node:module';
import { setPriority } from 'node:os';
import { MessagePort } from 'node:worker_threads';
import {
  INSTEAD_OF_IMPORT,
  LANGUAGE_GLOBALS,
  PLATFORM_GLOBALS,
  REMOVED_STATICS,
  STREAM_GLOBALS,
  type ReplacedGlobal,
} from './allow-list.ts';
import { atomicsFacade, cryptoFacade, performanceFacade, processFacade } from './facades.ts';
import { ToolHeaders } from './headers.ts';

/** Below the host's main thread, so that a spinning tool cannot keep frames from moving. Linux reads 0 as the calling thread. */
const NICENESS = 5;
/** What a thread may still have been given; dropped one by one, since a scope that does not exist throws. */
const SCOPES = ['fs', 'fs.read', 'fs.write', 'child', 'worker', 'wasi', 'addon', 'addons', 'ffi', 'inspector', 'net'];

/** @param toolConsole Own console; it writes to the log of the call that is running. */
export function lockdown(toolConsole: object): void {
  lowerPriority();
  silence();
  closeModuleLoading();
  dropPermissions();
  const facades: Record<ReplacedGlobal, unknown> = {
    console: toolConsole,
    process: processFacade(),
    performance: performanceFacade(),
    crypto: cryptoFacade(),
    Headers: ToolHeaders,
    Atomics: atomicsFacade(),
  };
  const language = languageValues();
  freezePlatform(language);
  const real = process;
  clearGlobals();
  defineStreams(language, real);
  // Code outside the sandbox goes on using Atomics in this thread.
  for (const [name, value] of Object.entries(facades)) defineGlobal(name, value, name === 'Atomics');
}

export function lowerPriority(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, NICENESS);
  } catch {
    // A kernel or container that does not allow it: fairness is weaker, nothing else.
  }
}

/** Warnings would go to the streams of the process, unbounded. */
function silence(): void {
  process.removeAllListeners('warning');
}

/** Every later `import()` and `require` of this thread fails, whatever text it was compiled from and whoever calls it. */
function closeModuleLoading(): void {
  const refuse = (): never => {
    throw new Error(`import() is not available in tools: ${INSTEAD_OF_IMPORT}.`);
  };
  registerHooks({ resolve: refuse, load: refuse });
}

function dropPermissions(): void {
  const permission = process.permission as { drop?: (scope: string) => void } | undefined;
  if (permission?.drop === undefined) return;
  for (const scope of SCOPES) {
    try {
      permission.drop(scope);
    } catch {
      // Not a scope of this Node version.
    }
  }
}

/**
 * Node's own objects in this thread (ports, timers, signals) are instances of these classes or inherit from them. Some of their
 * methods stand under symbols that anybody can list, and are called with the object as `this`: one replaced method would be handed
 * the pool's port.
 */
function freezePlatform(language: ReadonlySet<unknown>): void {
  for (const name of PLATFORM_GLOBALS) {
    const value: unknown = (globalThis as Record<string, unknown>)[name];
    for (const removed of REMOVED_STATICS[name] ?? []) Reflect.deleteProperty(value as object, removed);
    freezeClass(value, language);
  }
  freezeClass(MessagePort, language);
  const timer = setTimeout(() => undefined, 0);
  const immediate = setImmediate(() => undefined);
  for (const value of [timer, immediate]) freezeClass((value as object).constructor, language);
  clearTimeout(timer);
  clearImmediate(immediate);
}

/** All at once, since each leads to the others: whoever reads the first one finds all of them frozen. */
function defineStreams(language: ReadonlySet<unknown>, real: NodeJS.Process): void {
  const make = (): void => {
    const streams = real.getBuiltinModule('node:stream/web') as unknown as Record<string, unknown>;
    for (const name of STREAM_GLOBALS) freezeClass(streams[name], language);
    for (const name of STREAM_GLOBALS) defineGlobal(name, streams[name]);
  };
  for (const name of STREAM_GLOBALS) {
    const get = (): unknown => {
      make();
      return (globalThis as Record<string, unknown>)[name];
    };
    const set = (value: unknown): void => defineGlobal(name, value);
    Object.defineProperty(globalThis, name, { get, set, configurable: true, enumerable: false });
  }
}

function defineGlobal(name: string, value: unknown, isFixed = false): void {
  Object.defineProperty(globalThis, name, { value, writable: !isFixed, configurable: !isFixed, enumerable: false });
}

/** Not by reading each global: some are made when first read, and weigh something. */
function languageValues(): ReadonlySet<unknown> {
  return new Set(LANGUAGE_GLOBALS.map((name) => Object.getOwnPropertyDescriptor(globalThis, name)?.value as unknown));
}

/** A constructor, its prototype, and theirs up to the language's own. */
function freezeClass(value: unknown, language: ReadonlySet<unknown>): void {
  if (typeof value !== 'function' || language.has(value)) return;
  Object.freeze(value);
  for (let at: unknown = value.prototype; isPlatformPrototype(at); at = Object.getPrototypeOf(at)) {
    hold(at);
    const constructor: unknown = Object.getOwnPropertyDescriptor(at, 'constructor')?.value;
    if (typeof constructor === 'function' && !language.has(constructor)) Object.freeze(constructor);
  }
}

function isPlatformPrototype(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !LANGUAGE_PROTOTYPES.has(value);
}
const LANGUAGE_PROTOTYPES: ReadonlySet<unknown> = new Set([Object.prototype, Uint8Array.prototype, Error.prototype]);

/** Frozen but for `constructor`, which Node's own streams assign on their instances. */
function hold(prototype: object): void {
  for (const key of Reflect.ownKeys(prototype)) {
    if (key === 'constructor') continue;
    const isValue = 'value' in (Object.getOwnPropertyDescriptor(prototype, key) as PropertyDescriptor);
    Object.defineProperty(prototype, key, isValue ? { writable: false, configurable: false } : { configurable: false });
  }
  Object.preventExtensions(prototype);
}

function clearGlobals(): void {
  const kept = new Set<string | symbol>([...LANGUAGE_GLOBALS, ...PLATFORM_GLOBALS]);
  for (const key of Reflect.ownKeys(globalThis)) {
    if (kept.has(key) || key === Symbol.toStringTag) continue;
    if (!Reflect.deleteProperty(globalThis, key)) throw new Error(`the global ${String(key)} cannot be removed`);
  }
}
